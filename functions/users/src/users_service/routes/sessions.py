"""Sessions: log in, refresh, log out, and the public keys of the access tokens."""

from collections.abc import Callable

from fastapi import Response

from library_common.access import CALLERS_OWN, Access
from library_common.http import CurrentCaller, ServiceApi
from users_service.bootstrap import UseCases
from users_service.domain.errors import (
    AccountExpired,
    AccountSuspended,
    EmailNotVerified,
    InvalidCredentials,
    RefreshTokenInvalid,
    StillChanging,
    UnknownValue,
)
from users_service.schemas.requests import LoginBody, RefreshBody
from users_service.schemas.responses import KeysView, SessionView

KEYS_SECONDS = 300
"""How long clients may cache the public keys: shorter than a new key is published before it signs."""

MAY_NOT = [AccountSuspended, AccountExpired, EmailNotVerified, UnknownValue]


def declare(api: ServiceApi, provide: Callable[[], UseCases]) -> None:
    """The routes on the use cases that `provide` answers."""

    @api.post(
        "/api/auth/login",
        access=Access(public=True),
        limit="login",
        raises=[InvalidCredentials, *MAY_NOT, StillChanging],
    )
    def log_in(body: LoginBody) -> SessionView:
        """Begin a session. An address that nobody has is answered as a wrong password is."""
        return provide().login(body.email, body.password)

    @api.post(
        "/api/auth/refresh",
        access=Access(public=True),
        limit="refresh",
        raises=[RefreshTokenInvalid, *MAY_NOT, StillChanging],
    )
    def refresh_session(body: RefreshBody) -> SessionView:
        """Continue a session with the next pair of tokens. A refresh token is good once: using one again ends the
        session, so a client sends one request at a time and keeps the newest token."""
        return provide().refresh(body.refresh_token)

    @api.post("/api/auth/logout", access=Access(member=True, own=CALLERS_OWN), status=204)
    def log_out(caller: CurrentCaller) -> None:
        """End the session that the access token belongs to: its refresh token is no good any more."""
        provide().logout(caller)

    @api.get("/.well-known/jwks.json", access=Access(public=True))
    def read_keys(response: Response) -> KeysView:
        """The public keys that access tokens are checked with (RFC 7517)."""
        keys = KeysView.model_validate(provide().verification_keys.jwks())
        response.headers["Cache-Control"] = f"public, max-age={KEYS_SECONDS}"
        return keys
