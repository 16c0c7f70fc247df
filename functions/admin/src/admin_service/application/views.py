"""What is answered."""

from collections.abc import Sequence

from pydantic import BaseModel

from admin_service.domain.dead_letters import DeadLetterQueue, Kind, Letter, Outcome, origin
from library_common.clock import to_rfc3339


class QueueView(BaseModel):
    """A queue of dead letters. `waiting` is about right; `about` says what it means that there are any.

    oldest_sent_at: null when it is empty, and when there are more messages than were looked at.
    """

    name: str
    about: str
    kind: Kind
    personal: bool
    waiting: int
    oldest_sent_at: str | None

    @classmethod
    def of(cls, queue: DeadLetterQueue, waiting: int, seen: Sequence[Letter]) -> "QueueView":
        sent = [letter.sent_at for letter in seen if letter.sent_at is not None]
        return cls(
            name=queue.name,
            about=queue.about,
            kind=queue.kind,
            personal=queue.personal,
            waiting=max(waiting, len(seen)),
            oldest_sent_at=to_rfc3339(min(sent)) if sent and len(seen) >= waiting else None,
        )


class QueuesView(BaseModel):
    """All queues of dead letters."""

    items: list[QueueView]


class LetterView(BaseModel):
    """A message that was given up. `body` is null where messages are about people.

    reason: null when the queue set it aside by itself, after a process died on it again and again. received: by the
    consumer, before it gave up.
    """

    id: str
    reason: str | None
    consumer: str | None
    event_id: str | None
    event_type: str | None
    correlation_id: str | None
    received: int | None
    set_aside_at: str | None
    sent_at: str | None
    body: str | None

    @classmethod
    def of(cls, letter: Letter, queue: DeadLetterQueue) -> "LetterView":
        known = origin(letter)
        return cls(
            id=letter.id,
            reason=known.reason,
            consumer=known.consumer,
            event_id=known.event_id,
            event_type=known.event_type,
            correlation_id=known.correlation_id,
            received=known.received,
            set_aside_at=known.set_aside_at,
            sent_at=to_rfc3339(letter.sent_at) if letter.sent_at else None,
            body=None if queue.personal else letter.body,
        )


class LettersView(BaseModel):
    """Some of a queue's messages, in no particular order; all of them when `complete`."""

    queue: QueueView
    items: list[LetterView]
    complete: bool


class ResultView(BaseModel):
    """What became of one message. `gone`: the stream does not have its records any more. `unreadable`: there is nothing
    in it that could be sent off. Whatever was not `moved` is in the queue as before.

    event_id: of the event in it, if there is one: a message that fails again has another id, but the same event.
    """

    id: str
    outcome: Outcome
    detail: str | None = None
    event_id: str | None = None


class RedriveView(BaseModel):
    """What was sent off again."""

    queue: str
    moved: int
    results: list[ResultView]
