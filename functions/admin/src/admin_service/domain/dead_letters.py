"""Dead letters: messages that could not be handled, and where they came from.

There are four kinds. A consumer's message is unchanged, and is sent back to the consumer's queue. A publisher's
message has the outbox of an item. And a stream batch that Lambda gave up on is only described: its records stay in
the stream for a day. These two are given to the publisher again. A scheduled job's failed invocation is only cleared:
the job's next run does what was left.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

_COUNT = re.compile("[0-9]{1,9}")


class Kind(StrEnum):
    """What a queue holds, which decides where a message is redriven to."""

    MESSAGES = "messages"
    PUBLICATIONS = "publications"
    JOBS = "jobs"


@dataclass(frozen=True)
class DeadLetterQueue:
    """A dead-letter queue. source_url: the queue that its messages come from, None for publications. personal: the
    messages have personal data and are not shown. about: what messages in it mean.
    """

    name: str
    url: str
    kind: Kind
    about: str
    personal: bool = False
    source_url: str | None = None


@dataclass(frozen=True)
class DeadLetter:
    """A received message. receipt: the handle of this receive. attributes: the message attributes."""

    id: str
    receipt: str
    body: str
    sent_at: datetime | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


class Origin(BaseModel):
    """Where a message comes from, as far as its attributes and its body say."""

    reason: str | None
    consumer: str | None
    event_id: str | None
    event_type: str | None
    correlation_id: str | None
    received: int | None
    set_aside_at: str | None


@dataclass(frozen=True)
class StreamBatch:
    """Records of a table's stream that Lambda gave up on. first, last: their sequence numbers."""

    stream_arn: str
    shard_id: str
    first: str
    last: str

    @property
    def table(self) -> str:
        """`arn:…:table/<name>/stream/<label>`."""
        return self.stream_arn.partition(":table/")[2].partition("/")[0]


class Outcome(StrEnum):
    """The result of redriving a message. Only `moved` ones have left the queue."""

    MOVED = "moved"
    NOT_FOUND = "not_found"
    GONE = "gone"
    UNREADABLE = "unreadable"
    FAILED = "failed"


@dataclass(frozen=True)
class QueueContents:
    """A queue, about how many messages it holds, and those that were read."""

    queue: DeadLetterQueue
    waiting: int
    seen: tuple[DeadLetter, ...]


@dataclass(frozen=True)
class RedriveResult:
    """The result for one message. `gone`: the stream no longer has its records. `unreadable`: it contains nothing that
    can be published. Messages that were not `moved` stay in the queue.

    event_id: of the event in the message, if there is one. A message that fails again has a new id, but the same event.
    """

    id: str
    outcome: Outcome
    detail: str | None = None
    event_id: str | None = None


def document_of(body: str) -> dict[str, Any]:
    """The JSON object in a body; {} if it is not one."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def stream_batch(document: Mapping[str, Any]) -> StreamBatch | None:
    """The batch in Lambda's description of one that it gave up on; None for another document."""
    described = document.get("DDBStreamBatchInfo")
    if not isinstance(described, Mapping):
        return None
    found = [described.get(name) for name in ("streamArn", "shardId", "startSequenceNumber", "endSequenceNumber")]
    texts = [part for part in found if isinstance(part, str) and part]
    return StreamBatch(*texts) if len(texts) == len(found) else None


def origin(letter: DeadLetter) -> Origin:
    """Where a message comes from: a consumer, a publisher, a rule, Lambda, or the queue itself (without a reason)."""
    document = document_of(letter.body)
    detail = document.get("detail")
    event: Mapping[str, Any] = detail if isinstance(detail, Mapping) else {}
    attributes = letter.attributes
    received = attributes.get("received", "")
    return Origin(
        reason=attributes.get("reason") or _reason_of_a_rule(attributes) or _reason_of_lambda(document),
        consumer=attributes.get("consumer"),
        received=int(received) if _COUNT.fullmatch(received) else None,
        set_aside_at=attributes.get("set_aside_at"),
        correlation_id=attributes.get("correlation_id") or _text(event.get("correlation_id")),
        event_id=_text(event.get("id")),
        event_type=_text(event.get("type")),
    )


def _reason_of_a_rule(attributes: Mapping[str, str]) -> str | None:
    """The reason if EventBridge could not deliver to the queue: it has its own attributes for that."""
    if "ERROR_CODE" not in attributes:
        return None
    return f"not delivered by its rule: {attributes['ERROR_CODE']} {attributes.get('ERROR_MESSAGE', '')}".strip()


def _reason_of_lambda(document: Mapping[str, Any]) -> str | None:
    context = document.get("requestContext")
    if "DDBStreamBatchInfo" not in document or not isinstance(context, Mapping):
        return None
    return f"stream batch given up: {_text(context.get('condition')) or 'unknown'}"


_LONGEST_TEXT = 256


def _text(value: object) -> str | None:
    """What a message says of itself, if it can be shown: whoever sent it may have written anything."""
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        return None
    return value if value.isprintable() else None
