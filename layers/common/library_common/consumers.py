"""The one way to work on a queue: every message counted, logged and either done, back for later, or set aside.

A consumer of the bus is a rule -> queue -> function (docs/events.md). Messages may come twice, late and in any
order: having an effect once is up to whoever handles them, by the event's own id or by what is written.

What becomes of a message:

* handled: its one line in the log says with what outcome.
* failed: it comes again after a pause, longer each time, and holds up nobody else.
* failed `MAX_RECEIVES` times, or raised `PoisonMessage`: it moves unchanged to the dead-letter queue, with the reason
  in message attributes, and can be redriven from there. When the process dies on a message, the queue itself counts
  the receive (`maxReceiveCount`) and moves the message without a reason.

Neither logs nor reasons hold what a message says, only which fields are wrong: messages may be about people.
"""

import json
import random
import re
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from pydantic import BaseModel, Field, ValidationError, model_validator

from library_common import aws
from library_common.clock import SystemClock, to_rfc3339
from library_common.context import Invocation, accepted_correlation_id, invocation
from library_common.events import Envelope
from library_common.ids import is_id
from library_common.telemetry import count, log_invocation, logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

MAX_RECEIVES = 5
"""Tries a message has. The queues' `maxReceiveCount` is the same."""

RETRY_DELAYS = (5.0, 20.0, 80.0, 300.0)
"""Seconds between the tries: soon at first, because most failures are short; nearly seven minutes altogether, because
an outage of a table is none of a message's fault.
"""

_LONGEST_REASON = 500
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")
_EVENT_TYPE = re.compile(r"[A-Z][A-Za-z]{0,63}")
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What reading a body may raise. Readers do no I/O, so trying again would find the same bytes."""


class PoisonMessage(Exception):
    """No number of tries will handle this message; the sentence says why, without what the message holds."""


@dataclass(frozen=True)
class ParsedMessage[M]:
    """A message understood. notes: ids that its line in the log shows."""

    message: M
    correlation_id: str | None = None
    log_fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Delivery:
    """An event as a rule delivers it.

    replay: the name of the archive's replay it comes from, if it does. source: who put it on the bus.
    """

    envelope: Envelope
    replay: str | None = None
    source: str | None = None


class _Message(BaseModel):
    detail: Envelope
    detail_type: str | None = Field(default=None, alias="detail-type")
    source: str | None = None
    replay: str | None = Field(default=None, alias="replay-name")

    @model_validator(mode="after")
    def _is_what_the_rule_looked_at(self) -> Self:
        # Rules choose by the detail type; an envelope of another type would get past them.
        if self.detail_type is not None and self.detail_type != self.detail.type:
            raise ValueError("the envelope is of another type than the event")
        return self


def read_delivery(body: str) -> ParsedMessage[Delivery]:
    """A queue message that EventBridge made of an event. Raises ValueError for anything else."""
    found = _Message.model_validate_json(body)
    envelope = found.detail
    return ParsedMessage(
        Delivery(envelope, found.replay, found.source),
        accepted_correlation_id(envelope.correlation_id),
        {"event_id": envelope.id, "event_type": envelope.type},
    )


def data_of[D: BaseModel](delivery: Delivery, model: type[D]) -> D:
    """The event's data, as far as `model` wants it. Raises PoisonMessage, which names the fields that are wrong."""
    try:
        return model.model_validate(delivery.envelope.data)
    except ValidationError as wrong:
        raise PoisonMessage(f"unreadable: {failure_summary(wrong)}") from wrong


class Queue:
    """A queue that a function works on, as seen by that function: retry delays and dead letters."""

    def __init__(
        self,
        url: str,
        dead_letters_url: str,
        *,
        retry_delays: Sequence[float] = RETRY_DELAYS,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """retry_delays: seconds to wait after the first receive, the second and so on; the last one repeats."""
        self._url = url
        self._dead_letters_url = dead_letters_url
        self._pauses = tuple(retry_delays)
        self._jitter = jitter

    def retry_later(self, record: "SQSRecord") -> None:
        """It comes again after a pause, give or take a quarter, so that what failed together comes apart."""
        place = min(max(receives(record), 1), len(self._pauses)) - 1
        pause = self._pauses[place] * (0.75 + 0.5 * self._jitter())
        aws.sqs().change_message_visibility(
            QueueUrl=self._url, ReceiptHandle=record.receipt_handle, VisibilityTimeout=int(pause)
        )

    def move_to_dead_letters(self, record: "SQSRecord", why: Mapping[str, str]) -> None:
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


def receives(record: "SQSRecord") -> int:
    """How many times the message was received, this time included."""
    # Hand-made events may lack it.
    attributes = record.raw_event.get("attributes") or {}
    return int(attributes.get("ApproximateReceiveCount", 1))


class _OnQueue[M, H]:
    """What all consumers are made of; H: how they handle messages.

    name: in logs and metrics. service: the actor of what it does. read: bodies to messages, without I/O; what it raises
    is poison.
    """

    def __init__(
        self,
        name: str,
        *,
        service: str,
        queue: Queue,
        read: Callable[[str], ParsedMessage[M]],
        handle: H,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._name = name
        self._service = service
        self._queue = queue
        self._read = read
        self._handle = handle
        self._clock = clock


class Consumer[M](_OnQueue[M, Callable[[M], str]]):
    """A Lambda handler for the messages of one queue, one at a time.

    handle: returns the outcome in a word or two, for logs and metrics; there are only a few outcomes. Raises
    PoisonMessage when no retry can succeed, and anything else when one may. The other parameters: see `_OnQueue`.
    """

    def __call__(self, event: Mapping[str, Any], _context: object) -> dict[str, Any]:
        """Answers which messages failed and are to come again."""
        return _one_by_one(event.get("Records") or [], self._work_on)

    def _work_on(self, record: "SQSRecord") -> None:
        started = self._clock()
        status = _FAILED
        with invocation(actor=f"service:{self._service}") as running:
            try:
                status = self._handle(_understood(self._read, record.body, running))
            except Exception as failure:
                about = ParsedMessage(None, running.correlation_id, running.log_fields)
                status = _give_up_or_wait(self._queue, self._name, record, failure, about)
                if status == _FAILED:
                    raise
            finally:
                count("Consumed", consumer=self._name, outcome=status)
                log_invocation(self._name, status=status, duration_ms=(self._clock() - started) * 1000)


def _one_by_one(records: Sequence[Any], work_on: "Callable[[SQSRecord], None]") -> dict[str, Any]:
    """The answer for Lambda: those that raised are to come again."""
    # Whoever only puts messages on a queue imports this module, too, and should not pay for reading them.
    from aws_lambda_powertools.utilities.batch import (  # noqa: PLC0415
        BatchProcessor,
        EventType,
        process_partial_response,
    )

    if not records:
        return {"batchItemFailures": []}  # which the processor takes for a mistake
    # Every message failing is no reason for an exception: the answer says so, and the log has said why.
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    answer = process_partial_response(
        event={"Records": list(records)}, record_handler=work_on, processor=processor, context=cast("Any", None)
    )
    return dict(answer)


_FAILED, _SET_ASIDE, _SET_ASIDE_SOME = "failed", "set aside", "set aside some"


def _understood[M](read: Callable[[str], ParsedMessage[M]], body: str, running: Invocation) -> M:
    """The message in a body, noted in the running invocation. Raises PoisonMessage."""
    try:
        found = _read(read, body)
    except PoisonMessage:
        _note(_told_by(body), running)
        raise
    _note(found, running)
    return found.message


def _note(found: ParsedMessage[Any], running: Invocation) -> None:
    if found.correlation_id is not None:
        running.correlation_id = accepted_correlation_id(found.correlation_id)
    running.log_fields.update(found.log_fields)


def _told_by(body: str) -> ParsedMessage[None]:
    """What a body that cannot be read tells of itself all the same, as far as that is well-formed: so that it is found
    under its own ids.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ParsedMessage(None)
    detail = document.get("detail") if isinstance(document, dict) else None
    if not isinstance(detail, dict):
        return ParsedMessage(None)
    text = {name: value for name, value in detail.items() if isinstance(value, str)}
    correlation_id, event_id, event_type = text.get("correlation_id"), text.get("id", ""), text.get("type", "")
    return ParsedMessage(
        None,
        correlation_id if accepted_correlation_id(correlation_id) == correlation_id else None,
        ({"event_id": event_id} if is_id(event_id) else {})
        | ({"event_type": event_type} if _EVENT_TYPE.fullmatch(event_type) else {}),
    )


def _read[M](read: Callable[[str], ParsedMessage[M]], body: str) -> ParsedMessage[M]:
    try:
        return read(body)
    except _UNREADABLE as failure:
        raise PoisonMessage(f"unreadable: {failure_summary(failure)}") from failure


def _give_up_or_wait(
    queue: Queue, consumer: str, record: "SQSRecord", failure: Exception, known: ParsedMessage[Any]
) -> str:
    """`set aside` when the message is in the dead-letter queue now, `failed` when it comes again.

    Never raises. What could not be set aside, or given a pause, comes again when its visibility runs out; if that was
    its last receive, the queue itself sets it aside then, without a reason.
    """
    reason = str(failure) if isinstance(failure, PoisonMessage) else failure_summary(failure)
    received = receives(record)
    given_up = isinstance(failure, PoisonMessage) or received >= MAX_RECEIVES
    found_by = {"correlation_id": known.correlation_id or ""} | {
        name: known.log_fields[name] for name in ("event_id", "event_type") if name in known.log_fields
    }
    about = {
        "consumer": consumer,
        "reason": reason,
        "received": received,
        "message_id": record.message_id,
        **found_by,
    }
    try:
        if not given_up:
            logger().error("message failed", extra={**about, "where": _where(failure)})
            queue.retry_later(record)
            return _FAILED
        queue.move_to_dead_letters(
            record,
            {
                "reason": reason,
                "consumer": consumer,
                **found_by,
                "set_aside_at": to_rfc3339(SystemClock().now()),
                "received": str(received),
            },
        )
    except Exception as unreachable:  # noqa: BLE001 - it is the message that is at stake, which comes again
        logger().error("queue failed", extra={**about, "failure": failure_summary(unreachable)})
        return _FAILED
    logger().error("message set aside", extra={**about, "where": _where(failure)})
    count("SetAside", consumer=consumer)
    return _SET_ASIDE


def failure_summary(failure: BaseException) -> str:
    """The kind of failure, with an AWS error code or the fields that are wrong; never what they hold."""
    name = type(failure).__name__
    if isinstance(failure, ValidationError):
        wrong = (f"{_field(error['loc'])} ({error['type']})" for error in failure.errors(include_input=False))
        return f"{name}: {', '.join(wrong)}"
    if isinstance(failure, json.JSONDecodeError):
        return f"{name}: not JSON"
    code = getattr(failure, "response", {}).get("Error", {}).get("Code")
    return f"{name}: {code}" if code else name


def _field(place: Sequence[int | str]) -> str:
    """Where in a message something is wrong. Keys of a map may be anything, addresses too: only names are repeated."""
    return ".".join(str(part) if _FIELD.fullmatch(str(part)) or str(part).isdecimal() else "…" for part in place) or (
        "message"
    )


def _where(failure: BaseException) -> str:
    """The innermost places of the code, which say what a message text may not."""
    frames = traceback.extract_tb(failure.__traceback__)[-4:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))


class BatchFailed(Exception):
    """A batch as a whole could not be handled."""


class BatchConsumer[M](_OnQueue[M, Callable[[Sequence[M]], Sequence[str | Exception]]]):
    """A Lambda handler for the messages of one queue, all of a batch together: for what costs less that way.

    handle: is given the messages that could be read and answers one outcome each, in the same order: a word or two, or
    the exception that message failed with. If it raises, every message failed. One line in the log per batch, with how
    many messages came to what end, and their correlation ids beside its own; its status is the worst: `failed`,
    `set aside some` or `ok`. The rest is as `_OnQueue` says.
    """

    def __call__(self, event: Mapping[str, Any], _context: object) -> dict[str, Any]:
        """Answers which messages failed and are to come again."""
        started = self._clock()
        records = event.get("Records") or []
        with invocation(actor=f"service:{self._service}") as running:
            conclusions = self._conclusions(records)
            for _, known in conclusions.values():
                running.add_correlation_id(known.correlation_id)
            statuses: Counter[str] = Counter()

            def conclude(record: "SQSRecord") -> None:
                outcome, known = conclusions[record.message_id]
                if isinstance(outcome, str):
                    statuses[outcome] += 1
                    return
                about = ParsedMessage(None, known.correlation_id or running.correlation_id, known.log_fields)
                status = _give_up_or_wait(self._queue, self._name, record, outcome, about)
                statuses[status] += 1
                if status == _FAILED:
                    raise outcome

            answer = _one_by_one(records, conclude)
            for status, number in statuses.items():
                count("Consumed", number, consumer=self._name, outcome=status)
                running.log_fields[f"messages_{status.replace(' ', '_')}"] = str(number)
            log_invocation(
                self._name,
                status=_FAILED if statuses[_FAILED] else _SET_ASIDE_SOME if statuses[_SET_ASIDE] else "ok",
                duration_ms=(self._clock() - started) * 1000,
            )
        return answer

    def _conclusions(
        self, records: Sequence[Mapping[str, Any]]
    ) -> dict[str, tuple[str | Exception, ParsedMessage[Any]]]:
        """For every message by its id what became of it, and what is known of it."""
        concluded: dict[str, tuple[str | Exception, ParsedMessage[Any]]] = {}
        readable: dict[str, ParsedMessage[M]] = {}
        for record in records:
            try:
                readable[record["messageId"]] = _read(self._read, record["body"])
            except PoisonMessage as poison:
                concluded[record["messageId"]] = (poison, _told_by(record["body"]))
        outcomes = self._outcomes([found.message for found in readable.values()])
        for (message_id, found), outcome in zip(readable.items(), outcomes, strict=True):
            concluded[message_id] = (outcome, found)
        return concluded

    def _outcomes(self, messages: Sequence[M]) -> Sequence[str | Exception]:
        if not messages:
            return []
        try:
            outcomes = self._handle(messages)
        except PoisonMessage as poison:
            # Said of the whole batch it does not tell which message is the bad one: all of them come again.
            return [BatchFailed(str(poison))] * len(messages)
        except Exception as failure:  # noqa: BLE001 - every message of the batch failed with it
            return [failure] * len(messages)
        if len(outcomes) != len(messages):
            return [BatchFailed(f"{len(outcomes)} outcomes for {len(messages)} messages")] * len(messages)
        return outcomes
