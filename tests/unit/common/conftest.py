"""The log of what the plumbing does, and a neighbour to call."""

from collections.abc import Iterator

import pytest

from tests.support.neighbour import Neighbour
from tests.support.operator_log import OperatorLog, reading_the_log


@pytest.fixture
def log() -> Iterator[OperatorLog]:
    with reading_the_log() as log:
        yield log


@pytest.fixture
def neighbour() -> Iterator[Neighbour]:
    with Neighbour().running() as running:
        yield running
