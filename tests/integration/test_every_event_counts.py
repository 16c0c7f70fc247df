"""A busy day at the deployed library, and what becomes of its events: each counts once, however often and in whatever
order it is delivered, and whatever fails meanwhile."""

import json
from collections import Counter
from typing import Any

import pytest

from gateway_service.revocations import consumer
from gateway_service.revoked_epochs import RevokedEpochs
from library_common import aws
from library_common.clock import SystemClock
from library_common.consumers import Queue
from library_common.dynamodb import Table
from library_common.ids import new_id
from localstack.embedded.stack import LocalStack
from tests.fakes.sqs import SqsInMemory
from tests.support import busy_day
from tests.support.bus_deliveries import delivery, doubled_and_shuffled, put_on_queue, work_off
from tests.support.busy_day import Day, Truth
from tests.support.consumer_queues import CONSUMERS, ConsumerQueue
from tests.support.event_tap import EventTap
from tests.support.flaky import Failures, Flaky
from tests.support.library_client import LibraryClient

pytestmark = [pytest.mark.integration, pytest.mark.resilience]

LOANS, MEMBERS, TITLES = 1_000, 36, 12
SEED = 20261122

OF_LOANS = {"LoanCreated", "LoanRenewed", "LoanReturned"}


@pytest.fixture(scope="module")
def day(library: LibraryClient, bus: EventTap) -> Day:
    """A thousand loans, almost as many returns, a few renewals; the bus was listened to before the first."""
    return busy_day.spend(library, loans=LOANS, members=MEMBERS, titles=TITLES, seed=SEED)


@pytest.fixture(scope="module")
def truth(library: LibraryClient, day: Day) -> Truth:
    return Truth.of(day, busy_day.all_loans(library, day.members))


@pytest.fixture(scope="module")
def deliveries(bus: EventTap, day: Day) -> list[str]:
    """The day's events of loans, as the bus delivered them."""
    found = bus.deliveries(OF_LOANS, day.events, seconds=60)
    return [body for body in found if json.loads(body)["detail"]["data"]["user_id"] in day.members]


def test_the_bus_carries_what_the_loans_say(day: Day, truth: Truth, deliveries: list[str]) -> None:
    assert (truth.loans, truth.renewals, truth.returns) == (day.issued, day.renewed, day.returned)
    assert truth.loans == LOANS
    assert truth.open == day.issued - day.returned > 0

    told = [json.loads(body)["detail"] for body in deliveries]
    assert Counter(event["type"] for event in told) == {
        "LoanCreated": truth.loans,
        "LoanRenewed": truth.renewals,
        "LoanReturned": truth.returns,
    }
    created = [event["data"] for event in told if event["type"] == "LoanCreated"]
    assert Counter(data["user_id"] for data in created) == truth.by_member
    assert Counter(data["book_id"] for data in created) == truth.by_title
    assert Counter(data["role"] for data in created) == truth.by_role
    for kind in ("LoanCreated", "LoanReturned"):
        assert set(Counter(e["data"]["loan_id"] for e in told if e["type"] == kind).values()) == {1}, kind


# -- revocations ------------------------------------------------------------------------------


def revocations(members: list[str], epochs: int) -> list[str]:
    """The end of everybody's sessions, so many times."""
    return [
        delivery(
            {
                "id": new_id(),
                "type": "SessionsRevoked",
                "version": 1,
                "occurred_at": "2026-11-22T08:00:00Z",
                "correlation_id": new_id(),
                "actor": "system",
                "subject": f"user:{member}",
                "data": {"user_id": member, "reason": "suspended", "epoch": epoch},
            },
            "library.users",
        )
        for member in members
        for epoch in range(1, epochs + 1)
    ]


def revoked(stack: LocalStack, members: list[str]) -> dict[str, int]:
    """What the gateway knows of them."""
    table = Table(stack.outputs["GatewayTable"], lambda: stack.client("dynamodb"))
    return {item["sk"]: item["epoch"] for item in table.get_many([{"pk": "REVOKED", "sk": m} for m in members])}


def test_revocations_doubled_and_out_of_order_leave_the_last_epoch(stack: LocalStack) -> None:
    (consumed,) = [each for each in CONSUMERS if each.name == "revocations"]
    queue = ConsumerQueue(stack, consumed)
    members = [new_id() for _ in range(40)]

    queue.put(doubled_and_shuffled(revocations(members, 3), SEED))
    queue.until_empty(seconds=60)

    assert revoked(stack, members) == dict.fromkeys(members, 3)
    assert queue.dead_letters() == 0


def test_a_consumer_of_revocations_that_fails_every_fifth_time_misses_none(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, on the table of the stack: the one way to let every fifth call fail, half of them afterwards."""
    sqs, url, dead_letters = SqsInMemory(SEED), "https://sqs/revocations", "https://sqs/dead-letters"
    sqs.create(url, dead_letters=dead_letters)
    monkeypatch.setattr(aws, "sqs", lambda: sqs)
    failures = Failures(0.2, SEED)
    client: Any = Flaky(stack.client("dynamodb"), failures, only={"put_item"})
    epochs = RevokedEpochs(Table(stack.outputs["GatewayTable"], lambda: client), SystemClock())
    handler = consumer(epochs, Queue(url, dead_letters))
    members = [new_id() for _ in range(60)]

    put_on_queue(sqs, url, doubled_and_shuffled(revocations(members, 4), SEED))
    work_off(handler, sqs, url)
    while sqs.redrive(url):
        work_off(handler, sqs, url)

    assert len(failures.injected) > 60
    assert revoked(stack, members) == dict.fromkeys(members, 4)
    assert sqs.waiting(url) == sqs.waiting(dead_letters) == []
