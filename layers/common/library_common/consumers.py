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
from library_common.telemetry import log_invocation, logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

MAX_RECEIVES = 5
"""Attempts per message. The queues have the same `maxReceiveCount`."""

RETRY_DELAYS = (5.0, 20.0, 80.0, 300.0)
"""Seconds between the attempts. Short at first, because most failures are short; nearly seven minutes in all, to
outlast a brief outage of a table.
"""

_MAX_REASON_LENGTH = 500
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
        aws.sqs().send_message(
            QueueUrl=self._dead_letters_url,
            MessageBody=record.body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": text[:_MAX_REASON_LENGTH]}
                for name, text in attributes.items()
                if text
            },
        )


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


class Consumer[M](_QueueConsumer[M, Callable[[M], str]]):
    """A Lambda handler that handles the messages of a queue one at a time.

    handle: returns the outcome in a word or two, for the log; there are only a few outcomes. Raises
    PoisonMessage when no retry can succeed, and anything else when one may. The other parameters: see `_QueueConsumer`.
    """

    def __call__(self, event: Mapping[str, Any], _context: object) -> dict[str, Any]:
        """Returns the messages to retry (a partial batch response)."""
        return _partial_batch_response(event.get("Records") or [], self._handle_record)

    def _handle_record(self, record: "SQSRecord") -> None:
        started = self._clock()
        status = _FAILED
        with invocation(actor=f"service:{self._service}") as running:
            try:
                status = self._handle(_parse_and_note(self._read, record.body, running))
            except Exception as failure:
                about = ParsedMessage(None, running.correlation_id, running.log_fields)
                status = _retry_or_give_up(self._queue, self._name, record, failure, about)
                if status == _FAILED:
                    raise
            finally:
                log_invocation(self._name, status=status, duration_ms=(self._clock() - started) * 1000)


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


_FAILED, _SET_ASIDE, _SET_ASIDE_SOME = "failed", "set aside", "set aside some"


def _parse_and_note[M](read: Callable[[str], ParsedMessage[M]], body: str, running: Invocation) -> M:
    """The message in a body. Its ids are added to the running invocation. Raises PoisonMessage."""
    try:
        found = _read(read, body)
    except PoisonMessage:
        _note(_ids_in(body), running)
        raise
    _note(found, running)
    return found.message


def _note(found: ParsedMessage[Any], running: Invocation) -> None:
    if found.correlation_id is not None:
        running.correlation_id = accepted_correlation_id(found.correlation_id)
    running.log_fields.update(found.log_fields)


def _ids_in(body: str) -> ParsedMessage[None]:
    """The well-formed ids in a body that cannot be parsed, so that its log line has them."""
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


def _retry_or_give_up(
    queue: Queue, consumer: str, record: "SQSRecord", failure: Exception, known: ParsedMessage[Any]
) -> str:
    """Returns `set aside` when the message is now in the dead-letter queue, `failed` when it will be retried.

    Never raises. If SQS cannot be reached, the message comes again when its visibility timeout ends. After the last
    receive the queue itself moves it to the dead-letter queue, without a reason.
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
    except Exception as unreachable:  # noqa: BLE001 - the message is not lost: it comes again
        logger().error("queue failed", extra={**about, "failure": failure_summary(unreachable)})
        return _FAILED
    logger().error("message set aside", extra={**about, "where": _where(failure)})
    return _SET_ASIDE


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
        started = self._clock()
        records = event.get("Records") or []
        with invocation(actor=f"service:{self._service}") as running:
            results = self._results(records)
            for _, known in results.values():
                running.add_correlation_id(known.correlation_id)
            statuses: Counter[str] = Counter()

            def finish(record: "SQSRecord") -> None:
                outcome, known = results[record.message_id]
                if isinstance(outcome, str):
                    statuses[outcome] += 1
                    return
                about = ParsedMessage(None, known.correlation_id or running.correlation_id, known.log_fields)
                status = _retry_or_give_up(self._queue, self._name, record, outcome, about)
                statuses[status] += 1
                if status == _FAILED:
                    raise outcome

            answer = _partial_batch_response(records, finish)
            for status, number in statuses.items():
                running.log_fields[f"messages_{status.replace(' ', '_')}"] = str(number)
            log_invocation(
                self._name,
                status=_FAILED if statuses[_FAILED] else _SET_ASIDE_SOME if statuses[_SET_ASIDE] else "ok",
                duration_ms=(self._clock() - started) * 1000,
            )
        return answer

    def _results(self, records: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str | Exception, ParsedMessage[Any]]]:
        """By message id: the outcome or failure of each message, and its ids."""
        results: dict[str, tuple[str | Exception, ParsedMessage[Any]]] = {}
        readable: dict[str, ParsedMessage[M]] = {}
        for record in records:
            try:
                readable[record["messageId"]] = _read(self._read, record["body"])
            except PoisonMessage as poison:
                results[record["messageId"]] = (poison, _ids_in(record["body"]))
        outcomes = self._outcomes([found.message for found in readable.values()])
        for (message_id, found), outcome in zip(readable.items(), outcomes, strict=True):
            results[message_id] = (outcome, found)
        return results

    def _outcomes(self, messages: Sequence[M]) -> Sequence[str | Exception]:
        if not messages:
            return []
        try:
            outcomes = self._handle(messages)
        except PoisonMessage as poison:
            # Raised for the whole batch, it does not say which message is poison: retry all of them.
            return [BatchFailed(str(poison))] * len(messages)
        except Exception as failure:  # noqa: BLE001 - every message of the batch failed with it
            return [failure] * len(messages)
        if len(outcomes) != len(messages):
            return [BatchFailed(f"{len(outcomes)} outcomes for {len(messages)} messages")] * len(messages)
        return outcomes
