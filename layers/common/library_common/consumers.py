"""Lambda handlers for SQS queues: every message is counted, logged, and then deleted, retried or moved away.

A consumer of events is a rule -> queue -> function (docs/events.md). Messages can come twice, late and in any
order. The handler must take effect once: by the event's id, or by a condition on what it writes.

What happens to a message:

* handled: its log line has the outcome.
* failed: it is retried after a delay, which grows each time. It does not block other messages.
* failed `MAX_RECEIVES` times, or raised `PoisonMessage`: it moves unchanged to the dead-letter queue, with the reason
  in message attributes, and can be redriven from there. When the process dies on a message, the queue itself counts
  the receive (`maxReceiveCount`) and moves the message without a reason.

Logs and reasons name fields that are wrong, never their values: messages may hold personal data.
"""

import json
import random
import re
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from pydantic import BaseModel, Field, ValidationError, model_validator

from library_common import aws
from library_common.clock import SystemClock, to_rfc3339
from library_common.context import accepted_correlation_id
from library_common.events import Envelope
from library_common.ids import is_id
from library_common.telemetry import logged_invocation, logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

MAX_RECEIVES = 5
"""Attempts per message. The queues have the same `maxReceiveCount`."""

RETRY_DELAYS = (5.0, 20.0, 80.0, 300.0)
"""Seconds between the attempts. Short at first, because most failures are short; nearly seven minutes in all, to
outlast a brief outage of a table.
"""

_FAILED, _SET_ASIDE, _SET_ASIDE_SOME = "failed", "set aside", "set aside some"
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")
_EVENT_TYPE = re.compile(r"[A-Z][A-Za-z]{0,63}")
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What parsing a body may raise. Parsers do no I/O, so a retry would find the same bytes."""


class PoisonMessage(Exception):
    """No retry can handle this message. The text says why, without values from the message."""


@dataclass(frozen=True)
class ParsedMessage[M]:
    """A parsed message. log_fields: ids for its log line."""

    message: M
    correlation_id: str | None = None
    log_fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Delivery:
    """An event as delivered by a rule.

    replay: the name of the archive replay, when it comes from one. source: who put it on the bus.
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
    def _types_match(self) -> Self:
        # Rules filter by the detail type: an envelope of another type would pass them.
        if self.detail_type is not None and self.detail_type != self.detail.type:
            raise ValueError("the envelope and the event have different types")
        return self


def read_delivery(body: str) -> ParsedMessage[Delivery]:
    """Parses a queue message that EventBridge made from an event. Raises ValueError for anything else."""
    found = _Message.model_validate_json(body)
    envelope = found.detail
    return ParsedMessage(
        Delivery(envelope, found.replay, found.source),
        accepted_correlation_id(envelope.correlation_id),
        {"event_id": envelope.id, "event_type": envelope.type},
    )


def data_of[D: BaseModel](delivery: Delivery, model: type[D]) -> D:
    """The event's data as `model`, which ignores other fields. Raises PoisonMessage, which names the wrong fields."""
    try:
        return model.model_validate(delivery.envelope.data)
    except ValidationError as wrong:
        raise PoisonMessage(f"unreadable: {failure_summary(wrong)}") from wrong


class Queue:
    """The queue that a function consumes: retries and dead letters."""

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
        self._retry_delays = tuple(retry_delays)
        self._jitter = jitter

    def retry_later(self, record: "SQSRecord") -> None:
        """Makes the message visible again after a delay. The delay varies by a quarter, to spread retries."""
        index = min(max(receives(record), 1), len(self._retry_delays)) - 1
        delay = self._retry_delays[index] * (0.75 + 0.5 * self._jitter())
        aws.sqs().change_message_visibility(
            QueueUrl=self._url, ReceiptHandle=record.receipt_handle, VisibilityTimeout=int(delay)
        )

    def move_to_dead_letters(self, record: "SQSRecord", attributes: Mapping[str, str]) -> None:
        """Sends the message unchanged to the dead-letter queue, with these message attributes."""
        aws.send_dead_letter(self._dead_letters_url, record.body, attributes)


def receives(record: "SQSRecord") -> int:
    """How many times the message was received, this time included."""
    # Events written by hand may not have it.
    attributes = record.raw_event.get("attributes") or {}
    return int(attributes.get("ApproximateReceiveCount", 1))


class _QueueConsumer[M, H]:
    """Base of the consumers. M: the type of a message. H: the type of `handle`.

    name: in logs. service: the actor in logs and events. read: parses a body, without I/O; a message for
    which it raises is poison.
    """

    def __init__(
        self, name: str, *, service: str, queue: Queue, read: Callable[[str], ParsedMessage[M]], handle: H
    ) -> None:
        self._name = name
        self._actor = f"service:{service}"
        self._queue = queue
        self._read = read
        self._handle = handle

    def _parse(self, body: str) -> ParsedMessage[M | PoisonMessage]:
        """The message, or why it cannot be parsed; with its ids in both cases."""
        try:
            return self._read(body)
        except PoisonMessage as poison:
            return _unreadable(body, poison)
        except _UNREADABLE as failure:
            reason = PoisonMessage(f"unreadable: {failure_summary(failure)}")
            return _unreadable(body, reason.with_traceback(failure.__traceback__))

    def _retry_or_give_up(
        self, record: "SQSRecord", failure: Exception, correlation_id: str, log_fields: Mapping[str, str]
    ) -> str:
        """Returns `set aside` when the message is now in the dead-letter queue, `failed` when it will be retried.

        Never raises. If SQS cannot be reached, the message comes again when its visibility timeout ends. After the last
        receive the queue itself moves it to the dead-letter queue, without a reason.
        """
        received = receives(record)
        attributes = {
            "reason": str(failure) if isinstance(failure, PoisonMessage) else failure_summary(failure),
            "consumer": self._name,
            "correlation_id": correlation_id,
            **{name: log_fields[name] for name in ("event_id", "event_type") if name in log_fields},
        }
        about = {**attributes, "received": received, "message_id": record.message_id, "where": _where(failure)}
        try:
            if not isinstance(failure, PoisonMessage) and received < MAX_RECEIVES:
                logger().error("message failed", extra=about)
                self._queue.retry_later(record)
                return _FAILED
            attributes |= {"set_aside_at": to_rfc3339(SystemClock().now()), "received": str(received)}
            self._queue.move_to_dead_letters(record, attributes)
        except Exception as unreachable:  # noqa: BLE001 - the message is not lost: it comes again
            logger().error("queue failed", extra={**about, "failure": failure_summary(unreachable)})
            return _FAILED
        logger().error("message set aside", extra=about)
        return _SET_ASIDE


class Consumer[M](_QueueConsumer[M, Callable[[M], str]]):
    """A Lambda handler that handles the messages of a queue one at a time.

    handle: returns the outcome in a word or two, for the log; there are only a few outcomes. Raises
    PoisonMessage when no retry can succeed, and anything else when one may. The other parameters: see `_QueueConsumer`.
    """

    def __call__(self, event: Mapping[str, Any], _context: object) -> dict[str, Any]:
        """Returns the messages to retry (a partial batch response)."""
        return _partial_batch_response(event.get("Records") or [], self._handle_record)

    def _handle_record(self, record: "SQSRecord") -> None:
        with logged_invocation(self._name, actor=self._actor) as running:
            try:
                found = self._parse(record.body)
                if found.correlation_id is not None:
                    running.correlation_id = accepted_correlation_id(found.correlation_id)
                running.log_fields.update(found.log_fields)
                if isinstance(found.message, PoisonMessage):
                    raise found.message  # noqa: TRY301 - as if `handle` had raised it
                running.status = self._handle(found.message)
            except Exception as failure:
                running.status = self._retry_or_give_up(record, failure, running.correlation_id, running.log_fields)
                if running.status == _FAILED:
                    raise


class BatchFailed(Exception):
    """The whole batch could not be handled."""


class BatchConsumer[M](_QueueConsumer[M, Callable[[Sequence[M]], Sequence[str | Exception]]]):
    """A Lambda handler that handles the messages of a batch together, where that costs less.

    handle: takes the messages that could be parsed. Returns one outcome for each, in the same order: a word or two,
    or the exception that the message failed with. If it raises, every message failed. Each batch has one log line
    with its correlation ids and the number of messages by outcome; its status is `failed`, `set aside some` or `ok`.
    The other parameters: see `_QueueConsumer`.
    """

    def __call__(self, event: Mapping[str, Any], _context: object) -> dict[str, Any]:
        """Returns the messages to retry (a partial batch response)."""
        records = event.get("Records") or []
        with logged_invocation(self._name, actor=self._actor) as running:
            found = {record["messageId"]: self._parse(record["body"]) for record in records}
            outcomes = self._outcomes({message_id: each.message for message_id, each in found.items()})
            for known in found.values():
                running.add_correlation_id(known.correlation_id)
            statuses: Counter[str] = Counter()

            def finish(record: "SQSRecord") -> None:
                outcome, known = outcomes[record.message_id], found[record.message_id]
                if isinstance(outcome, str):
                    statuses[outcome] += 1
                    return
                correlation_id = known.correlation_id or running.correlation_id
                status = self._retry_or_give_up(record, outcome, correlation_id, known.log_fields)
                statuses[status] += 1
                if status == _FAILED:
                    raise outcome

            answer = _partial_batch_response(records, finish)
            for status, number in statuses.items():
                running.log_fields[f"messages_{status.replace(' ', '_')}"] = str(number)
            running.status = _FAILED if statuses[_FAILED] else _SET_ASIDE_SOME if statuses[_SET_ASIDE] else "ok"
        return answer

    def _outcomes(self, found: Mapping[str, M | PoisonMessage]) -> dict[str, str | Exception]:
        """Message id -> the outcome or failure."""
        outcomes: dict[str, str | Exception] = {}
        readable: dict[str, M] = {}
        for message_id, message in found.items():
            if isinstance(message, PoisonMessage):
                outcomes[message_id] = message
            else:
                readable[message_id] = message
        if not readable:
            return outcomes
        try:
            handled = self._handle(list(readable.values()))
        except PoisonMessage as poison:
            # Raised for the whole batch, it does not say which message is poison: retry all of them.
            return outcomes | dict.fromkeys(readable, BatchFailed(str(poison)))
        except Exception as failure:  # noqa: BLE001 - every message of the batch failed with it
            return outcomes | dict.fromkeys(readable, failure)
        if len(handled) != len(readable):
            failed = BatchFailed(f"{len(handled)} outcomes for {len(readable)} messages")
            return outcomes | dict.fromkeys(readable, failed)
        return outcomes | dict(zip(readable, handled, strict=True))


def _partial_batch_response(records: Sequence[Any], handle_record: "Callable[[SQSRecord], None]") -> dict[str, Any]:
    """Calls `handle_record` for each record. Those that raise are retried."""
    # Imported late: modules that only send messages import this module, too.
    from aws_lambda_powertools.utilities.batch import (  # noqa: PLC0415
        BatchProcessor,
        EventType,
        process_partial_response,
    )

    if not records:
        return {"batchItemFailures": []}  # the processor refuses an empty batch
    # No exception even if every message failed: the response and the log say so.
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    answer = process_partial_response(
        event={"Records": list(records)}, record_handler=handle_record, processor=processor, context=cast("Any", None)
    )
    return dict(answer)


def _unreadable(body: str, poison: PoisonMessage) -> ParsedMessage[PoisonMessage]:
    """With the well-formed ids in the body, so that its log line has them."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ParsedMessage(poison)
    detail = document.get("detail") if isinstance(document, dict) else None
    if not isinstance(detail, dict):
        return ParsedMessage(poison)
    text = {name: value for name, value in detail.items() if isinstance(value, str)}
    correlation_id, event_id, event_type = text.get("correlation_id"), text.get("id", ""), text.get("type", "")
    return ParsedMessage(
        poison,
        correlation_id if accepted_correlation_id(correlation_id) == correlation_id else None,
        ({"event_id": event_id} if is_id(event_id) else {})
        | ({"event_type": event_type} if _EVENT_TYPE.fullmatch(event_type) else {}),
    )


def failure_summary(failure: BaseException) -> str:
    """The type of the failure, with an AWS error code or the names of wrong fields. Never their values."""
    name = type(failure).__name__
    if isinstance(failure, ValidationError):
        wrong = (f"{_field(error['loc'])} ({error['type']})" for error in failure.errors(include_input=False))
        return f"{name}: {', '.join(wrong)}"
    if isinstance(failure, json.JSONDecodeError):
        return f"{name}: not JSON"
    code = getattr(failure, "response", {}).get("Error", {}).get("Code")
    return f"{name}: {code}" if code else name


def _field(place: Sequence[int | str]) -> str:
    """The path of a field in a message. Parts that do not look like names are hidden: a map's keys may be anything."""
    parts = [str(part) for part in place]
    shown = (part if _FIELD_NAME.fullmatch(part) or part.isdecimal() else "…" for part in parts)
    return ".".join(shown) or "message"


def _where(failure: BaseException) -> str:
    """The innermost lines of code. They help where the exception's text must not be logged."""
    frames = traceback.extract_tb(failure.__traceback__)[-4:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
