"""The deployed API, fuzzed by its own OpenAPI documents for a short while: no 5xx, nothing undocumented.

The long run over every boundary is in tests/contract, in one process. This one adds API Gateway and the authorizer.
"""

import pytest

from localstack.embedded.stack import LocalStack
from tests.contract import fuzzing
from tests.depth import at_depth
from tests.support.known_things import known_things
from tests.support.library_client import LibraryClient
from tools import services

pytestmark = [pytest.mark.integration, pytest.mark.contract]

EXAMPLES = at_depth(quick=2, full=3)
EVERY = at_depth(quick=4, full=1)
"""Every so many of the operations: in one process all of them are fuzzed."""
_EITHER = (("book_id", "barcode"), ("loan_id", "barcode"))
_FOR_SERVICES = "scope"


def _operations() -> list[tuple[str, str]]:
    """What people may call; the operations of services only are fuzzed in process."""
    listed = [(name, label) for name in services.with_module("http") for label in fuzzing.labels(name)]
    ours = [(n, label) for n, label in listed if set(fuzzing.access_of(fuzzing.operation(n, label))) != {_FOR_SERVICES}]
    return ours[::EVERY]


@pytest.fixture(scope="module")
def known(library: LibraryClient) -> dict[str, str]:
    return known_things(library, copies=5)


@pytest.mark.parametrize(("name", "label"), _operations())
def test_an_operation_withstands(stack: LocalStack, known: dict[str, str], name: str, label: str) -> None:
    token = stack.mint_token("01JADM0N000000000000000000", "admin")
    target = fuzzing.deployed(stack.base_url, token, known, _EITHER if name == "loans" else ())

    sent = fuzzing.fuzz(fuzzing.operation(name, label), target, examples=EXAMPLES, boundaries=0)

    assert sent > 1
