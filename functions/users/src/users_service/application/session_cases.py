"""What can be asked about sessions."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from library_common.clock import Clock
from users_service.application.issuing import Issuing
from users_service.application.login import Login
from users_service.application.logout import Logout
from users_service.application.ports import (
    AccessTokens,
    Attempts,
    Count,
    EmailKey,
    Members,
    Passwords,
    Sessions,
    VerificationKeys,
)
from users_service.application.refresh import Refresh
from users_service.application.session_views import KeysView


@dataclass(frozen=True)
class PublishedKeys:
    """The public keys of access tokens."""

    verification_keys: VerificationKeys

    def __call__(self) -> KeysView:
        """Raises library_common.problems.ServiceUnavailable when there are none yet."""
        return KeysView.model_validate(self.verification_keys.jwks())


@dataclass(frozen=True)
class SessionCases:
    """The use cases, ready to be called."""

    login: Login
    refresh: Refresh
    logout: Logout
    keys: PublishedKeys

    @classmethod
    def of(
        cls,
        *,
        members: Members,
        passwords: Passwords,
        sessions: Sessions,
        attempts: Attempts,
        access_tokens: AccessTokens,
        verification_keys: VerificationKeys,
        email_key: EmailKey,
        lifetime: timedelta,
        clock: Clock,
        count: Count,
    ) -> Self:
        """The use cases on these parts. lifetime: of a session."""
        issuing = Issuing(access_tokens)
        return cls(
            login=Login(members, passwords, sessions, attempts, issuing, email_key, lifetime, clock, count),
            refresh=Refresh(members, sessions, issuing, clock, count),
            logout=Logout(sessions, clock, count),
            keys=PublishedKeys(verification_keys),
        )
