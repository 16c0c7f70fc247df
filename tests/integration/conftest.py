"""One deployed stack for all integration tests: an emulator of its own, or the one AWS_ENDPOINT_URL names.

Services reach each other through a fault proxy, which passes everything on unless a test says otherwise.
"""

import os
from collections.abc import Iterator

import pytest

from localstack.embedded.stack import LocalStack
from tests.support.event_tap import EventTap
from tests.support.faults import FaultProxy
from tests.support.generous_limits import RATE_LIMITS
from tests.support.library_client import ADMIN_ID, LIBRARIAN_ID, LibraryClient
from tests.support.staff import employ

RECOVERY_DELAY_SECONDS = 5
"""Below the lease of a saga on purpose: the recovery must cope with coming too early, too."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    work = tmp_path_factory.mktemp("stack")
    parameters = {"RecoveryDelaySeconds": str(RECOVERY_DELAY_SECONDS), "RateLimits": RATE_LIMITS}
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    running = (
        LocalStack.attach(endpoint, work, parameters=parameters)
        if endpoint
        else LocalStack.start(work, parameters=parameters)
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
def library(stack: LocalStack, way_between_services: FaultProxy | None) -> LibraryClient:
    assert way_between_services is None or way_between_services.url
    employ(stack, LIBRARIAN_ID, "librarian")
    employ(stack, ADMIN_ID, "admin")
    return LibraryClient(base_url=stack.base_url, mint=stack.mint_token)


@pytest.fixture(scope="session")
def bus(stack: LocalStack) -> EventTap:
    return EventTap(stack)
