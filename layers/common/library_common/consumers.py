"""The one way to work on a queue: every message counted, logged and either done, back for later, or set aside.

A consumer of the bus is a rule -> queue -> function (docs/events.md). Messages may come twice, late and in any
order: having an effect once is up to whoever handles them, by the event's own id or by what is written.

What becomes of a message:

* handled: its one line in the log says with what outcome.
* failed: it comes again after a pause, longer each time, and holds up nobody else.
* failed `MAX_RECEIVES` times, or `Poison`: it goes to the dead-letter queue as it came, with the reason as message
  attributes, and can be redriven from there. A process that dies on a message is counted by the queue itself
  (`maxReceiveCount`), which then sets it aside without a reason.

Neither logs nor reasons hold what a message says, only which fields are wrong: messages may be about people.
"""

import json
import random
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from pydantic import BaseModel, Field, ValidationError

from library_common import aws
from library_common.clock import SystemClock, to_rfc3339
from library_common.context import Invocation, accepted_correlation_id, invocation
from library_common.events import Envelope
from library_common.telemetry import count, log_invocation, logger

MAX_RECEIVES = 5
"""Tries a message has. The queues' `maxReceiveCount` is the same."""

_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 300.0
_LONGEST_REASON = 500


class Poison(Exception):
    """No number of tries will handle this message; the sentence says why, without what the message holds."""


@dataclass(frozen=True)
class Read[M]:
    """A message understood. notes: ids that its line in the log shows."""

    message: M
    correlation_id: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Delivery:
    """An event as a rule delivers it. replay: the name of the archive's replay it comes from, if it does."""

    envelope: Envelope
    replay: str | None = None


class _Message(BaseModel):
    detail: Envelope
    replay: str | None = Field(default=None, alias="replay-name")


def read_delivery(body: str) -> Read[Delivery]:
    """A queue message that EventBridge made of an event. Raises ValueError for anything else."""
    found = _Message.model_validate_json(body)
    envelope = found.detail
    return Read(
        Delivery(envelope, found.replay),
        accepted_correlation_id(envelope.correlation_id),
        {"event_id": envelope.id, "event_type": envelope.type},
    )


class Queue:
    """A queue that a function works on, as seen by that function: pauses, and setting aside."""

    def __init__(self, url: str, dead_letters_url: str, *, jitter: Callable[[], float] = random.random) -> None:
        self._url = url
        self._dead_letters_url = dead_letters_url
        self._jitter = jitter

    def later(self, record: SQSRecord) -> None:
        """It comes again after 5 s, 10 s, 20 s … up to 5 minutes, give or take a quarter."""
        longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(receives(record) - 1, 10))
        pause = longest * (0.75 + 0.5 * self._jitter())
        aws.sqs().change_message_visibility(
            QueueUrl=self._url, ReceiptHandle=record.receipt_handle, VisibilityTimeout=int(pause)
        )

    def set_aside(self, record: SQSRecord, why: Mapping[str, str]) -> None:
        """Into the dead-letter queue as it came, with `why` as message attributes."""
        aws.sqs().send_message(
            QueueUrl=self._dead_letters_url,
            MessageBody=record.body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": text[:_LONGEST_REASON]}
                for name, text in why.items()
                if text
            },
        )


def receives(record: SQSRecord) -> int:
    """How many times the message was received, this time included."""
    # Hand-made events may lack it.
    attributes = record.raw_event.get("attributes") or {}
    return int(attributes.get("ApproximateReceiveCount", 1))


class Consumer[M]:
    """A Lambda handler for the messages of one queue, one at a time.

    name: in logs and metrics. service: the actor of what it does. read: bodies to messages; any ValueError, TypeError
    or KeyError it raises is poison. handle: answers the outcome in a word or two, for log and metrics; few-valued.
    """

    def __init__(
        self,
        name: str,
        *,
        service: str,
        queue: Queue,
        read: Callable[[str], Read[M]],
        handle: Callable[[M], str],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._name = name
        self._service = service
        self._queue = queue
        self._read = read
        self._handle = handle
        self._clock = clock

    def __call__(self, event: Mapping[str, Any], _context: object) -> dict[str, Any]:
        """Answers which messages failed and are to come again."""
        # Every message failing is no reason for an exception: the answer says so, and the log has said why.
        processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
        answer = process_partial_response(
            event={"Records": event.get("Records") or []},
            record_handler=self._work_on,
            processor=processor,
            context=cast("Any", None),
        )
        return dict(answer)

    def _work_on(self, record: SQSRecord) -> None:
        started = self._clock()
        status = "failed"
        with invocation(actor=f"service:{self._service}") as running:
            try:
                status = self._handle(understood(self._read, record.body, running))
            except Exception as failure:
                status = self._failed(record, failure, running)
                if status == "failed":
                    raise
            finally:
                count("Consumed", consumer=self._name, outcome=status)
                log_invocation(self._name, status=status, duration_ms=(self._clock() - started) * 1000)

    def _failed(self, record: SQSRecord, failure: Exception, running: Invocation) -> str:
        return give_up_or_wait(self._queue, self._name, record, failure, running)


def understood[M](read: Callable[[str], Read[M]], body: str, running: Invocation) -> M:
    """The message in a body, noted in the running invocation. Raises Poison."""
    try:
        found = read(body)
    except (ValueError, TypeError, KeyError) as failure:
        raise Poison(f"unreadable: {what_failed(failure)}") from failure
    if found.correlation_id is not None:
        running.correlation_id = accepted_correlation_id(found.correlation_id)
    running.notes.update(found.notes)
    return found.message


def give_up_or_wait(queue: Queue, consumer: str, record: SQSRecord, failure: Exception, running: Invocation) -> str:
    """`set aside` when the message is in the dead-letter queue now, `failed` when it comes again."""
    reason = str(failure) if isinstance(failure, Poison) else what_failed(failure)
    received = receives(record)
    given_up = isinstance(failure, Poison) or received >= MAX_RECEIVES
    logger().error(
        "message set aside" if given_up else "message failed",
        extra={"consumer": consumer, "reason": reason, "received": received, "where": _where(failure)},
    )
    if not given_up:
        queue.later(record)
        return "failed"
    queue.set_aside(
        record,
        {
            "reason": reason,
            "consumer": consumer,
            "correlation_id": running.correlation_id,
            "set_aside_at": to_rfc3339(SystemClock().now()),
            "received": str(received),
        },
    )
    count("SetAside", consumer=consumer)
    return "set aside"


def what_failed(failure: BaseException) -> str:
    """The kind of failure, with an AWS error code or the fields that are wrong; never what they hold."""
    name = type(failure).__name__
    if isinstance(failure, ValidationError):
        wrong = (f"{'.'.join(map(str, error['loc'])) or 'message'} ({error['type']})" for error in failure.errors())
        return f"{name}: {', '.join(wrong)}"
    if isinstance(failure, json.JSONDecodeError):
        return f"{name}: not JSON"
    code = getattr(failure, "response", {}).get("Error", {}).get("Code")
    return f"{name}: {code}" if code else name


def _where(failure: BaseException) -> str:
    """The innermost places of the code, which say what a message text may not."""
    frames = traceback.extract_tb(failure.__traceback__)[-4:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))


class BatchConsumer[M]:
    """A Lambda handler for the messages of one queue, all of a batch together: for what costs less that way.

    handle: is given the messages that could be read and answers one outcome each, in the same order: a word or two, or
    the exception that message failed with. If it raises, every message failed. One line in the log per batch.
    """

    def __init__(
        self,
        name: str,
        *,
        service: str,
        queue: Queue,
        read: Callable[[str], Read[M]],
        handle: Callable[[Sequence[M]], Sequence[str | Exception]],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._name = name
        self._service = service
        self._queue = queue
        self._read = read
        self._handle = handle
        self._clock = clock

    def __call__(self, event: Mapping[str, Any], _context: object) -> dict[str, Any]:
        """Answers which messages failed and are to come again."""
        started = self._clock()
        with invocation(actor=f"service:{self._service}") as running:
            outcomes = self._outcomes(event.get("Records") or [])
            statuses: dict[str, int] = {}

            def conclude(record: SQSRecord) -> None:
                outcome = outcomes[record.message_id]
                status = (
                    outcome
                    if isinstance(outcome, str)
                    else give_up_or_wait(self._queue, self._name, record, outcome, running)
                )
                statuses[status] = statuses.get(status, 0) + 1
                if status == "failed":
                    raise cast("Exception", outcome)

            processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
            answer = process_partial_response(
                event={"Records": event.get("Records") or []},
                record_handler=conclude,
                processor=processor,
                context=cast("Any", None),
            )
            for status, number in statuses.items():
                count("Consumed", number, consumer=self._name, outcome=status)
                running.notes[f"messages_{status.replace(' ', '_')}"] = str(number)
            log_invocation(
                self._name,
                status="failed" if "failed" in statuses else "ok",
                duration_ms=(self._clock() - started) * 1000,
            )
        return dict(answer)

    def _outcomes(self, records: Sequence[Mapping[str, Any]]) -> dict[str, str | Exception]:
        outcomes: dict[str, str | Exception] = {}
        readable: dict[str, M] = {}
        for record in records:
            try:
                readable[record["messageId"]] = self._read(record["body"]).message
            except (ValueError, TypeError, KeyError) as failure:
                outcomes[record["messageId"]] = Poison(f"unreadable: {what_failed(failure)}")
        try:
            answered = self._handle(list(readable.values())) if readable else []
        except Exception as failure:  # noqa: BLE001 - every message of the batch failed with it
            answered = [failure] * len(readable)
        outcomes.update(zip(readable, answered, strict=True))
        return outcomes
