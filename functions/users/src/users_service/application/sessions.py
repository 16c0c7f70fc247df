"""Sessions: log in, refresh, log out, and the tokens they issue.

Login must not tell strangers who has an account, neither by its answer nor by the time it takes: without an account the
same things are read, under an id that nobody has, and a password is compared all the same.

A refresh token is valid once. If it comes a second time, two people have it and nobody can tell which of them is the
member, so the session ends for both. Two requests with the same token at the same time are no exception.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from library_common.access import Caller
from library_common.clock import Clock
from library_common.context import current
from library_common.problems import TooManyRequests
from library_common.versions import VersionConflict
from users_service.application.ports import AccessTokens, Attempts, Count, EmailKey, Members, Passwords, Sessions
from users_service.domain.credentials import caseless, password_to_compare
from users_service.domain.errors import (
    AccountExpired,
    AccountSuspended,
    EmailNotVerified,
    InvalidCredentials,
    RefreshTokenInvalid,
    StillChanging,
    UnknownValue,
    UsersError,
)
from users_service.domain.model import NOBODY, Member
from users_service.domain.sessions import SECRET_BYTES, SESSION_ID_BYTES, RefreshToken, Session, require_may_log_in
from users_service.schemas.responses import SessionView, UserView

LOGIN_LIMIT = "login_account"
ATTEMPTS = 5

REFUSED: dict[type[UsersError], str] = {
    AccountSuspended: "suspended",
    EmailNotVerified: "unverified",
    AccountExpired: "expired",
    UnknownValue: "unknown_value",
}
"""The counters' `reason` when somebody may not log in though password or token are right."""


@dataclass(frozen=True)
class TokenIssuer:
    """random: that many random bytes as URL-safe text."""

    access_tokens: AccessTokens
    random: Callable[[int], str] = secrets.token_urlsafe

    def new_session_id(self) -> str:
        return self.random(SESSION_ID_BYTES)

    def refresh_token(self, session_id: str) -> RefreshToken:
        """The session's next refresh token."""
        return RefreshToken(session_id, self.random(SECRET_BYTES))

    def view(self, member: Member, token: RefreshToken, now: datetime) -> SessionView:
        """The answer to the client, with a new access token. Call it before anything is written: it raises
        library_common.problems.ServiceUnavailable without a signing key, and then no token may be used up.
        """
        access_token, seconds = self.access_tokens.mint(member, session_id=token.session_id, now=now)
        return SessionView(
            access_token=access_token, refresh_token=token.text, expires_in=seconds, user=UserView.of(member, now)
        )


@dataclass(frozen=True)
class Login:
    """An e-mail address and a password become a session. lifetime: of a session, however much it is used."""

    members: Members
    passwords: Passwords
    sessions: Sessions
    attempts: Attempts
    tokens: TokenIssuer
    email_key: EmailKey
    lifetime: timedelta
    clock: Clock
    count: Count

    def __call__(self, email: str, password: str) -> SessionView:
        """A new session. Raises InvalidCredentials, TooManyRequests and, for the right password only, AccountSuspended,
        EmailNotVerified, AccountExpired, UnknownValue. Also StillChanging, and ServiceUnavailable without a signing
        key.
        """
        now = self.clock.now()
        key = self._key(email)
        self._take_attempt(key)
        user_id = self.members.holder_of(key) or NOBODY
        presented = password_to_compare(password)
        for _ in range(ATTEMPTS):
            # Read the account before its credentials: a new password changes the account in the same write, so `begin`
            # fails if the password was replaced in between.
            member = self.members.get(user_id)
            stored = self.members.password_hash(user_id)
            right = self.passwords.matches(presented, stored)
            if member is None or not right:
                self.count("LoginRefused", reason="credentials")
                raise InvalidCredentials
            current().log_fields["account"] = member.id
            _require_may_log_in(member, now, self.count, "LoginRefused")
            try:
                view = self._begin(member, now)
            except VersionConflict:
                continue
            self.count("LoginSucceeded")
            return view
        raise StillChanging

    def _key(self, email: str) -> str:
        try:
            return self.email_key(email)
        except ValueError:
            # Not an address: treated as one that nobody has. A digest, because its length may be anything.
            return hashlib.sha256(caseless(email).encode("utf-8", "replace")).hexdigest()

    def _take_attempt(self, key: str) -> None:
        # Before the comparison, and with and without an account: so the limit tells nothing either.
        try:
            self.attempts.take(LOGIN_LIMIT, key)
        except TooManyRequests:
            self.count("LoginRefused", reason="limit")
            raise

    def _begin(self, member: Member, now: datetime) -> SessionView:
        token = self.tokens.refresh_token(self.tokens.new_session_id())
        view = self.tokens.view(member, token, now)
        second = now.replace(microsecond=0)
        session = Session(
            id=token.session_id,
            user_id=member.id,
            secret_hash=token.secret_hash,
            epoch=member.session_epoch,
            created_at=second,
            used_at=second,
            expires_at=second + self.lifetime,
        )
        self.sessions.begin(session, member=member)
        return view


@dataclass(frozen=True)
class Refresh:
    """The session's current refresh token is used up and answered with the next one."""

    members: Members
    sessions: Sessions
    tokens: TokenIssuer
    clock: Clock
    count: Count

    def __call__(self, refresh_token: str) -> SessionView:
        """The next pair of tokens. Raises RefreshTokenInvalid, AccountSuspended, EmailNotVerified, AccountExpired,
        UnknownValue, StillChanging, and ServiceUnavailable without a signing key.
        """
        now = self.clock.now()
        token = RefreshToken.parse(refresh_token)
        if token is None:
            self._refuse("malformed")
        for _ in range(ATTEMPTS):
            session = self.sessions.get(token.session_id)
            if session is None:
                self._refuse("unknown")
            current().log_fields["account"] = session.user_id
            if session.is_over(now):
                self._refuse("over")
            if not session.accepts(token):
                # Only somebody who once had a token of this session can name it.
                self.sessions.end(session.id, session.user_id, by="reuse", at=now.replace(microsecond=0))
                self._refuse("reused")
            member = self.members.get(session.user_id)
            if member is None:
                self._refuse("account_gone")
            _require_may_log_in(member, now, self.count, "RefreshRefused")
            if session.epoch < member.session_epoch:
                self._refuse("epoch")
            following = self.tokens.refresh_token(session.id)
            view = self.tokens.view(member, following, now)
            after = session.rotated(following, now.replace(microsecond=0))
            try:
                self.sessions.rotate(after, before=session, member=member)
            except VersionConflict:
                # Check everything again: if somebody else has used the token meanwhile, this is its second use.
                continue
            self.count("SessionRefreshed")
            return view
        raise StillChanging

    def _refuse(self, reason: str) -> NoReturn:
        self.count("RefreshRefused", reason=reason)
        raise RefreshTokenInvalid


@dataclass(frozen=True)
class Logout:
    """Ends a session: its refresh token is no longer valid."""

    sessions: Sessions
    clock: Clock
    count: Count

    def __call__(self, caller: Caller) -> None:
        """Ends the session of the caller's access token. Does nothing if the token has no session."""
        if caller.session is None:
            return
        self.sessions.end(caller.session, caller.id, by="logout", at=self.clock.now().replace(microsecond=0))
        self.count("LoggedOut")


def _require_may_log_in(member: Member, now: datetime, count: Count, counter: str) -> None:
    try:
        require_may_log_in(member, now)
    except tuple(REFUSED) as refused:
        count(counter, reason=REFUSED[type(refused)])
        raise
