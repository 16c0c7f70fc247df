"""Announcements by staff."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from library_common.access import Role
from library_common.clock import to_rfc3339
from library_common.http import RequestBody, with_examples
from library_common.text import Line, Prose
from library_common.timestamps import Timestamp
from notifications_service.application.announcements import AnnouncementRequest
from notifications_service.domain.announcements import Announcement, AnnouncementState, Audience
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.template_data import MAX_LINE, MAX_PROSE
from notifications_service.schemas.common import Id, StoredChannel, StoredKind


class AudienceBody(RequestBody):
    """Everybody of a role and a status; without a role, of any role."""

    role: Role | None = None
    status: Literal["active", "pending", "suspended", "expired"] = "active"


class SendData(RequestBody):
    """Data for the template; `GET /api/notifications/templates/{name}` lists its fields."""

    subject: Annotated[Line | None, Field(max_length=200)] = None
    message: Annotated[Prose | None, Field(max_length=MAX_PROSE)] = None
    title: Annotated[Line | None, Field(max_length=MAX_LINE)] = None
    due_date: Timestamp | None = None
    pickup_until: Timestamp | None = None

    def plain(self) -> dict[str, str]:
        """For the template: text, and timestamps as RFC 3339."""
        given = {
            "subject": self.subject,
            "message": self.message,
            "title": self.title,
            "due_date": to_rfc3339(self.due_date) if self.due_date else None,
            "pickup_until": to_rfc3339(self.pickup_until) if self.pickup_until else None,
        }
        return {name: value for name, value in given.items() if value is not None}


class SendBody(RequestBody):
    """What to send to whom. channels: those of them that the member did not turn off; without any, the member's own."""

    model_config = with_examples(
        {
            "template": "announcement",
            "audience": {"role": "student"},
            "data": {"subject": "Closed on Monday", "message": "The reading room stays closed on Monday."},
        },
        {
            "template": "loan_due_soon",
            "user_ids": ["01JD7Y3MT5W8Q2R6XKZ4B9CFHN"],
            "data": {"title": "The Hobbit", "due_date": "2026-12-05T23:59:59Z"},
            "channels": ["email", "in_app"],
        },
    )

    template: Literal["announcement", "loan_due_soon", "loan_overdue", "hold_ready"]
    user_ids: Annotated[list[Id] | None, Field(min_length=1, max_length=100)] = None
    audience: AudienceBody | None = None
    data: SendData = SendData()
    channels: Annotated[list[Channel] | None, Field(min_length=1, max_length=4)] = None
    send_at: Annotated[Timestamp | None, Field(description="In the future, within a year; omit it to send now.")] = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.user_ids is None) == (self.audience is None):
            raise ValueError("give either user_ids or audience")
        return self

    def request(self, by: str) -> AnnouncementRequest:
        """For the use case. by: the actor who asks."""
        audience = self.audience
        return AnnouncementRequest(
            kind=Kind(self.template),
            data=self.data.plain(),
            by=by,
            user_ids=tuple(dict.fromkeys(self.user_ids or ())),
            role=audience.role.value if audience is not None and audience.role is not None else None,
            status=audience.status if audience is not None else None,
            channels=tuple(dict.fromkeys(self.channels)) if self.channels is not None else None,
            send_at=self.send_at,
        )


class Accepted(BaseModel):
    """It will be sent."""

    id: Annotated[str, Field(description="The id of the announcement.")]


class AudienceView(BaseModel):
    """Everybody of a role and a status; null: any."""

    role: str | None
    status: str | None


class AnnouncementView(BaseModel):
    """What is sent to whom, and its progress."""

    id: str
    state: Annotated[
        AnnouncementState,
        Field(description="waiting for its time, running, done (planned for everybody), or cancelled."),
    ]
    template: StoredKind
    audience: AudienceView | None
    user_ids: list[str] | None
    data: dict[str, str]
    channels: list[StoredChannel] | None
    send_at: str
    created_at: str
    by: Annotated[str | None, Field(description="Who sent it; null for announcements from before this was kept.")]
    cancelled_by: str | None
    told: Annotated[
        int,
        Field(
            description="How many members it was planned for so far; not those who were erased or want nothing of this"
            " kind. An unknown id in `user_ids` counts: accounts are looked up when messages go out."
        ),
    ]

    @classmethod
    def of(cls, announcement: Announcement) -> Self:
        to = announcement.to
        return cls(
            id=announcement.id,
            state=announcement.state,
            template=announcement.kind,
            audience=AudienceView(role=to.role, status=to.status) if isinstance(to, Audience) else None,
            user_ids=None if isinstance(to, Audience) else list(to),
            data=dict(announcement.data),
            channels=list(announcement.channels) if announcement.channels is not None else None,
            send_at=to_rfc3339(announcement.send_at),
            created_at=to_rfc3339(announcement.created_at),
            by=announcement.by,
            cancelled_by=announcement.cancelled_by,
            told=announcement.notified,
        )
