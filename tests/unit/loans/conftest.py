"""A library in memory for every test, and the log."""

from collections.abc import Iterator

import pytest

from tests.fakes.lending import Library
from tests.support.operator_log import OperatorLog, reading_the_log


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def log() -> Iterator[OperatorLog]:
    with reading_the_log() as log:
        yield log
