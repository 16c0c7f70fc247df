"""What requests and answers of the notifications API look like."""

import re
from datetime import time
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from library_common.access import Role
from library_common.clock import to_rfc3339
from library_common.http import ListQuery, RequestBody, with_examples
from library_common.money import Money
from library_common.paging import Page
from library_common.text import Line, Prose
from library_common.timestamps import Timestamp
from notifications_service.application.api_ports import FailedBy
from notifications_service.application.devices import Device, Platform
from notifications_service.application.reading import ShownNotice
from notifications_service.application.wishes import effective_channels
from notifications_service.application.wording import Listed, Template
from notifications_service.application.wording_ports import Shown
from notifications_service.domain import languages, text_messages, zones
from notifications_service.domain.broadcasts import Audience, Broadcast, BroadcastState
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.preferences import (
    DEFAULT_CHANNELS,
    Digest,
    DigestRhythm,
    Preferences,
    QuietHours,
)
from notifications_service.domain.template_data import MAX_LINE, MAX_PROSE
from notifications_service.domain.template_fields import FieldType, fields_of
from notifications_service.domain.template_parts import MAX_SOURCE_BYTES, Part, Wording

Id = Annotated[Line, Field(min_length=1, max_length=40)]
_CLOCK_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"


def _clock_time(value: str) -> str:
    if re.fullmatch(_CLOCK_TIME, value) is None:
        raise ValueError("must be a time like 22:00")
    return value


# The pattern is for the documentation: pydantic's own refusal would tell people nothing else.
ClockTime = Annotated[
    str,
    AfterValidator(_clock_time),
    Field(json_schema_extra={"pattern": f"^{_CLOCK_TIME}$"}, examples=["22:00"]),
]


def _language(value: str) -> str:
    normal = languages.normal(value)
    if normal is None:
        raise ValueError("must be a language tag like en, fr-CA or zh-Hant-TW")
    return normal


def _zone(value: str) -> str:
    if zones.find_zone(value) is None:
        raise ValueError("must be the IANA name of a time zone, like Africa/Nairobi")
    return value


Language = Annotated[Line, Field(min_length=2, max_length=12, examples=["fr-CA"]), AfterValidator(_language)]
ZoneName = Annotated[Line, Field(min_length=3, max_length=64, examples=["Africa/Nairobi"]), AfterValidator(_zone)]


# -- notices --------------------------------------------------------------------------------------


class NoticesQuery(ListQuery):
    """Which of the member's notices."""

    unread: Annotated[bool, Field(description="Only those that were not read yet.")] = False


class NoticeView(BaseModel):
    """One notice, written in the reader's language."""

    id: str
    kind: Kind
    heading: str
    text: str
    occurred_at: str
    read_at: str | None

    @classmethod
    def of(cls, notice: ShownNotice) -> Self:
        return cls(
            id=notice.id,
            kind=notice.kind,
            heading=notice.heading,
            text=notice.text,
            occurred_at=to_rfc3339(notice.occurred_at),
            read_at=to_rfc3339(notice.read_at) if notice.read_at is not None else None,
        )


class NoticePage(Page[NoticeView]):
    """One page of a member's notices."""

    unread: Annotated[int, Field(description="How many are unread altogether.")]


class FailedView(BaseModel):
    """A message that was given up."""

    id: str
    user_id: str
    kind: Kind
    channel: Channel
    attempts: int
    error_code: str
    failed_at: str


class Retried(BaseModel):
    """The message is tried again."""

    id: str


class RetryAllBody(RequestBody):
    """Which failed messages to try again: those with this `error_code`, as `GET /api/notifications/failed` shows it."""

    error_code: Annotated[Line, Field(min_length=1, max_length=100)]
    channel: Annotated[Channel | None, Field(description="Only those; of any channel without it.")] = None
    since: Annotated[Timestamp | None, Field(description="Given up then or later.")] = None
    until: Annotated[Timestamp | None, Field(description="Given up before.")] = None
    limit: Annotated[
        int, Field(strict=True, ge=1, le=100, description="Failed messages looked at in this request at most.")
    ] = 100
    cursor: Annotated[str | None, Field(max_length=4000, description="`next_cursor` of the answer before.")] = None

    @model_validator(mode="after")
    def _has_some_time_in_it(self) -> Self:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("`until` must be after `since`")
        return self

    def which(self) -> FailedBy:
        """As the use case takes it."""
        return FailedBy(self.error_code, self.channel, self.since, self.until)


class RetriedAll(BaseModel):
    """How many messages are tried again because of this request. next_cursor: of the rest; null at the end."""

    retried: int
    next_cursor: str | None


# -- sending --------------------------------------------------------------------------------------


class AudienceBody(RequestBody):
    """Everybody of a role and a status; without a role, of any."""

    role: Role | None = None
    status: Literal["active", "pending", "suspended", "expired"] = "active"


class SendData(RequestBody):
    """What the template says; which fields it takes stands in `GET /api/notifications/templates/{name}`."""

    subject: Annotated[Line | None, Field(max_length=200)] = None
    message: Annotated[Prose | None, Field(max_length=MAX_PROSE)] = None
    title: Annotated[Line | None, Field(max_length=MAX_LINE)] = None
    due_date: Timestamp | None = None
    pickup_until: Timestamp | None = None

    def plain(self) -> dict[str, str]:
        """As templates take it: text, and moments as RFC 3339."""
        given = {
            "subject": self.subject,
            "message": self.message,
            "title": self.title,
            "due_date": to_rfc3339(self.due_date) if self.due_date else None,
            "pickup_until": to_rfc3339(self.pickup_until) if self.pickup_until else None,
        }
        return {name: value for name, value in given.items() if value is not None}


class SendBody(RequestBody):
    """What to tell whom. By which ways: those given that the member did not turn off, or what the member wishes."""

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
    send_at: Annotated[Timestamp | None, Field(description="Later than now, within a year; left out: now.")] = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.user_ids is None) == (self.audience is None):
            raise ValueError("give either user_ids or audience")
        return self


class Accepted(BaseModel):
    """It will be sent."""

    id: Annotated[str, Field(description="Of the announcement.")]


class AudienceView(BaseModel):
    """Everybody of a role and a status; null: of any."""

    role: str | None
    status: str | None


class AnnouncementView(BaseModel):
    """What is told to whom, and how far it is."""

    id: str
    state: Annotated[
        BroadcastState,
        Field(description="waiting for its moment, running, done (everybody was told), or cancelled."),
    ]
    template: Kind
    audience: AudienceView | None
    user_ids: list[str] | None
    data: dict[str, str]
    channels: list[Channel] | None
    send_at: str
    created_at: str
    by: Annotated[str | None, Field(description="Who asked for it; null for ones from before this was kept.")]
    cancelled_by: str | None
    told: Annotated[
        int,
        Field(
            description="How many members it was noted for so far, each in their own time; not those who were erased or"
            " want nothing of this kind. An id in `user_ids` that nobody has counts: users is asked for accounts"
            " when messages go out."
        ),
    ]

    @classmethod
    def of(cls, broadcast: Broadcast) -> Self:
        to = broadcast.to
        return cls(
            id=broadcast.id,
            state=broadcast.state,
            template=broadcast.kind,
            audience=AudienceView(role=to.role, status=to.status) if isinstance(to, Audience) else None,
            user_ids=None if isinstance(to, Audience) else list(to),
            data=dict(broadcast.data),
            channels=list(broadcast.channels) if broadcast.channels is not None else None,
            send_at=to_rfc3339(broadcast.send_at),
            created_at=to_rfc3339(broadcast.created_at),
            by=broadcast.by,
            cancelled_by=broadcast.cancelled_by,
            told=broadcast.told,
        )


# -- preferences ----------------------------------------------------------------------------------


class QuietHoursShape(RequestBody):
    """From `start` up to but not including `end`, over midnight when `end` is earlier; at most 20 hours."""

    start: ClockTime
    end: ClockTime


class DigestShape(RequestBody):
    """When routine notices are gathered into one message. weekday: of a weekly one, Monday is 0."""

    rhythm: DigestRhythm = DigestRhythm.OFF
    at: ClockTime = "08:00"
    weekday: Annotated[int, Field(strict=True, ge=0, le=6)] = 0


_OF_THE_ANSWER = "Of the answer of `GET`: taken and ignored."


class DefaultsView(BaseModel):
    """What counts where the member said nothing. language: unless the account names another."""

    channels: Annotated[list[Channel], Field(max_length=4)]
    language: Annotated[Line, Field(max_length=64)]
    time_zone: Annotated[Line, Field(max_length=64)]


class PreferencesBody(RequestBody):
    """All of a member's wishes; what is left out goes back to the default."""

    model_config = with_examples(
        {
            "channels": {"loan_issued": ["in_app"], "hold_ready": ["email", "sms"]},
            "quiet_hours": {"start": "22:00", "end": "07:00"},
            "digest": {"rhythm": "weekly", "at": "18:00", "weekday": 4},
            "language": "fr-CA",
            "time_zone": "Africa/Nairobi",
        },
    )

    channels: Annotated[
        dict[Kind, Annotated[list[Channel], Field(max_length=4)]],
        Field(description="Ways by kind; an empty list: not at all. Kinds left out: e-mail and in-app."),
    ] = {}  # noqa: RUF012 - pydantic copies it
    quiet_hours: QuietHoursShape | None = None
    digest: DigestShape = DigestShape()
    language: Annotated[Language | None, Field(description="BCP 47 tag; null: the account's.")] = None
    time_zone: Annotated[ZoneName | None, Field(description="IANA name; null: the library's.")] = None
    # So that what `GET` answers can be changed and sent back as it is.
    user_id: Annotated[Id | None, Field(description=_OF_THE_ANSWER)] = None
    defaults: Annotated[DefaultsView | None, Field(description=_OF_THE_ANSWER)] = None
    version: Annotated[
        int | None, Field(strict=True, ge=0, le=2**31 - 1, description=f"{_OF_THE_ANSWER} `If-Match` counts.")
    ] = None

    def wished(self) -> Preferences:
        """As the rules see it."""
        quiet = self.quiet_hours
        return Preferences(
            channels={kind: tuple(chosen) for kind, chosen in self.channels.items()},
            quiet_hours=QuietHours(time.fromisoformat(quiet.start), time.fromisoformat(quiet.end)) if quiet else None,
            digest=Digest(self.digest.rhythm, time.fromisoformat(self.digest.at), self.digest.weekday),
            language=self.language,
            time_zone=self.time_zone,
        )


class PreferencesView(BaseModel):
    """How a member is told: what counts for every kind, whoever said so."""

    user_id: str
    channels: Annotated[
        dict[Kind, list[Channel]],
        Field(
            description="As wished. What the account allows (`notification_email`, `notification_sms`) and whether"
            " there is a number or a device counts when a message goes out; where no way is left, the notice is in"
            " the member's list."
        ),
    ]
    quiet_hours: QuietHoursShape | None
    digest: DigestShape
    language: str | None
    time_zone: str | None
    defaults: DefaultsView
    version: int

    @classmethod
    def of(cls, user_id: str, wished: Preferences, *, language: str, time_zone: str) -> Self:
        quiet, digest = wished.quiet_hours, wished.digest
        return cls(
            user_id=user_id,
            channels={kind: list(chosen) for kind, chosen in effective_channels(wished).items()},
            quiet_hours=QuietHoursShape(start=f"{quiet.start:%H:%M}", end=f"{quiet.end:%H:%M}") if quiet else None,
            digest=DigestShape(rhythm=digest.rhythm, at=f"{digest.at:%H:%M}", weekday=digest.weekday),
            language=wished.language,
            time_zone=wished.time_zone,
            defaults=DefaultsView(channels=list(DEFAULT_CHANNELS), language=language, time_zone=time_zone),
            version=wished.version,
        )


class DeviceBody(RequestBody):
    """A device that shows push messages. The token is handed to the push service and not kept."""

    platform: Platform
    token: Annotated[str, Field(min_length=8, max_length=2048, pattern=r"^[\x21-\x7e]+$")]


class DeviceView(BaseModel):
    """A registered device."""

    id: str
    platform: Platform
    registered_at: str

    @classmethod
    def of(cls, device: Device) -> Self:
        return cls(id=device.id, platform=device.platform, registered_at=to_rfc3339(device.registered_at))


# -- everything about a member --------------------------------------------------------------------


class ExportPage(BaseModel):
    """What is kept about a member: wishes and devices with every page, notices newest first."""

    preferences: PreferencesView
    devices: list[DeviceView]
    notices: list[NoticeView]
    next_cursor: str | None = None


# -- templates ------------------------------------------------------------------------------------

_Source = Annotated[Prose, Field(min_length=1, max_length=MAX_SOURCE_BYTES)]
_LineSource = Annotated[Line, Field(min_length=1, max_length=MAX_SOURCE_BYTES)]


class EmailShape(RequestBody):
    """An e-mail. Without `html` it is plain text."""

    subject: _LineSource
    text: _Source
    html: _Source | None = None


class SmsShape(RequestBody):
    """A text message of at most 160 characters."""

    text: _LineSource


class ShortShape(RequestBody):
    """What apps show: push messages, and the member's list of notices."""

    heading: _LineSource
    text: _Source


class ManyShape(RequestBody):
    """In a message about several notices: the heading of this kind (with `count`), and the line of each."""

    heading: _LineSource
    line: _LineSource


class PartsBody(RequestBody):
    """The wording in one language; parts left out are the built-in ones."""

    email: EmailShape | None = None
    sms: SmsShape | None = None
    short: ShortShape | None = None
    many: ManyShape | None = None

    def wording(self) -> Wording:
        """The parts that are given."""
        given = {Part.EMAIL: self.email, Part.SMS: self.sms, Part.SHORT: self.short, Part.MANY: self.many}
        return {part: shape.model_dump(exclude_none=True) for part, shape in given.items() if shape is not None}


class TemplateBody(PartsBody):
    """The wording to use from now on."""

    language: Language


class PreviewBody(PartsBody):
    """A wording to try: the given parts, or without any those that count now."""

    language: Language | None = None
    data: Annotated[
        dict[Annotated[str, Field(max_length=40)], Annotated[Prose, Field(max_length=MAX_PROSE)] | Money],
        Field(max_length=20, description="In place of the samples."),
    ] = {}  # noqa: RUF012 - pydantic copies it


class TemplateSummary(BaseModel):
    """One template. stored: the languages in which an administrator's wording counts."""

    name: str
    version: int
    built_in: list[str]
    stored: list[str]

    @classmethod
    def of(cls, listed: Listed) -> Self:
        return cls(name=listed.name, version=listed.version, built_in=list(listed.built_in), stored=list(listed.stored))


class TemplateList(BaseModel):
    """All templates."""

    items: list[TemplateSummary]


class FieldView(BaseModel):
    """A name that the template may use."""

    name: str
    type: FieldType
    optional: bool


class PartView(BaseModel):
    """One part as it is written. source: whose wording it is."""

    source: Literal["built_in", "stored"]
    fields: dict[str, str]


class WordingView(BaseModel):
    """All parts in one language."""

    language: str
    parts: dict[Part, PartView]


class ChangeView(BaseModel):
    """One version. withdrawn: with it, the built-in wording came back. parts: of the version that was asked for."""

    version: int
    language: str
    at: str
    by: str
    withdrawn: bool
    parts: dict[Part, dict[str, str]] | None = None


class TemplateView(BaseModel):
    """One template with its wordings and its latest versions."""

    name: str
    version: int
    fields: list[FieldView]
    wordings: list[WordingView]
    changes: list[ChangeView]

    @classmethod
    def of(cls, template: Template) -> Self:
        return cls(
            name=template.name,
            version=template.newest.version,
            fields=[FieldView(name=f.name, type=f.type, optional=f.optional) for f in fields_of(template.name)],
            wordings=[
                WordingView(
                    language=each.language,
                    parts={
                        part: PartView(source="stored" if part in each.stored else "built_in", fields=dict(text))
                        for part, text in each.parts.items()
                    },
                )
                for each in template.languages
            ],
            changes=[
                ChangeView(
                    version=change.version,
                    language=change.language,
                    at=to_rfc3339(change.at),
                    by=change.by,
                    withdrawn=change.withdrawn,
                    parts={part: dict(fields) for part, fields in template.texts[change.version].items()}
                    if change.version in template.texts
                    else None,
                )
                for change in template.newest.changes
            ],
        )


class PreviewPart(BaseModel):
    """One part as members would get it, and in which language."""

    language: str
    fields: dict[str, str]
    characters: Annotated[int | None, Field(description="Of a text message, as it is sent.")] = None
    characters_of_one: Annotated[
        int | None,
        Field(description="How many make one text message: 160, or 70 when its alphabet (GSM 03.38) lacks a sign."),
    ] = None

    @classmethod
    def of(cls, part: Part, shown: Shown) -> Self:
        view = cls(language=shown.language, fields=dict(shown.fields))
        if part is Part.SMS:
            view.characters = text_messages.length(shown.fields["text"])
            view.characters_of_one = text_messages.room(shown.fields["text"])
        return view


class Preview(BaseModel):
    """What members would get."""

    parts: dict[Part, PreviewPart]
