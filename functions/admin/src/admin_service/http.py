"""The HTTP API of admin: translation only."""

from collections.abc import Callable
from typing import Annotated, Self

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from admin_service import bootstrap
from admin_service.application.dead_letters import LOOKED_AT_MOST, DeadLetters
from admin_service.application.views import LettersView, QueuesView, RedriveView
from admin_service.domain import errors
from library_common.access import Access
from library_common.http import RequestBody, ServiceApi
from library_common.text import Line

DESCRIPTION = "For administrators: messages between services that were given up, to look at and to send off again."
PROBLEMS: dict[type[Exception], int] = {errors.DeadLetterQueueNotFound: 404}

MessageId = Annotated[Line, Field(min_length=1, max_length=100)]


class LookQuery(BaseModel):
    """How much to look at."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=LOOKED_AT_MOST, description="Messages shown at most.")] = 10


class RedriveBody(RequestBody):
    """Which messages to send off again: those named, or any, `limit` of them at most. One of the two is needed, so
    that nobody moves everything by leaving something out.
    """

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["message_ids"]}, {"required": ["limit"]}]})

    # Left out or given: null is neither. Defaults of factories are not in the schema, where they would not be valid.
    message_ids: Annotated[list[MessageId], Field(min_length=1, max_length=100)] = Field(default_factory=list)
    limit: Annotated[int, Field(strict=True, ge=1, le=100)] = Field(default_factory=int)

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("name `message_ids`, or say with `limit` how many at most")
        return self


def build(dead_letters: Callable[[], DeadLetters]) -> ServiceApi:
    """The API on these use cases."""
    api = ServiceApi(name="admin", title="Smart Library: admin", description=DESCRIPTION, problems=PROBLEMS)

    @api.get("/api/admin/dead-letters", access=Access(admin=True))
    def list_dead_letter_queues() -> QueuesView:
        """Every queue of messages that were given up, and about how many it holds."""
        return dead_letters().overview()

    @api.get("/api/admin/dead-letters/{queue}", access=Access(admin=True), raises=[errors.DeadLetterQueueNotFound])
    def look_at_dead_letters(queue: str, query: Annotated[LookQuery, Query()]) -> LettersView:
        """Some of a queue's messages and why they were given up. They stay where they are; for a moment nobody else
        sees them. The body of messages about people is withheld."""
        return dead_letters().look(queue, query.limit)

    @api.post(
        "/api/admin/dead-letters/{queue}/redrive",
        access=Access(admin=True),
        raises=[errors.DeadLetterQueueNotFound],
    )
    def redrive_dead_letters(queue: str, body: RedriveBody) -> RedriveView:
        """Sends messages off to where they came from, with all their tries before them; what fails again comes back
        with its new reason. Asked for twice, a message is moved once."""
        return dead_letters().redrive(queue, body.message_ids or None, body.limit)

    api.publish_openapi("/api/admin/openapi.json")
    return api


api = build(bootstrap.dead_letters)
handler = api
