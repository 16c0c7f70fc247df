"""Every operation, fuzzed by its own document in this process: no 5xx, nothing undocumented, nothing wrong let in.

For a deployed stack see `tests.contract.fuzzing.deployed`.
"""

from collections.abc import Iterator

import pytest

from tests.contract import filled_services, fuzzing
from tests.contract.in_process import InProcess
from tests.depth import at_depth
from tools import services

pytestmark = pytest.mark.contract

EXAMPLES = at_depth(quick=2, full=8)
"""Random requests of each kind per operation, beside the boundaries: seconds, not minutes."""
BOUNDARIES = at_depth(quick=8, full=1)
"""Every so many of the boundaries: they are nine of ten requests."""

OPERATIONS = [(name, label) for name in services.with_module("http") for label in fuzzing.labels(name)]


@pytest.fixture(scope="module")
def stack() -> Iterator[InProcess]:
    with InProcess().running() as running:
        yield running


@pytest.mark.parametrize(("name", "label"), OPERATIONS)
def test_an_operation_withstands(stack: InProcess, name: str, label: str) -> None:
    fuzzed = fuzzing.operation(name, label)
    with filled_services.running(stack, name) as service:
        caller = service.caller_for(fuzzing.access_of(fuzzed))
        target = fuzzing.in_process(service.api, caller, service.known, service.either)
        sent = fuzzing.fuzz(fuzzed, target, examples=EXAMPLES, boundaries=BOUNDARIES)

    assert sent > 1
