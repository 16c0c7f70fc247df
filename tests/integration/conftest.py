"""One deployed stack for all integration tests: an emulator of its own, or the one AWS_ENDPOINT_URL names.

`make test` runs them in several processes, file by file: each has a stack of its own, since most of the time goes into
waiting for leases and pauses to end. What tests of different files do to a stack, they never do to each other's.

Services reach each other through a fault proxy, which passes everything on unless a test says otherwise.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from localstack.embedded.stack import LocalStack
from tests.support.event_tap import EventTap
from tests.support.faults import FaultProxy
from tests.support.generous_limits import RATE_LIMITS
from tests.support.library_client import ADMIN_ID, LIBRARIAN_ID, LibraryClient
from tests.support.staff import employ

HERE = Path(__file__).parent

RECOVERY_DELAY_SECONDS = 5
"""Below the lease of a saga on purpose: the recovery must cope with coming too early, too."""

LONGEST_FIRST = (
    "test_crashes.py",
    "test_outages.py",
    "test_rotation.py",
    "test_every_event_counts.py",
    "test_lifecycle.py",
    "test_codes.py",
    "test_access_matrix.py",
    "test_revocations.py",
)
"""The files that take half a minute and more. Started last, one of them would keep a single process busy at the end.

Those that watch the clock come before the one that keeps all cores busy.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; all others, and what is no integration test, in the order they came."""
    rank = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)) if item.path.is_relative_to(HERE) else -1)


@pytest.fixture(scope="session")
def emulator_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the stack's emulator keeps its files and the code of its functions, if it is one of our own."""
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def stack(emulator_folder: Path) -> Iterator[LocalStack]:
    parameters = {
        "RecoveryDelaySeconds": str(RECOVERY_DELAY_SECONDS),
        "RateLimits": RATE_LIMITS,
        # A test takes the sender's verification away for a while: on a shared emulator, not that of other stacks.
        "MailFrom": f"library-{secrets.token_hex(4)}@example.org",
    }
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    running = (
        LocalStack.attach(endpoint, emulator_folder, parameters=parameters)
        if endpoint
        else LocalStack.start(emulator_folder, parameters=parameters)
    )
    with running as stack:
        yield stack


@pytest.fixture(scope="session")
def way_between_services(stack: LocalStack) -> Iterator[FaultProxy | None]:
    """A proxy from loans to users and books, put in place before the first request of the session.

    None where the functions run in containers, which cannot reach a port of the test's own process.
    """
    if stack.engine.name != "ministack":
        yield None
        return
    with FaultProxy(target=stack.stage_url).running() as proxy:
        stack.client("ssm").put_parameter(
            Name=stack.outputs["ServicesUrlParameter"], Value=proxy.url, Type="String", Overwrite=True
        )
        yield proxy


@pytest.fixture(scope="session")
def faults(way_between_services: FaultProxy | None) -> FaultProxy:
    if way_between_services is None:
        pytest.skip("faults are injected by a proxy in this process, which functions in containers cannot reach")
    return way_between_services


@pytest.fixture(scope="session")
def library(stack: LocalStack, way_between_services: FaultProxy | None) -> Iterator[LibraryClient]:
    assert way_between_services is None or way_between_services.url
    employ(stack, LIBRARIAN_ID, "librarian")
    employ(stack, ADMIN_ID, "admin")
    client = LibraryClient(base_url=stack.base_url, mint=stack.mint_token)
    # The proxy in front of the stack ends as soon as nobody is connected.
    with client.http:
        yield client


@pytest.fixture(scope="session")
def bus(stack: LocalStack) -> EventTap:
    return EventTap(stack)
