"""Sessions: begun by a login, continued by refresh tokens, ended by logout, reuse or time.

A session is a family of refresh tokens of which one at a time is good. A token is `<session id>.<secret>`: the id finds
the session, the secret proves that the token is the current one. Stored is only the secret's SHA-256. A slow hash
would add nothing: the secret is 256 random bits, not something a person thought of, so there is no list to try.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, Self

from users_service.domain.errors import AccountExpired, AccountSuspended, EmailNotVerified
from users_service.domain.membership import Status
from users_service.domain.model import Member

SESSION_ID_BYTES = 16
SECRET_BYTES = 32
_TOKEN = re.compile(r"([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})")
"""16 and 32 bytes in URL-safe base64 without padding."""

type EndedBy = Literal["logout", "reuse"]
"""What this version ends sessions with; a newer one may have stored another reason."""


@dataclass(frozen=True)
class RefreshToken:
    """What a client keeps to get the next access token with; good once."""

    session_id: str
    secret: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None for what cannot be a token of ours."""
        found = _TOKEN.fullmatch(text)
        return cls(found[1], found[2]) if found is not None else None

    @property
    def text(self) -> str:
        """As the client keeps it."""
        return f"{self.session_id}.{self.secret}"

    @property
    def secret_hash(self) -> str:
        """What is stored of it."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Session:
    """One login of one member.

    secret_hash: of the one refresh token that is good. generation: how many tokens there have been. epoch: the
    account's session epoch at login; when the account begins a new one, its older sessions are over. used_at: when the
    current token was made. expires_at: when the session ends however much it is used.
    """

    id: str
    user_id: str
    secret_hash: str = field(repr=False)
    generation: int = 1
    epoch: int
    created_at: datetime
    used_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    ended_by: str | None = None

    def accepts(self, token: RefreshToken) -> bool:
        """Whether this is the current token. Any other one of the session was used before, or made up by somebody
        who knows the session."""
        return hmac.compare_digest(self.secret_hash, token.secret_hash)

    def is_over(self, now: datetime) -> bool:
        """Whether it ended, by somebody's doing or by time."""
        return self.ended_at is not None or self.expires_at <= now

    def rotated(self, token: RefreshToken, now: datetime) -> Self:
        """The session with this as its current token."""
        return replace(self, secret_hash=token.secret_hash, generation=self.generation + 1, used_at=now)


def require_may_log_in(member: Member, now: datetime) -> None:
    """Who may have a session, judged by the status as it reads now.

    Members whose membership has expired may: they see their loans, and pay. Expired staff may not, because what their
    role allows does not depend on a membership.
    Raises AccountSuspended, EmailNotVerified, AccountExpired; UnknownValue for a role or status that this version does
    not know.
    """
    member.require_known_values()
    match member.status(now):
        case Status.SUSPENDED:
            raise AccountSuspended(member.status_reason, member.suspended_until)
        case Status.PENDING:
            raise EmailNotVerified
        case Status.EXPIRED if member.is_staff:
            raise AccountExpired
        case _:
            return
