"""A busy day at the deployed library, and what becomes of its events: each counts once, however often and in whatever
order it is delivered, and whatever fails meanwhile."""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from analytics_service.adapters.aliases import DynamoAliases
from analytics_service.adapters.counter_reader import DynamoCounterReader
from analytics_service.adapters.dynamodb import DynamoLedger
from analytics_service.adapters.generations import CachedGenerations, DynamoGenerations
from analytics_service.application.apply_events import ApplyEvents, HotCounters
from analytics_service.application.reports import Reports
from analytics_service.consumer import consumer as analytics_consumer
from analytics_service.domain.days import Granularity, calendar_of
from gateway_service.revocations import consumer as revocations_consumer
from gateway_service.revoked_epochs import RevokedEpochs
from library_common.clock import SystemClock
from library_common.dynamodb import Table
from library_common.ids import new_id
from localstack.embedded.stack import LocalStack
from notifications_service.adapters.task_queue import to_message
from notifications_service.application.ports import DueDelivery
from notifications_service.consumer import consumer as notifications_consumer
from notifications_service.domain.kinds import Channel
from tests.depth import at_depth
from tests.fakes.analytics import title_names
from tests.fakes.post_office import Post
from tests.fakes.sqs import DEAD_LETTERS_URL, QUEUE_URL, SqsInMemory, in_place_of_sqs, queue
from tests.support import busy_day
from tests.support.bus_deliveries import Handler, delivery, doubled_and_shuffled, put_on_queue, work_off
from tests.support.busy_day import Day, Truth
from tests.support.clock import FixedClock
from tests.support.consumer_queues import BY_NAME, SENDER, Consumed, ConsumerQueue
from tests.support.day_in_messages import Mentions, in_mails, in_their_list, to_be_mailed, to_be_mentioned
from tests.support.day_in_reports import Ask, to_be_told, told, whole_library
from tests.support.event_tap import EventTap
from tests.support.flaky import Failures, Flaky
from tests.support.library_client import LibraryClient, eventually, ok
from tests.support.tables import create_table

DEADLINE_SECONDS = 600.0
"""A day's loans, and everything that follows from them, take their time on a busy machine."""

pytestmark = [pytest.mark.integration, pytest.mark.resilience, pytest.mark.timeout(3 * DEADLINE_SECONDS)]

LOANS, MEMBERS, TITLES = at_depth(quick=(24, 6, 4), full=(1_000, 36, 12))
SEED = 20261122
FAILING = at_depth(quick=0.45, full=0.2)
"""The share of calls that fail. With fewer events more calls must fail, so that some events are set aside."""

OF_LOANS = {"LoanCreated", "LoanRenewed", "LoanReturned"}


@pytest.fixture(scope="module")
def before(stack: LocalStack, library: LibraryClient) -> Counter[str]:
    """The whole library's numbers before the day, once nothing is left to be counted."""
    ConsumerQueue(stack, BY_NAME["analytics"]).until_empty(seconds=DEADLINE_SECONDS)
    return whole_library(reports(library))


@pytest.fixture(scope="module")
def day(library: LibraryClient, bus: EventTap, before: Counter[str]) -> Day:
    """Loans, almost as many returns, a few renewals; the bus was listened to before the first."""
    assert before is not None
    return busy_day.spend(library, loans=LOANS, members=MEMBERS, titles=TITLES, seed=SEED)


@pytest.fixture(scope="module")
def truth(library: LibraryClient, day: Day) -> Truth:
    return Truth(day, busy_day.all_loans(library, day.members))


@pytest.fixture(scope="module")
def deliveries(bus: EventTap, day: Day) -> list[str]:
    """The day's events of loans, as the bus delivered them."""
    found = bus.deliveries(OF_LOANS, day.events, seconds=DEADLINE_SECONDS)
    return [body for body in found if json.loads(body)["detail"]["data"]["user_id"] in day.members]


@pytest.fixture(scope="module")
def arrivals(bus: EventTap, day: Day) -> list[str]:
    """The events of the day's members and titles coming to the library, as the bus delivered them."""
    found = bus.deliveries(
        {"MemberRegistered", "BookAdded"}, len(day.members) + len(day.books), seconds=DEADLINE_SECONDS
    )
    ours = {*day.members, *day.books}
    return [body for body in found if ours & set(map(str, json.loads(body)["detail"]["data"].values()))]


def reports(library: LibraryClient) -> Ask:
    return lambda path: ok(library.http.get(f"/api/analytics/{path}", headers=library.as_librarian()))


def test_the_bus_carries_what_the_loans_say(day: Day, truth: Truth, deliveries: list[str]) -> None:
    assert truth.acts == (day.issued, day.returned, day.renewed)
    assert truth.acts.loans == LOANS
    assert truth.open == day.issued - day.returned > 0

    told = [json.loads(body)["detail"] for body in deliveries]
    assert Counter(event["type"] for event in told) == {
        "LoanCreated": truth.acts.loans,
        "LoanRenewed": truth.acts.renewals,
        "LoanReturned": truth.acts.returns,
    }
    created = [event["data"] for event in told if event["type"] == "LoanCreated"]
    for field, truly in (("user_id", truth.by_member()), ("book_id", truth.by_title()), ("role", truth.by_role())):
        assert Counter(data[field] for data in created) == {key: acts.loans for key, acts in truly.items()}, field
    for kind in ("LoanCreated", "LoanReturned"):
        assert set(Counter(e["data"]["loan_id"] for e in told if e["type"] == kind).values()) == {1}, kind


# -- everything twice more, on the deployed stack ---------------------------------------------


@pytest.fixture(scope="module")
def again(stack: LocalStack, day: Day, deliveries: list[str]) -> None:
    """Every event of the day's loans comes twice more, in any order, to whoever counts it and whoever tells members.

    The sender is told to look after a member again with each of them. To have it do so four thousand times, one by
    one, takes minutes and shows no more than twice for each member does.
    """
    analytics, notifications = (ConsumerQueue(stack, BY_NAME[name]) for name in ("analytics", "notifications"))
    sender = ConsumerQueue(stack, SENDER)
    # What the purge below takes from the queue of a mail that is still to be sent, only the sweep brings back.
    sender.until_empty(seconds=DEADLINE_SECONDS)
    with sender.held_back():
        notifications.put(doubled_and_shuffled(deliveries, SEED))
        analytics.put(doubled_and_shuffled(deliveries, SEED + 1))
        notifications.until_empty(seconds=DEADLINE_SECONDS)
        sender.purge()
        look_after = [to_message(DueDelivery(member, Channel.EMAIL)) for member in day.members]
        sender.put(doubled_and_shuffled(look_after, SEED))


def worked_off(stack: LocalStack, consumed: Consumed) -> None:
    """Nothing is left on the queue, nor among its dead letters, which may have had a second chance."""
    queue = ConsumerQueue(stack, consumed)
    queue.until_empty(seconds=DEADLINE_SECONDS)
    if queue.redrive():
        queue.until_empty(seconds=DEADLINE_SECONDS)
    assert queue.dead_letters() == 0


@pytest.mark.usefixtures("again")
def test_reports_say_what_the_loans_say(
    stack: LocalStack, library: LibraryClient, before: Counter[str], day: Day, truth: Truth
) -> None:
    worked_off(stack, BY_NAME["analytics"])

    assert told(reports(library), day, before) == to_be_told(truth)


@pytest.mark.usefixtures("again")
def test_each_notice_stands_in_its_members_list_once(
    stack: LocalStack, library: LibraryClient, day: Day, truth: Truth
) -> None:
    worked_off(stack, BY_NAME["notifications"])

    for member, role in day.members.items():
        mentions, others = in_their_list(library, member, role)
        assert mentions == to_be_mentioned(truth, member)
        assert others == ["welcome"]


# -- calls fail, in this process, on tables of the stack's engine --------------------


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> SqsInMemory:
    """A queue with dead letters, in memory: the one way to have messages set aside and redriven in no time."""
    return in_place_of_sqs(monkeypatch, SEED)


def in_spite_of_all(handler: Handler, sqs: SqsInMemory, messages: list[str], *, batch_size: int = 10) -> int:
    """Works until every message was handled, with as many redrives as it takes; answers how many were redriven."""
    put_on_queue(sqs, QUEUE_URL, messages)
    work_off(handler, sqs, QUEUE_URL, batch_size=batch_size)
    redriven = 0
    while moved := sqs.redrive(QUEUE_URL):
        redriven += moved
        work_off(handler, sqs, QUEUE_URL, batch_size=batch_size)
    assert sqs.waiting(QUEUE_URL) == sqs.waiting(DEAD_LETTERS_URL) == []
    return redriven


def test_analytics_that_fail_now_and_then_count_each_event_once(
    stack: LocalStack, sqs: SqsInMemory, day: Day, truth: Truth, deliveries: list[str], arrivals: list[str]
) -> None:
    real, name = stack.client("dynamodb"), f"analytics-{new_id()}"
    create_table(real, "AnalyticsTable", name)
    failures = Failures(FAILING, SEED)
    client: Any = Flaky(real, failures, only={"batch_get_item", "put_item", "transact_write_items"})
    table, calendar = Table(name, lambda: client, sleep=lambda _: None), calendar_of("UTC")
    generations = CachedGenerations(DynamoGenerations(table), time.monotonic)
    apply_events = ApplyEvents(
        ledger=DynamoLedger(table, SystemClock()),
        aliases=DynamoAliases(table),
        generations=generations,
        calendar=calendar,
        sleep=lambda _: None,
        hot=HotCounters(time.monotonic),
    )

    redriven = in_spite_of_all(
        analytics_consumer(apply_events, queue()),
        sqs,
        doubled_and_shuffled([*arrivals, *deliveries], SEED),
        batch_size=at_depth(quick=10, full=50),
    )

    assert {"before", "after"} == {each.split()[1] for each in failures.injected}
    assert redriven > 0
    read = Table(name, lambda: real, meter=lambda *_: None)
    reports = Reports(
        counters=DynamoCounterReader(read, generations),
        title_names=title_names(apply_events),
        aliases=DynamoAliases(read),
        calendar=calendar,
        clock=SystemClock(),
    )
    assert told(reports_of(reports), day, {}) == to_be_told(truth)


def reports_of(reports: Reports) -> Ask:
    """Reports without the way over HTTP."""
    span = reports.span(None, None)

    def ask(path: str) -> dict[str, Any]:
        name, _, of = path.partition("?")[0].partition("/")
        views: dict[str, Callable[[], BaseModel]] = {
            "borrowing-trends": lambda: reports.trend(span, Granularity.DAY),
            "dashboard": reports.dashboard,
            "popular-books": lambda: reports.popular_titles(span, 100),
            "genres": lambda: reports.genres(span),
            "member-activity": lambda: reports.member_activity(of, span),
            "overdue-patterns": lambda: reports.overdue_patterns(span),
            "collection-turnover": lambda: reports.turnover(span),
            "engagement": lambda: reports.engagement(span),
        }
        return views[name]().model_dump(mode="json")

    return ask


def test_notifications_that_fail_now_and_then_tell_each_member_once(
    stack: LocalStack, sqs: SqsInMemory, day: Day, truth: Truth, deliveries: list[str]
) -> None:
    """The lists and the e-mails of a third of the members: planning is a transaction for each event."""
    members = sorted(day.members)[::3]
    real, name = stack.client("dynamodb"), f"notifications-{new_id()}"
    create_table(real, "NotificationsTable", name)
    failures = Failures(FAILING, SEED)
    post = Post(lambda: real, name, clock=FixedClock(datetime.now(UTC)))
    for member in members:
        post.services.join(id=member)
    flaky_queue: Any = Flaky(post.queue, failures, only={"put"})
    flaky_client: Any = Flaky(real, failures, only={"transact_write_items"})
    flaky_post = replace(post, client=lambda: flaky_client)
    flaky_post.queue = flaky_queue
    theirs = [body for body in deliveries if json.loads(body)["detail"]["data"]["user_id"] in members]

    redriven = in_spite_of_all(
        notifications_consumer(lambda: flaky_post.event_handling, queue()),
        sqs,
        doubled_and_shuffled(theirs, SEED),
    )

    assert {"before", "after"} == {each.split()[1] for each in failures.injected}
    assert redriven > 0
    post.clock.advance(timedelta(minutes=2))
    # Each member's task is there many times; the second finds nothing to send.
    for task in dict.fromkeys([*(task for _, task in post.queue.messages)] * 2):
        post.do(task)
    for member in members:
        told_of = to_be_mentioned(truth, member)
        assert Counter(tuple(line.split(" ", 1)) for line in post.lines(member)) == told_of
        entries = post.entries(member)
        assert Counter((str(entry.kind), entry.data["title"]) for entry in entries) == told_of


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
    queue = ConsumerQueue(stack, BY_NAME["revocations"])
    members = [new_id() for _ in range(at_depth(quick=8, full=40))]

    queue.put(doubled_and_shuffled(revocations(members, 3), SEED))
    queue.until_empty(seconds=DEADLINE_SECONDS)

    assert revoked(stack, members) == dict.fromkeys(members, 3)
    assert queue.dead_letters() == 0


def test_a_consumer_of_revocations_that_fails_now_and_then_misses_none(stack: LocalStack, sqs: SqsInMemory) -> None:
    failures = Failures(FAILING, SEED)
    client: Any = Flaky(stack.client("dynamodb"), failures, only={"put_item"})
    epochs = RevokedEpochs(Table(stack.outputs["GatewayTable"], lambda: client), SystemClock())
    members = [new_id() for _ in range(at_depth(quick=10, full=60))]

    in_spite_of_all(
        revocations_consumer(epochs.revoke_before, queue()), sqs, doubled_and_shuffled(revocations(members, 4), SEED)
    )

    assert len(failures.injected) > len(members)
    assert revoked(stack, members) == dict.fromkeys(members, 4)


# -- e-mails, which went out meanwhile --------------------------------------------------------


@pytest.mark.usefixtures("again")
def test_each_loan_was_told_of_by_email_once(stack: LocalStack, day: Day, truth: Truth) -> None:
    """Last, because what was done in a visit is told a minute after it."""
    wanted = {member: to_be_mailed(truth, member) for member in day.members}

    def mailed() -> dict[str, Mentions]:
        bodies: dict[str, list[str]] = {address.lower(): [] for address in day.addresses.values()}
        for message in stack.messages():
            bodies.get(message.to.lower(), []).append(message.body)
        return {member: in_mails(bodies[day.addresses[member].lower()]) for member in day.members}

    def all_of_them() -> bool:
        return all(wanted[member][0] <= mentions for member, mentions in mailed().items())

    eventually(all_of_them, "everybody has every notice", seconds=DEADLINE_SECONDS)
    # What is still to be done about them finds nothing to send.
    worked_off(stack, SENDER)

    for member, mentions in mailed().items():
        least, most = wanted[member]
        assert least <= mentions <= most
