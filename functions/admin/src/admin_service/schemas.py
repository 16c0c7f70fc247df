"""The query strings, request bodies and responses of the admin API."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from admin_service.application.dead_letters import MAX_SHOWN
from admin_service.domain.dead_letters import (
    DeadLetter,
    DeadLetterQueue,
    Kind,
    Origin,
    QueueContents,
    RedriveResult,
    origin,
)
from library_common.clock import to_rfc3339
from library_common.http import RequestBody
from library_common.text import Line

MessageId = Annotated[Line, Field(min_length=1, max_length=100)]


class LookQuery(BaseModel):
    """How many messages to show."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MAX_SHOWN, description="How many messages are shown at most.")] = 10


class RedriveBody(RequestBody):
    """The messages to redrive: those in `message_ids`, or any, at most `limit`. One of the two is required, so that
    nobody moves all messages by mistake.
    """

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["message_ids"]}, {"required": ["limit"]}]})

    # Optional but not nullable. The values of the factories are not valid, and never in the schema.
    message_ids: Annotated[list[MessageId], Field(min_length=1, max_length=100)] = Field(default_factory=list)
    limit: Annotated[int, Field(strict=True, ge=1, le=100)] = Field(default_factory=int)

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("message_ids or limit is required")
        return self


class QueueView(BaseModel):
    """A dead-letter queue. `waiting` is approximate. `about` says what messages in it mean.

    oldest_sent_at: null for an empty queue, and if there are more messages than were read.
    """

    name: str
    about: str
    kind: Kind
    personal: bool
    waiting: int
    oldest_sent_at: str | None

    @classmethod
    def of(cls, contents: QueueContents) -> "QueueView":
        queue, seen = contents.queue, contents.seen
        sent = [letter.sent_at for letter in seen if letter.sent_at is not None]
        return cls(
            **vars(queue),
            waiting=max(contents.waiting, len(seen)),
            oldest_sent_at=to_rfc3339(min(sent)) if sent and len(seen) >= contents.waiting else None,
        )


class QueuesView(BaseModel):
    """All dead-letter queues."""

    items: list[QueueView]


class LetterView(Origin):
    """A message in a dead-letter queue. `body` is null in queues with personal data.

    reason: null if the queue itself moved the message, after the consumer failed too often. received: how often the
    consumer received it before.
    """

    id: str
    sent_at: str | None
    body: str | None

    @classmethod
    def of(cls, letter: DeadLetter, queue: DeadLetterQueue) -> "LetterView":
        return cls(
            **origin(letter).model_dump(),
            id=letter.id,
            sent_at=to_rfc3339(letter.sent_at) if letter.sent_at else None,
            body=None if queue.personal else letter.body,
        )


class LettersView(BaseModel):
    """Some of a queue's messages, in no particular order; all of them if `complete`."""

    queue: QueueView
    items: list[LetterView]
    complete: bool


class RedriveView(BaseModel):
    """The result of a redrive."""

    queue: str
    moved: int
    results: list[RedriveResult]
