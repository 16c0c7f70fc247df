"""One-time codes: what they prove, how long they live, and how often they may be guessed."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from users_service.domain.model import Member

DIGITS = 6
LIFETIME = timedelta(minutes=10)
"""From being asked for to being sent, and from being sent to being handed in: each at most this long."""
TRIES = 5
"""Five guesses of a million numbers; the limits on asking for codes keep the number of codes small."""


class Purpose(StrEnum):
    """What a code is good for. A code for one is none for the other."""

    PASSWORD_RESET = "password_reset"  # noqa: S105 - no password
    VERIFY_EMAIL = "verify_email"


class Channel(StrEnum):
    """How a code travels."""

    EMAIL = "email"
    SMS = "sms"


@dataclass(frozen=True, kw_only=True)
class CodeRequest:
    """Somebody wants a code.

    id: a ULID, so that later requests have greater ones. email_key: of the account, if there is one.
    correlation_id: of the request or event that led to this one.
    """

    id: str
    purpose: Purpose
    email_key: str = field(repr=False)
    channel: Channel
    requested_at: datetime
    correlation_id: str


@dataclass(frozen=True, kw_only=True)
class Code:
    """A code as it is kept: never itself, only its hash, and none once it was used.

    request_id: the request it answers. sent_to: where it went, as `reached_at` says; a code that went elsewhere
    proves nothing about the account as it is now. tries: how often it was guessed. expires_at: whole seconds.
    """

    user_id: str
    purpose: Purpose
    code_hash: str | None = field(repr=False)
    request_id: str
    channel: Channel
    sent_to: str = field(repr=False)
    expires_at: datetime
    tries: int = 0

    def proves(self, member: Member) -> bool:
        """Whether it was sent to where this account is reached now."""
        return self.user_id == member.id and self.sent_to == reached_at(member, self.channel)


def channel_for(member: Member, purpose: Purpose, wanted: Channel) -> Channel:
    """A text message where one was asked for and the member has confirmed a number; e-mail alone proves an address.

    A number that a stranger gave when registering somebody else's address must not let the stranger in.
    """
    if purpose is Purpose.PASSWORD_RESET and wanted is Channel.SMS and member.phone and member.phone_confirmed:
        return Channel.SMS
    return Channel.EMAIL


def reached_at(member: Member, channel: Channel) -> str | None:
    """What stands for the address or number of an account: equal as long as it is the same."""
    return member.phone if channel is Channel.SMS else member.email_key
