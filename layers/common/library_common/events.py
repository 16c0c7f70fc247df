"""Domain events on their way to the bus: the envelope, and the outbox inside the item.

A service declares its events in `domain/events.py` and its use cases wrap them in envelopes. The storage adapter
writes the envelopes into the `events` attribute of the item they are about, in the same conditional write.
The table's stream hands them to the publisher (see `publisher`).
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from library_common.clock import to_rfc3339
from library_common.context import current
from library_common.ids import new_id

OUTBOX_ATTRIBUTE = "events"
SOURCE_PREFIX = "library."


class DomainEvent(Protocol):
    """A pydantic model of an event's data, with two class attributes. Declared in a service's domain."""

    type: ClassVar[str]
    version: ClassVar[int]

    def model_dump(self, *, mode: str = ..., exclude_none: bool = ...) -> dict[str, Any]: ...


class Envelope(BaseModel):
    """The `detail` of an event on the bus.

    id: ULID; consumers deduplicate by it. type: past tense, such as LoanCreated. occurred_at: RFC 3339, UTC.
    subject: `<kind>:<id>` of the thing that changed. data: follows the schema of the type and version.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    type: str
    version: int
    occurred_at: str
    correlation_id: str
    actor: str
    subject: str
    data: dict[str, Any]


def envelope_for(event: DomainEvent, *, subject: str, at: datetime) -> Envelope:
    """Wraps a domain event. Actor and correlation id are those of the running invocation."""
    running = current()
    return Envelope(
        id=new_id(),
        type=event.type,
        version=event.version,
        occurred_at=to_rfc3339(at),
        correlation_id=running.correlation_id,
        actor=running.actor,
        subject=subject,
        data=event.model_dump(mode="json", exclude_none=True),
    )


def to_outbox(envelopes: Iterable[Envelope]) -> str | None:
    """The value of the `events` attribute. None when there are no events: the attribute is left out then."""
    listed = [envelope.model_dump(mode="json") for envelope in envelopes]
    return json.dumps(listed, separators=(",", ":"), ensure_ascii=False) if listed else None


def from_outbox(item: Mapping[str, Any]) -> list[Envelope]:
    """The envelopes in an item. Raises ValueError when `to_outbox` did not write the attribute."""
    text = item.get(OUTBOX_ATTRIBUTE)
    return [Envelope.model_validate(entry) for entry in json.loads(text)] if text is not None else []
