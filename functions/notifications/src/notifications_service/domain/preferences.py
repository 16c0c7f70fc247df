"""How a member wants to be told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from enum import StrEnum

from notifications_service.domain.kinds import Channel, Kind

DEFAULT_CHANNELS = (Channel.EMAIL, Channel.IN_APP)

ALWAYS_BY_EMAIL = frozenset({Kind.PASSWORD_CHANGED})
"""It may not have been the member."""

FOR_THE_MEMBER_TO_TURN_OFF = frozenset({Kind.MEMBERSHIP_CHANGED, Kind.ROLE_CHANGED})
"""Whoever changes these must not be able to keep the member from hearing of it."""

NEVER_UNHEARD = ALWAYS_BY_EMAIL | FOR_THE_MEMBER_TO_TURN_OFF
"""E-mails that no number of others on the same day keeps back."""


class DigestRhythm(StrEnum):
    """How often routine notices are gathered into one message; off: each visit makes its own."""

    OFF = "off"
    DAILY = "daily"
    WEEKLY = "weekly"


@dataclass(frozen=True)
class QuietHours:
    """From `start` up to but not including `end` by the member's clock; over midnight when `end` is earlier."""

    start: time
    end: time


@dataclass(frozen=True)
class Digest:
    """When gathered notices go out: at `at` by the member's clock, weekly ones on `weekday` (Monday is 0)."""

    rhythm: DigestRhythm = DigestRhythm.OFF
    at: time = time(8)
    weekday: int = 0


@dataclass(frozen=True)
class Preferences:
    """A member's wishes. channels: only the kinds that differ from the default; an empty tuple: not at all.

    language, time_zone: None when the member never said; the account's and the library's count then.
    """

    channels: Mapping[Kind, tuple[Channel, ...]] = field(default_factory=dict)
    quiet_hours: QuietHours | None = None
    digest: Digest = Digest()
    language: str | None = None
    time_zone: str | None = None
    version: int = 0
