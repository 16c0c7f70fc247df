"""The log of what the plumbing does, and another service to call."""

from collections.abc import Iterator

import pytest

from tests.support.operator_log import OperatorLog, reading_the_log
from tests.support.scripted_service import ScriptedService


@pytest.fixture
def log() -> Iterator[OperatorLog]:
    with reading_the_log() as log:
        yield log


@pytest.fixture
def other_service() -> Iterator[ScriptedService]:
    with ScriptedService().running() as running:
        yield running
