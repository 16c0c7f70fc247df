"""How a member wants to be notified, and by which channels a notice goes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time
from enum import StrEnum

from notifications_service.domain.kinds import Channel, Kind, Urgency, urgency

DEFAULT_CHANNELS = (Channel.EMAIL, Channel.IN_APP)

ALWAYS_BY_EMAIL = frozenset({Kind.PASSWORD_CHANGED})
"""Somebody else may have changed the password."""

ONLY_MEMBER_TURNS_OFF = frozenset({Kind.MEMBERSHIP_CHANGED, Kind.ROLE_CHANGED})
"""Whoever changes a role or membership must not be able to hide it from the member."""

WARNINGS = ALWAYS_BY_EMAIL | ONLY_MEMBER_TURNS_OFF
"""E-mails that the daily limit does not hold back."""


class DigestRhythm(StrEnum):
    """How often routine notices are gathered into one message. off: each visit makes its own."""

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
    """When digests go out: at `at` by the member's clock, weekly ones on `weekday` (Monday is 0).

    rhythm: a `DigestRhythm`. One that this version does not know counts as weekly.
    """

    rhythm: str = DigestRhythm.OFF
    at: time = time(8)
    weekday: int = 0


@dataclass(frozen=True)
class Preferences:
    """channels: by kind, only where they differ from the default; an empty tuple: do not notify. Kinds and channels
    that this version does not know are kept, and nothing is sent by them.

    language, time_zone: None when the member chose none; the account's and the library's count then.
    """

    channels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    quiet_hours: QuietHours | None = None
    digest: Digest = Digest()
    language: str | None = None
    time_zone: str | None = None
    version: int = 0

    def chosen(self, kind: str) -> tuple[Channel, ...] | None:
        """The channels that the member chose for this kind; None for the default. If this version knows none of them,
        the list of notices."""
        stored = self.channels.get(kind)
        if stored is None:
            return None
        known = tuple(Channel(name) for name in stored if name in Channel)
        return known or ((Channel.IN_APP,) if stored else ())


def channels_for(
    kind: str, preferences: Preferences, *, requested: Sequence[Channel] | None = None
) -> tuple[Channel, ...]:
    """The channels that the member chose for this kind, or the default.

    requested: the channels that staff chose for an announcement. A member who chose channels for this kind gets it by
    those in both lists; if there are none, in the list of notices, unless they want nothing of this kind. A member who
    chose none gets it by all requested channels.
    """
    chosen = preferences.chosen(kind)
    if requested is None:
        return tuple(dict.fromkeys(chosen if chosen is not None else DEFAULT_CHANNELS))
    if chosen is None:
        return tuple(dict.fromkeys(requested))
    both = tuple(channel for channel in dict.fromkeys(requested) if channel in chosen)
    return both or ((Channel.IN_APP,) if chosen else ())


def is_allowed(channel: Channel, kind: str, preferences: Preferences, *, takes_email: bool, takes_sms: bool) -> bool:
    """Whether a message may go by this channel now. takes_*: what the member's account says.

    An instant notice goes by e-mail and push whatever the account says. Text messages go only to members who asked for
    them. The channels chosen for a kind always count.
    """
    chosen = preferences.chosen(kind)
    if chosen is not None and channel not in chosen:
        return False
    if urgency(kind) is Urgency.INSTANT and channel is not Channel.SMS:
        return True
    return {Channel.EMAIL: takes_email, Channel.SMS: takes_sms}.get(channel, True)
