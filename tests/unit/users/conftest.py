"""A community in memory for every test."""

from collections.abc import Callable, Iterator

import pytest

from library_common.http import ServiceApi
from tests.fakes.users import Community
from tests.support.operator_log import OperatorLog, reading_the_log
from users_service import http


@pytest.fixture
def community() -> Community:
    return Community()


@pytest.fixture(scope="session")
def api_on() -> Callable[[Community], ServiceApi]:
    """The API, built once; every test has it on its own community."""
    present: list[Community] = []
    api = http.build(lambda: present[0].use_cases)

    def on(community: Community) -> ServiceApi:
        present[:] = [community]
        return api

    return on


@pytest.fixture
def api(api_on: Callable[[Community], ServiceApi], community: Community) -> ServiceApi:
    return api_on(community)


@pytest.fixture
def log() -> Iterator[OperatorLog]:
    with reading_the_log() as log:
        yield log
