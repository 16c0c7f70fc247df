"""Tokens for a session: a new refresh token, and an access token beside it."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from users_service.application.ports import AccessTokens
from users_service.application.session_views import SessionView
from users_service.application.views import UserView
from users_service.domain.model import Member
from users_service.domain.sessions import SECRET_BYTES, SESSION_ID_BYTES, RefreshToken


def _random(size: int) -> str:
    return secrets.token_urlsafe(size)


@dataclass(frozen=True)
class Issuing:
    """random: that many random bytes as URL-safe text."""

    access_tokens: AccessTokens
    random: Callable[[int], str] = _random

    def new_session_id(self) -> str:
        """Nothing a stranger could name."""
        return self.random(SESSION_ID_BYTES)

    def refresh_token(self, session_id: str) -> RefreshToken:
        """The next one of a session."""
        return RefreshToken(session_id, self.random(SECRET_BYTES))

    def view(self, member: Member, token: RefreshToken, now: datetime) -> SessionView:
        """The answer to the client. Made before anything is written: without a signing key nothing may be used up.

        Raises library_common.problems.ServiceUnavailable.
        """
        access_token, seconds = self.access_tokens.mint(member, session_id=token.session_id, now=now)
        return SessionView(
            access_token=access_token, refresh_token=token.text, expires_in=seconds, user=UserView.of(member, now)
        )
