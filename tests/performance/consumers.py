"""What consumers of the bus cost and how fast they are, on a deployed stack: from their functions' own log lines.

A new consumer is an entry of `MEASURED`. Times are the emulator's on the machine at hand, so they are told as ratios to
what a conditional write takes there; units and invocations are as on AWS.
"""

import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import batched
from typing import Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import Expression, Table
from library_common.ids import new_id
from localstack.embedded.layout import ROOT
from localstack.embedded.stack import LocalStack
from tests.performance.measuring import Measurement
from tests.support.bus_deliveries import delivery, sqs_event
from tests.support.consumer_queues import BY_NAME, Consumed, ConsumerQueue
from tests.support.invocations import is_invocation_of, log_group

_SOON, _PATIENT = 60.0, 900.0
_NOT_HANDLED = {"failed", "set aside"}


_SEED = 20261122
_BATCHES = 10
_ALONE = 5


def from_sample(service: str, name: str, **data: Any) -> dict[str, Any]:
    """The event of events/samples with an id of its own, as if it had happened to somebody else: with these data."""
    envelope: dict[str, Any] = json.loads((ROOT / "events" / "samples" / service / f"{name}.json").read_text())
    envelope["id"] = new_id()
    envelope["data"] |= data
    return envelope


def end_of_sessions() -> list[dict[str, Any]]:
    return [from_sample("users", "SessionsRevoked.v1", user_id=new_id())]


def member_erased() -> list[dict[str, Any]]:
    """Somebody without loans: what loans itself pays is two units for each of those."""
    return [from_sample("users", "MemberErased.v1", user_id=new_id())]


class Library:
    """Loans of a library of some hundred members and some thousand titles, from checkout to return, within a month."""

    def __init__(self) -> None:
        self._random = random.Random(_SEED)
        self._members = [new_id() for _ in range(400)]
        self._titles = [(new_id(), f"genre {number % 8}") for number in range(2_000)]

    def loan(self) -> list[dict[str, Any]]:
        book, genre = self._random.choice(self._titles)
        ids = {"loan_id": new_id(), "user_id": self._random.choice(self._members), "book_id": book}
        lent = from_sample("loans", "LoanCreated.v2", genre=genre, **ids)
        renewed = from_sample("loans", "LoanRenewed.v1", **ids) | {"occurred_at": "2026-11-26T18:30:00Z"}
        at = "2026-11-28T09:15:00Z"
        returned = from_sample("loans", "LoanReturned.v1", return_date=at, **ids) | {"occurred_at": at}
        return [lately(envelope) for envelope in (lent, renewed, returned)]


_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def lately(envelope: dict[str, Any]) -> dict[str, Any]:
    """With every moment moved by as many days as it is since the story's last: members are not told old news."""
    since = timedelta(days=(datetime.now(UTC).date() - date(2026, 11, 28)).days)

    def moved(found: re.Match[str]) -> str:
        return to_rfc3339(from_rfc3339(found[0]) + since)

    moved_on: dict[str, Any] = json.loads(_MOMENT.sub(moved, json.dumps(envelope)))
    return moved_on


@dataclass(frozen=True)
class Measured:
    """A consumer and events it does something about. story: what happens to one thing; the first event of many such
    stories comes over the bus, and waits on the queue.

    Budgets: write units of an event by its type, when there is nothing else to do (alone) and when all there is to do
    fills whole batches (together); invocations for an event of many.
    resting: who is given nothing meanwhile, since it would work on the same events, or on what this consumer does.
    queued_at_most: how many events it has to catch up with, where so many as of others never come.
    """

    consumed: Consumed
    source: str
    story: Callable[[], list[dict[str, Any]]]
    alone: Mapping[str, float]
    together: Mapping[str, float]
    invocations: float
    resting: Sequence[Consumed] = field(default_factory=tuple)
    queued_at_most: int | None = None


MEASURED = (
    Measured(
        BY_NAME["revocations"],
        "library.users",
        end_of_sessions,
        alone={"SessionsRevoked": 1},
        together={"SessionsRevoked": 1},
        invocations=0.2,
    ),
    Measured(
        BY_NAME["analytics"],
        "library.loans",
        Library().loan,
        alone={"LoanCreated": 18, "LoanRenewed": 18, "LoanReturned": 12},
        together={"LoanCreated": 11, "LoanRenewed": 12, "LoanReturned": 6},
        invocations=0.2,
        resting=[BY_NAME["notifications"]],
    ),
    Measured(
        BY_NAME["notifications"],
        "library.loans",
        Library().loan,
        alone={"LoanCreated": 14, "LoanRenewed": 14, "LoanReturned": 10},
        together={"LoanCreated": 14, "LoanRenewed": 14, "LoanReturned": 10},
        invocations=0.2,
        resting=[BY_NAME["analytics"], Consumed("sender", "OutgoingQueue", "OutgoingDeadLetters", "SenderFunction")],
    ),
    Measured(
        BY_NAME["erasures"],
        "library.users",
        member_erased,
        alone={"MemberErased": 2},
        together={"MemberErased": 2},
        # One member at a time, on purpose.
        invocations=1,
        resting=[BY_NAME["analytics"], BY_NAME["notifications"]],
        queued_at_most=500,
    ),
)


@dataclass(frozen=True)
class Work:
    """What a function did, by its log. invocations: batches; lines: one for each message, or for each batch."""

    invocations: int
    lines: Sequence[dict[str, Any]]

    @property
    def handled(self) -> int:
        """Messages that neither failed nor were set aside."""
        return sum(_handled(line) for line in self.lines)

    def spent(self, unit: str) -> float:
        """The sum of `write_units` or `read_units`."""
        return float(sum(line[unit] for line in self.lines))


def consumers(stack: LocalStack, *, events: int = 500, queued: int = 10_000) -> Iterator[Measurement]:
    """Each consumer in turn: the way from the bus, catching up, and the cost of an event."""
    write = _seconds_for_a_write(stack)
    yield Measurement("a conditional write on this emulator, from one client", 1000 * write, "ms")
    for measured in MEASURED:
        queue = ConsumerQueue(stack, measured.consumed)
        with ExitStack() as meanwhile:
            for resting in measured.resting:
                meanwhile.enter_context(ConsumerQueue(stack, resting).held_back())
            queue.purge()  # of what came while others were measured
            yield from _from_the_bus(stack, measured, queue, events, write)
            number = min(queued, measured.queued_at_most or queued)
            yield from _catching_up(stack, measured, queue, number, write)
            yield from _in_full_batches(stack, measured, queue)
            yield from _alone(stack, measured, queue)


def _from_the_bus(
    stack: LocalStack, measured: Measured, queue: ConsumerQueue, number: int, write: float
) -> Iterator[Measurement]:
    name = measured.consumed.name
    since, started = now_in_milliseconds(), time.monotonic()
    _publish(stack, measured.source, [measured.story()[0] for _ in range(number)])
    work = _worked(stack, queue, since, number, seconds=_SOON + number / 5)
    seconds = time.monotonic() - started
    yield Measurement(f"{name}: write units per event, as they come", work.spent("write_units") / number, "units")
    yield Measurement(f"{name}: read units per event, as they come", work.spent("read_units") / number, "units")
    yield Measurement(f"{name}: invocations per event, as they come", work.invocations / number, "invocations")
    yield Measurement(f"{name}: from the bus, {number} at once", number / seconds, "events/s")
    yield Measurement(f"{name}: time per event from the bus, over a write", seconds / number / write, "x write")


def _catching_up(
    stack: LocalStack, measured: Measured, queue: ConsumerQueue, number: int, write: float
) -> Iterator[Measurement]:
    name = measured.consumed.name
    since = now_in_milliseconds()
    with queue.held_back():
        queue.put([delivery(measured.story()[0], measured.source) for _ in range(number)])
        assert queue.waiting() == number, f"{queue.waiting()} of {number} on the queue of {name}, which is held back"
        started = time.monotonic()
    queue.until_empty(seconds=_PATIENT)
    seconds = time.monotonic() - started
    work = _worked(stack, queue, since, number, seconds=_SOON)
    yield Measurement(f"{name}: events left after {number} were caught up with", number - work.handled, "events", 0)
    yield Measurement(f"{name}: set aside meanwhile", queue.dead_letters(), "messages", 0)
    yield Measurement(f"{name}: {number} events caught up with after", seconds, "s")
    yield Measurement(f"{name}: time per event when catching up, over a write", seconds / number / write, "x write")
    yield Measurement(
        f"{name}: invocations per event when catching up",
        work.invocations / number,
        "invocations",
        measured.invocations,
    )


def _in_full_batches(stack: LocalStack, measured: Measured, queue: ConsumerQueue) -> Iterator[Measurement]:
    """Whole stories, type by type, in batches as large as the mapping allows: handed to the function directly, since
    the emulator's mapping takes ten messages at most."""
    size = queue.batch_size()
    stories = [measured.story() for _ in range(_BATCHES * size)]
    for envelopes in zip(*stories, strict=True):
        since = now_in_milliseconds()
        for batch in batched(envelopes, size, strict=True):
            event = sqs_event([delivery(envelope, measured.source) for envelope in batch])
            answer = stack.client("lambda").invoke(FunctionName=queue.function, Payload=json.dumps(event).encode())
            failed = json.loads(answer["Payload"].read())["batchItemFailures"]
            assert not failed, f"{len(failed)} of a batch of {size} failed in {measured.consumed.name}"
        work = _worked(stack, queue, since, len(stories), seconds=_SOON)
        type_, units = envelopes[0]["type"], work.spent("write_units") / len(stories)
        what = f"{measured.consumed.name}: {type_} in batches of {size}"
        yield Measurement(f"{what}, write units", units, "units", measured.together[type_])


def _alone(stack: LocalStack, measured: Measured, queue: ConsumerQueue) -> Iterator[Measurement]:
    """Each event of a few stories by itself."""
    done: dict[str, list[Work]] = {}
    for story in [measured.story() for _ in range(_ALONE)]:
        for envelope in story:
            since = now_in_milliseconds()
            queue.put([delivery(envelope, measured.source)])
            done.setdefault(envelope["type"], []).append(_worked(stack, queue, since, 1, seconds=_SOON))
    for type_, works in done.items():
        what = f"{measured.consumed.name}: {type_} alone"
        units = sum(work.spent("write_units") for work in works) / len(works)
        yield Measurement(f"{what}, write units", units, "units", measured.alone[type_])


def _publish(stack: LocalStack, source: str, envelopes: Sequence[dict[str, Any]]) -> None:
    events = stack.client("events")
    for start in range(0, len(envelopes), 10):
        answer = events.put_events(
            Entries=[
                {
                    "EventBusName": stack.outputs["EventBusName"],
                    "Source": source,
                    "DetailType": envelope["type"],
                    "Detail": json.dumps(envelope),
                }
                for envelope in envelopes[start : start + 10]
            ]
        )
        assert answer["FailedEntryCount"] == 0, answer


def _worked(stack: LocalStack, queue: ConsumerQueue, since: int, number: int, *, seconds: float) -> Work:
    """What the function did since then, once it has handled so many; what it has done in that time if it does not."""
    deadline = time.monotonic() + seconds
    while True:
        work = _work_since(stack, queue, since)
        if work.handled >= number or time.monotonic() > deadline:
            return work
        time.sleep(0.2)


def _work_since(stack: LocalStack, queue: ConsumerQueue, since: int) -> Work:
    messages = log_of(stack, queue.consumed.function, since)
    lines = [json.loads(message) for message in messages if is_invocation_of(message, queue.function)]
    return Work(sum(message.startswith("REPORT ") for message in messages), lines)


def log_of(stack: LocalStack, function: str, since: int) -> list[str]:
    """Everything a function logged from then on, by its name in the template. Functions of a service share a log group;
    a stream in it belongs to one of them."""
    events = list(_logged(stack.client("logs"), log_group(stack, function), since))
    own = {stream for stream, message in events if is_invocation_of(message, stack.functions[function])}
    return [message for stream, message in events if stream in own]


def _logged(logs: Any, group: str, since: int) -> Iterator[tuple[str, str]]:
    """Stream and text of every line from then on.

    Stream by stream: the emulator shows ten thousand lines, those of one stream after those of another, and no token
    for the next ones. Within a stream they are in order of time.
    """
    try:
        pages = list(logs.get_paginator("describe_log_streams").paginate(logGroupName=group))
    except logs.exceptions.ResourceNotFoundException:
        return  # not invoked yet
    for stream in (stream["logStreamName"] for page in pages for stream in page["logStreams"]):
        seen: set[tuple[int, str]] = set()
        begin = since
        while True:
            found = logs.filter_log_events(logGroupName=group, logStreamNames=[stream], startTime=begin)["events"]
            new = {(event["timestamp"], event["message"]) for event in found} - seen
            if not new:
                break
            yield from ((stream, message) for _, message in new)
            seen |= new
            begin = max(timestamp for timestamp, _ in new)


def _handled(line: dict[str, Any]) -> int:
    batched = {key.removeprefix("messages_"): int(line[key]) for key in line if key.startswith("messages_")}
    if not batched:
        return int(line["status"] not in _NOT_HANDLED)
    return sum(number for status, number in batched.items() if status.replace("_", " ") not in _NOT_HANDLED)


def _seconds_for_a_write(stack: LocalStack, times: int = 200) -> float:
    table = Table(stack.outputs["GatewayTable"], lambda: stack.client("dynamodb"), meter=lambda *_: None)
    new = Expression("attribute_not_exists(#pk)", names={"pk": "pk"})
    started = time.monotonic()
    for _ in range(times):
        table.put({"pk": f"BENCH#{new_id()}", "sk": "-", "expires_at_epoch": int(time.time())}, new)
    return (time.monotonic() - started) / times


def now_in_milliseconds() -> int:
    """Milliseconds since the epoch, as logs count."""
    return int(time.time() * 1000)
