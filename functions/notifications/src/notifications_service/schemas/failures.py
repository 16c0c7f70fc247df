"""Messages that were given up."""

from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from library_common.clock import to_rfc3339
from library_common.http import RequestBody
from library_common.text import Line
from library_common.timestamps import Timestamp
from notifications_service.application.failures import FailedBy
from notifications_service.domain.deliveries import Delivery
from notifications_service.domain.kinds import Channel
from notifications_service.schemas.common import StoredChannel, StoredKind


class FailedView(BaseModel):
    """A message that was given up."""

    id: str
    user_id: str
    kind: StoredKind
    channel: StoredChannel
    attempts: int
    error_code: str
    failed_at: str

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        assert delivery.failure_id is not None  # noqa: S101 - written together with the state
        assert delivery.failed_at is not None  # noqa: S101 - as above
        return cls(
            id=delivery.failure_id,
            user_id=delivery.user_id,
            kind=delivery.kind,
            channel=delivery.channel,
            attempts=delivery.attempts,
            error_code=delivery.error or "",
            failed_at=to_rfc3339(delivery.failed_at),
        )


class Retried(BaseModel):
    """The message is retried."""

    id: str


class RetryAllBody(RequestBody):
    """Which failed messages to retry: those with this `error_code`, as `GET /api/notifications/failed` shows it."""

    error_code: Annotated[Line, Field(min_length=1, max_length=100)]
    channel: Annotated[Channel | None, Field(description="Only this channel; any without it.")] = None
    since: Annotated[Timestamp | None, Field(description="Given up at this time or later.")] = None
    until: Annotated[Timestamp | None, Field(description="Given up before this time.")] = None
    limit: Annotated[
        int,
        Field(strict=True, ge=1, le=100, description="How many failed messages to look at."),
    ] = 100
    cursor: Annotated[str | None, Field(max_length=4000, description="`next_cursor` of the previous response.")] = None

    @model_validator(mode="after")
    def _is_a_period(self) -> Self:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("`until` must be after `since`")
        return self

    def which(self) -> FailedBy:
        """For the use case."""
        return FailedBy(self.error_code, self.channel, self.since, self.until)


class RetriedAll(BaseModel):
    """How many messages this request retries. next_cursor: null at the end."""

    retried: int
    next_cursor: str | None
