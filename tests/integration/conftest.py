"""One deployed stack for all integration tests: an emulator of its own, or the one AWS_ENDPOINT_URL names.

`make test` runs them in several processes, file by file: each process has a stack of its own, so that what tests of
different files do to a stack at the same time, they never do to each other's.

Services reach each other through a fault proxy, and so do functions and the mail service of an emulator of our own.
Both pass everything on unless a test says otherwise.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from localstack.embedded.stack import LocalStack
from tests.depth import at_depth
from tests.support.event_tap import EventTap
from tests.support.faults import FaultProxy
from tests.support.generous_limits import RATE_LIMITS
from tests.support.library_client import ADMIN_ID, LIBRARIAN_ID, LibraryClient, eventually, ok
from tests.support.outgoing import Outgoing
from tests.support.staff import employ

HERE = Path(__file__).parent

RECOVERY_DELAY_SECONDS = 3
"""Below the lease of a saga on purpose: the recovery must cope with coming too early, too."""

LONGEST_FIRST = (
    "test_lifecycle.py",
    "test_every_event_counts.py",
    "test_crashes.py",
    "test_codes.py",
    "test_notifications.py",
    "test_outages.py",
    "test_new_service.py",
    "test_updates.py",
    "test_access_matrix.py",
    "test_limits.py",
    "test_mail_outage.py",
    "test_rotation.py",
)
"""The files that take half a minute and more. Started last, one of them would keep a single process busy at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; all others, and what is no integration test, in the order they came."""
    rank = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)) if item.path.is_relative_to(HERE) else -1)


@pytest.fixture(scope="session")
def emulator_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the stack's emulator keeps its files and the code of its functions, if it is one of our own."""
    return tmp_path_factory.mktemp("stack")


AUTHORIZER_CACHE_SECONDS = 3
CONSUMERS_AT_ONCE = at_depth(quick=2, full=5)
CHEAP_HASHES = {"BCRYPT_ROUNDS": "4"}  # how long a real hash takes, `tests/unit/users` measures
SHORT_WAITS = {
    "CHECKOUT_LEASE_SECONDS": "11",  # longer than a checkout's own deadline of 10 s
    "RECOVERY_PAUSE_SECONDS": "3",
    "MAX_BREAKER_PAUSE_SECONDS": "3",
    "MAX_CACHE_SECONDS": "3",
}
"""Settings that no template has. What they add up to as deployed, `tests/architecture/test_template.py` checks."""

VISIT_SECONDS = 3
DUE_SOON_DAYS = 15
"""A day more than anybody may borrow: the morning of a reminder is over before the loan begins. Who borrows just now is
not reminded, and who has had the due date for days is reminded at once.
"""


@pytest.fixture(scope="session")
def mail_proxy() -> Iterator[FaultProxy]:
    """Between the functions and SES. It passes nothing on until the stack is deployed; nothing is sent before."""
    with FaultProxy(target="").running() as proxy:
        yield proxy


@pytest.fixture(scope="session")
def stack(emulator_folder: Path, mail_proxy: FaultProxy) -> Iterator[LocalStack]:
    """The whole system, with short pauses: what it waits for is settings, and tests wait for as little as they can."""
    parameters = {
        "RecoveryDelaySeconds": str(RECOVERY_DELAY_SECONDS),
        "RateLimits": RATE_LIMITS,
        "VisitSeconds": str(VISIT_SECONDS),
        "DueSoonDays": str(DUE_SOON_DAYS),
        "RetryBaseSeconds": "1",
        # A test takes the sender's verification away for a while: on a shared emulator, not that of other stacks.
        "MailFrom": f"library-{secrets.token_hex(4)}@example.org",
    }
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    running = (
        LocalStack.attach(endpoint, emulator_folder, parameters=parameters)
        if endpoint
        else LocalStack.start(
            emulator_folder,
            parameters=parameters,
            environment={"AWS_ENDPOINT_URL_SES": mail_proxy.url, **SHORT_WAITS, **CHEAP_HASHES},
        )
    )
    with running as stack:
        mail_proxy.target = stack.endpoint_url
        if not endpoint:
            cache_tokens_briefly(stack)
            use_few_consumers(stack)
        yield stack


def cache_tokens_briefly(stack: LocalStack) -> None:
    """API Gateway keeps an authorizer's answer for AUTHORIZER_CACHE_SECONDS instead of half a minute."""
    gateway = stack.client("apigateway")
    (api,) = gateway.get_rest_apis()["items"]
    for authorizer in gateway.get_authorizers(restApiId=api["id"])["items"]:
        if authorizer["authorizerResultTtlInSeconds"]:
            change = {"op": "replace", "path": "/authorizerResultTtlInSeconds", "value": str(AUTHORIZER_CACHE_SECONDS)}
            gateway.update_authorizer(restApiId=api["id"], authorizerId=authorizer["id"], patchOperations=[change])


def use_few_consumers(stack: LocalStack) -> None:
    """At most CONSUMERS_AT_ONCE processes work on a queue: each costs half a second of CPU to start."""
    functions = stack.client("lambda")
    for mapping in functions.get_paginator("list_event_source_mappings").paginate().search("EventSourceMappings"):
        if ":sqs:" in mapping["EventSourceArn"]:
            limit = {"MaximumConcurrency": CONSUMERS_AT_ONCE}
            functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig=limit)


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


@dataclass(frozen=True)
class Posting:
    """The stack as it writes to its members. mail: between its functions and SES. given_up_before, dead_before: what
    was in `given_up` and `dead_letters` already, from tests of other files."""

    stack: LocalStack
    library: LibraryClient
    mail: FaultProxy
    outgoing: Outgoing
    given_up_before: frozenset[str] = frozenset()
    dead_before: Mapping[str, int] = field(default_factory=dict)

    def sweep(self) -> None:
        """What the schedule does every minute."""
        answer = self.stack.client("lambda").invoke(FunctionName=self.stack.functions["SweepFunction"], Payload=b"{}")
        assert "FunctionError" not in answer, answer["Payload"].read()

    def until_nothing_more_comes(self, *user_ids: str) -> None:
        """Waits until everything that was planned for these members is sent, dropped or given up, and no function has
        anything left to do: whatever is to come twice has come by then. For no members: for all of them, except what
        is planned for later than a minute from now."""

        def over() -> bool:
            if self.outgoing.is_over(*user_ids) if user_ids else not self.outgoing.is_anything_due():
                return True
            self.sweep()
            return False

        eventually(over, "nothing on its way to them", seconds=300)

    def given_up(self) -> list[dict[str, Any]]:
        """What the API lists as failed."""
        answer = self.library.http.get("/api/notifications/failed?limit=100", headers=self.library.as_admin())
        found: list[dict[str, Any]] = ok(answer)["items"]
        return [one for one in found if one["id"] not in self.given_up_before]

    def dead_letters(self) -> dict[str, int]:
        """Queues of given-up things that are not empty."""
        queues = {name: url for name, url in self.stack.outputs.items() if name.endswith("DeadLetters")}
        waiting = {
            name: int(
                self.stack.client("sqs").get_queue_attributes(
                    QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
                )["Attributes"]["ApproximateNumberOfMessages"]
            )
            for name, url in queues.items()
        }
        return {name: number for name, number in waiting.items() if number > self.dead_before.get(name, 0)}


@pytest.fixture(scope="module")
def posting(stack: LocalStack, library: LibraryClient, mail_proxy: FaultProxy) -> Posting:
    """With nothing on its way to anybody: a test that breaks the mail breaks it for its own members only."""
    if os.environ.get("AWS_ENDPOINT_URL"):
        pytest.skip("mail goes through a proxy in this process, which needs an emulator of our own")
    posting = Posting(stack, library, mail_proxy, Outgoing(stack))
    posting.until_nothing_more_comes()
    given_up = frozenset(one["id"] for one in posting.given_up())
    return replace(posting, given_up_before=given_up, dead_before=posting.dead_letters())
