"""How members want to be notified."""

from datetime import time
from typing import Annotated, Self

from pydantic import BaseModel, Field

from library_common.http import RequestBody, with_examples
from library_common.text import Line
from notifications_service.application.preferences import effective_channels
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.preferences import (
    DEFAULT_CHANNELS,
    Digest,
    DigestRhythm,
    Preferences,
    QuietHours,
)
from notifications_service.schemas.common import ClockTime, Id, Language, ZoneName


class QuietHoursShape(RequestBody):
    """From `start` up to but not including `end`, over midnight when `end` is earlier; at most 20 hours."""

    start: ClockTime
    end: ClockTime


class DigestShape(RequestBody):
    """When routine notices are gathered into one message. weekday: of a weekly digest; Monday is 0."""

    rhythm: DigestRhythm = DigestRhythm.OFF
    at: ClockTime = "08:00"
    weekday: Annotated[int, Field(strict=True, ge=0, le=6)] = 0


class DigestView(BaseModel):
    """As it is stored. rhythm: a known one, or one that a newer version of this service stored."""

    rhythm: Annotated[DigestRhythm | str, Field(union_mode="left_to_right")]
    at: ClockTime
    weekday: int


_IGNORED = "From the response of `GET`; ignored."


class DefaultsView(BaseModel):
    """What counts where the member chose nothing. language: unless the account names another."""

    channels: Annotated[list[Channel], Field(max_length=4)]
    language: Annotated[Line, Field(max_length=64)]
    time_zone: Annotated[Line, Field(max_length=64)]


class PreferencesBody(RequestBody):
    """All preferences of a member; what is left out goes back to the default."""

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
        Field(description="Channels by kind; an empty list: do not notify. Kinds left out: e-mail and in-app."),
    ] = {}  # noqa: RUF012 - pydantic copies it
    quiet_hours: QuietHoursShape | None = None
    digest: DigestShape = DigestShape()
    language: Annotated[Language | None, Field(description="BCP 47 tag; null: the account's.")] = None
    time_zone: Annotated[ZoneName | None, Field(description="IANA name; null: the library's.")] = None
    # So that the response of `GET` can be changed and sent back.
    user_id: Annotated[Id | None, Field(description=_IGNORED)] = None
    defaults: Annotated[DefaultsView | None, Field(description=_IGNORED)] = None
    version: Annotated[
        int | None, Field(strict=True, ge=0, le=2**31 - 1, description=f"{_IGNORED} `If-Match` counts.")
    ] = None

    def preferences(self) -> Preferences:
        """For the use case."""
        quiet = self.quiet_hours
        return Preferences(
            channels={kind: tuple(chosen) for kind, chosen in self.channels.items()},
            quiet_hours=QuietHours(time.fromisoformat(quiet.start), time.fromisoformat(quiet.end)) if quiet else None,
            digest=Digest(self.digest.rhythm, time.fromisoformat(self.digest.at), self.digest.weekday),
            language=self.language,
            time_zone=self.time_zone,
        )


class PreferencesView(BaseModel):
    """How a member is notified: the channels of every kind, chosen or by default."""

    user_id: str
    channels: Annotated[
        dict[Kind, list[Channel]],
        Field(
            description="As chosen. What the account allows (`notification_email`, `notification_sms`) and whether"
            " there is a number or a device counts when a message goes out; where no channel is left, the notice"
            " is in the member's list."
        ),
    ]
    quiet_hours: QuietHoursShape | None
    digest: DigestView
    language: str | None
    time_zone: str | None
    defaults: DefaultsView
    version: int

    @classmethod
    def of(cls, user_id: str, preferences: Preferences, *, language: str, time_zone: str) -> Self:
        quiet, digest = preferences.quiet_hours, preferences.digest
        return cls(
            user_id=user_id,
            channels={kind: list(chosen) for kind, chosen in effective_channels(preferences).items()},
            quiet_hours=QuietHoursShape(start=f"{quiet.start:%H:%M}", end=f"{quiet.end:%H:%M}") if quiet else None,
            digest=DigestView(rhythm=digest.rhythm, at=f"{digest.at:%H:%M}", weekday=digest.weekday),
            language=preferences.language,
            time_zone=preferences.time_zone,
            defaults=DefaultsView(channels=list(DEFAULT_CHANNELS), language=language, time_zone=time_zone),
            version=preferences.version,
        )
