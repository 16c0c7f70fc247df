"""One-time codes: what they prove, how long they are valid, how often they may be tried. Notices to old addresses."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from users_service.domain.model import Member

DIGITS = 6
LIFETIME = timedelta(minutes=10)
"""The longest time from request to sending, and from sending to redemption."""
TRIES = 5
"""Five guesses of a million numbers; the limits on asking for codes keep the number of codes small."""


class Purpose(StrEnum):
    """What a code is for. A code for one purpose is not valid for the other."""

    PASSWORD_RESET = "password_reset"  # noqa: S105 - no password
    VERIFY_EMAIL = "verify_email"


class Channel(StrEnum):
    """How a code travels."""

    EMAIL = "email"
    SMS = "sms"


@dataclass(frozen=True, kw_only=True)
class CodeRequest:
    """A request for a code.

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
    """A code as it is stored: only its hash, and not even that once it was used.

    request_id: the request it answers. channel: as stored, also one that this version does not know.
    sent_to: the address or number it went to, as `reached_at` writes it; once the account has another one, the code
    proves nothing. tries: how often it was tried. expires_at: whole seconds.
    """

    user_id: str
    purpose: Purpose
    code_hash: str | None = field(repr=False)
    request_id: str
    channel: str
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


def reached_at(member: Member, channel: str) -> str | None:
    """The account's address or number, in one way of writing. None for a channel that this version does not know."""
    return {Channel.EMAIL.value: member.email_key, Channel.SMS.value: member.phone}.get(channel)


@dataclass(frozen=True, kw_only=True)
class AddressNotice:
    """Tells the old e-mail address that the account has another one. id: a ULID.

    correlation_id: of the request that changed it.
    """

    id: str
    email: str = field(repr=False)
    changed_at: datetime
    correlation_id: str
