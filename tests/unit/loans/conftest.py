"""A library in memory for every test, with a member who has a loan where a test asks for one, and the log."""

from collections.abc import Iterator

import pytest

from loans_service.domain.loan import Loan, Member
from tests.fakes.lending import Library
from tests.support.operator_log import OperatorLog, reading_the_log


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def member(library: Library) -> Member:
    return library.member()


@pytest.fixture
def loan(library: Library, member: Member) -> Loan:
    return library.lend(member, library.title())


@pytest.fixture
def log() -> Iterator[OperatorLog]:
    with reading_the_log() as log:
        yield log
