"""Dead letters: messages that were given up, and where they came from.

There are four kinds of letter. A consumer's message is as it came, and goes back into the queue it came from. What a
publisher set aside is the outbox of an item. And a stream batch that Lambda gave up on is only described: its records
stay in the stream for a day. The last two go to the publisher once more. An invocation of a
scheduled job that failed is only cleared away: the next run does what was left.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

_COUNT = re.compile("[0-9]{1,9}")


class Kind(StrEnum):
    """What a queue holds, and so what sending off again means."""

    MESSAGES = "messages"
    PUBLICATIONS = "publications"
    JOBS = "jobs"


@dataclass(frozen=True)
class DeadLetterQueue:
    """One queue of dead letters. url, source_url: of the queue itself, and of the one its messages come from (None for
    publications). personal: what its messages say is about people and not shown. about: what it means that there are
    any.
    """

    name: str
    url: str
    kind: Kind
    about: str
    personal: bool = False
    source_url: str | None = None


@dataclass(frozen=True)
class Letter:
    """One message as it was received. receipt: the handle of this receive. said: the message attributes."""

    id: str
    receipt: str
    body: str
    sent_at: datetime | None = None
    said: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Origin:
    """What is known of where a letter comes from, from its attributes and from what kind of message it is."""

    reason: str | None = None
    consumer: str | None = None
    received: int | None = None
    set_aside_at: str | None = None
    correlation_id: str | None = None
    event_id: str | None = None
    event_type: str | None = None


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
    """What became of a letter that was to be sent off again. Only `moved` letters are gone from the queue."""

    MOVED = "moved"
    NOT_FOUND = "not_found"
    GONE = "gone"
    UNREADABLE = "unreadable"
    FAILED = "failed"


def document_of(body: str) -> dict[str, Any]:
    """The JSON object in a body; empty where there is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def stream_batch(document: Mapping[str, Any]) -> StreamBatch | None:
    """Of Lambda's description of a batch it gave up on; None when it is none."""
    described = document.get("DDBStreamBatchInfo")
    if not isinstance(described, Mapping):
        return None
    found = [described.get(name) for name in ("streamArn", "shardId", "startSequenceNumber", "endSequenceNumber")]
    texts = [part for part in found if isinstance(part, str) and part]
    return StreamBatch(*texts) if len(texts) == len(found) else None


def origin(letter: Letter) -> Origin:
    """Whoever set it aside: a consumer or publisher of ours, a rule, Lambda, or the queue without a word."""
    document = document_of(letter.body)
    detail = document.get("detail")
    event: Mapping[str, Any] = detail if isinstance(detail, Mapping) else {}
    said = letter.said
    received = said.get("received", "")
    return Origin(
        reason=said.get("reason") or _reason_of_a_rule(said) or _reason_of_lambda(document),
        consumer=said.get("consumer"),
        received=int(received) if _COUNT.fullmatch(received) else None,
        set_aside_at=said.get("set_aside_at"),
        correlation_id=said.get("correlation_id") or _text(event.get("correlation_id")),
        event_id=_text(event.get("id")),
        event_type=_text(event.get("type")),
    )


def _reason_of_a_rule(said: Mapping[str, str]) -> str | None:
    """EventBridge could not deliver to the queue at all, and says so in attributes of its own."""
    if "ERROR_CODE" not in said:
        return None
    return f"not delivered by its rule: {said['ERROR_CODE']} {said.get('ERROR_MESSAGE', '')}".strip()


def _reason_of_lambda(document: Mapping[str, Any]) -> str | None:
    context = document.get("requestContext")
    if "DDBStreamBatchInfo" not in document or not isinstance(context, Mapping):
        return None
    return f"stream batch given up: {context.get('condition', 'unknown')}"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
