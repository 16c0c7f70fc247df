"""A member of the library."""

from dataclasses import dataclass
from datetime import datetime

from users_service.domain.errors import UnknownValue
from users_service.domain.events import MemberEvent
from users_service.domain.membership import Status, effective_status
from users_service.domain.roles import STAFF, Role

NOBODY = "0" * 26
"""A well-formed id that no account ever gets. Looked up where there is no account, so that the same calls are made."""


@dataclass(frozen=True)
class Preferences:
    """What members decide about themselves.

    language: ISO 639 code for messages, None for the library's own. notification_email, notification_sms: where
    messages may go. keep_history: closed loans stay in the member's history instead of being anonymised.
    share_for_recommendations: loans may count, without a name, towards recommendations for others.
    """

    language: str | None = None
    notification_email: bool = True
    notification_sms: bool = False
    keep_history: bool = False
    share_for_recommendations: bool = False


@dataclass(frozen=True, kw_only=True)
class Member:
    """One account, of a member or of staff. Credentials are not part of it.

    email: as typed. email_key: what makes it unique, however it is written. role, stored_status: as last written, also
    values that this version does not know (see `require_known_values`); `status` is what the status means now.
    phone: E.164. phone_confirmed: the member set it with their password, so codes for a new password may go there.
    email_verified_at: when the member proved that the address is theirs. session_epoch: how often all sessions of the
    account were revoked; sessions of earlier epochs are over. version: one more with every change.
    """

    id: str
    name: str
    email: str
    email_key: str
    role: str
    stored_status: str
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

    @property
    def is_staff(self) -> bool:
        return self.role in STAFF

    def status(self, now: datetime) -> str:
        """The status at `now`."""
        return effective_status(
            self.stored_status, suspended_until=self.suspended_until, expires_at=self.expires_at, now=now
        )

    def require_known_values(self) -> None:
        """Raises UnknownValue if a newer version of the service stored a role or status that this one does not know.

        Such an account can be read, but nobody can log in to it and nothing changes it: this version cannot judge
        what the value allows.
        """
        if self.role not in set(Role) or self.stored_status not in set(Status):
            raise UnknownValue


@dataclass(frozen=True)
class Change:
    """A member after a decision, and the events it causes."""

    member: Member
    happened: tuple[MemberEvent, ...] = ()
