"""A member of the library."""

from dataclasses import dataclass
from datetime import datetime

from users_service.domain.events import MemberEvent
from users_service.domain.membership import Status, effective_status
from users_service.domain.roles import Role

NOBODY = "0" * 26
"""An id of the right form that no account ever gets: its moment is the year 1970. Looked up where there is no account,
so that the same calls are made."""


@dataclass(frozen=True)
class Preferences:
    """What members decide about themselves.

    language: ISO 639 code for messages, None for the library's own. notification_email and
    notification_sms: where messages may go. keep_history: closed loans stay in the member's history
    instead of being anonymised. share_for_recommendations: loans may count, unnamed, towards what
    others are recommended. Both of the last are off unless asked for.
    """

    language: str | None = None
    notification_email: bool = True
    notification_sms: bool = False
    keep_history: bool = False
    share_for_recommendations: bool = False


@dataclass(frozen=True, kw_only=True)
class Member:
    """One account, staff's too. Credentials are no part of it.

    email: as typed. email_key: what makes it unique, whatever the writing. phone: E.164. phone_confirmed: the member
    set it with their password, so codes for a new password may go there; what was given at registration or set by
    staff is just a number. stored_status:
    as last written; `status` says what it means now. email_verified_at: when the member proved that the address is
    theirs. session_epoch: how often all sessions of the account were revoked; those of earlier epochs do not count.
    version: one more with every change.
    """

    id: str
    name: str
    email: str
    email_key: str
    role: Role
    stored_status: Status
    status_reason: str | None = None
    suspended_until: datetime | None = None
    phone: str | None = None
    phone_confirmed: bool = False
    preferences: Preferences = Preferences()
    expires_at: datetime | None = None
    email_verified_at: datetime | None = None
    session_epoch: int = 0
    created_at: datetime
    version: int = 1

    def status(self, now: datetime) -> Status:
        """The status as it reads at `now`."""
        return effective_status(
            self.stored_status, suspended_until=self.suspended_until, expires_at=self.expires_at, now=now
        )


@dataclass(frozen=True)
class Change:
    """A member as a decision leaves them, and what is to be told about it."""

    member: Member
    happened: tuple[MemberEvent, ...] = ()
