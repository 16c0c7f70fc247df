"""What consumers of the bus cost and how fast they are, on a deployed stack: from their functions' own log lines.

A new consumer is a line in `MEASURED`. Times are the emulator's on the machine at hand, so they are told as ratios to
what a conditional write takes there; units and invocations are as on AWS.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from library_common.dynamodb import Expression, Table
from library_common.ids import new_id
from localstack.embedded.layout import ROOT
from localstack.embedded.stack import LocalStack
from tests.performance.measuring import Measurement
from tests.support.bus_deliveries import delivery
from tests.support.consumer_queues import CONSUMERS, Consumed, ConsumerQueue

_SOON, _PATIENT = 60.0, 900.0
_NOT_HANDLED = {"failed", "set aside"}


def from_sample(service: str, name: str, *fresh: str) -> dict[str, Any]:
    """The event of events/samples, as if it had happened to somebody else: with new ids in these fields of its data."""
    envelope: dict[str, Any] = json.loads((ROOT / "events" / "samples" / service / f"{name}.json").read_text())
    envelope["id"] = new_id()
    envelope["data"] |= {field: new_id() for field in fresh}
    return envelope


@dataclass(frozen=True)
class Measured:
    """A consumer and an event it does something about. write_units, invocations: budgets for one such event of many."""

    consumed: Consumed
    source: str
    event: Callable[[], dict[str, Any]]
    write_units: float
    invocations: float


_BY_NAME = {consumed.name: consumed for consumed in CONSUMERS}
MEASURED = (
    Measured(
        _BY_NAME["revocations"],
        "library.users",
        lambda: from_sample("users", "SessionsRevoked.v1", "user_id"),
        write_units=1,
        invocations=0.2,
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
    """Each consumer in turn: the cost of an event, the way from the bus, and catching up."""
    write = _seconds_for_a_write(stack)
    yield Measurement("a conditional write on this emulator, from one client", 1000 * write, "ms")
    for measured in MEASURED:
        queue = ConsumerQueue(stack, measured.consumed)
        yield from _from_the_bus(stack, measured, queue, events, write)
        yield from _catching_up(stack, measured, queue, queued, write)


def _from_the_bus(
    stack: LocalStack, measured: Measured, queue: ConsumerQueue, number: int, write: float
) -> Iterator[Measurement]:
    name = measured.consumed.name
    since, started = _now(), time.monotonic()
    _publish(stack, measured.source, [measured.event() for _ in range(number)])
    work = _worked(stack, queue, since, number, seconds=_SOON + number / 5)
    seconds = time.monotonic() - started
    yield Measurement(
        f"{name}: write units per event", work.spent("write_units") / number, "units", measured.write_units
    )
    yield Measurement(f"{name}: read units per event", work.spent("read_units") / number, "units")
    yield Measurement(f"{name}: invocations per event, as they come", work.invocations / number, "invocations")
    yield Measurement(f"{name}: from the bus, {number} at once", number / seconds, "events/s")
    yield Measurement(f"{name}: time per event from the bus, over a write", seconds / number / write, "x write")


def _catching_up(
    stack: LocalStack, measured: Measured, queue: ConsumerQueue, number: int, write: float
) -> Iterator[Measurement]:
    name = measured.consumed.name
    since = _now()
    with queue.held_back():
        queue.put([delivery(measured.event(), measured.source) for _ in range(number)])
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
    logs = stack.client("logs")
    invocations, lines = 0, []
    try:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{queue.function}", startTime=since
        )
        for page in pages:
            for event in page["events"]:
                invocations += event["message"].startswith("REPORT ")
                if '"message":"invocation"' in event["message"]:
                    lines.append(json.loads(event["message"]))
    except logs.exceptions.ResourceNotFoundException:
        pass  # not invoked yet
    return Work(invocations, lines)


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


def _now() -> int:
    """Milliseconds since the epoch, as logs count."""
    return int(time.time() * 1000)
