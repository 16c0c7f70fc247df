"""A community in memory for every test."""

from collections.abc import Iterator

import pytest

from tests.fakes.users import Community
from tests.support.operator_log import OperatorLog, reading_the_log


@pytest.fixture
def community() -> Community:
    return Community()


@pytest.fixture
def log() -> Iterator[OperatorLog]:
    with reading_the_log() as log:
        yield log
