"""Logging in: an e-mail address and a password become a session.

A stranger must not learn from it whether somebody has an account here, neither by the answer nor by how long it takes:
without an account the same things are read, under an id that nobody has, and a password is compared all the same.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from library_common.clock import Clock
from library_common.context import current
from library_common.problems import TooManyRequests
from users_service.application.issuing import Issuing
from users_service.application.ports import Attempts, ChangedMeanwhile, Count, EmailKey, Members, Passwords, Sessions
from users_service.application.session_views import SessionView
from users_service.domain.errors import (
    AccountExpired,
    AccountSuspended,
    EmailNotVerified,
    InvalidCredentials,
    StillChanging,
    UsersError,
)
from users_service.domain.identity import caseless, password_to_compare
from users_service.domain.model import NOBODY, Member
from users_service.domain.sessions import Session, require_may_log_in

LIMIT = "login_account"
ATTEMPTS = 5

REFUSED: dict[type[UsersError], str] = {
    AccountSuspended: "suspended",
    EmailNotVerified: "unverified",
    AccountExpired: "expired",
}
"""What a refusal of somebody with the right password is called in the metrics."""


@dataclass(frozen=True)
class Login:
    """The use case. lifetime: of a session, however much it is used."""

    members: Members
    passwords: Passwords
    sessions: Sessions
    attempts: Attempts
    issuing: Issuing
    email_key: EmailKey
    lifetime: timedelta
    clock: Clock
    count: Count

    def __call__(self, email: str, password: str) -> SessionView:
        """A new session. Raises InvalidCredentials, TooManyRequests and, for the right password only, AccountSuspended,
        EmailNotVerified, AccountExpired. Also StillChanging, and ServiceUnavailable without a signing key.
        """
        now = self.clock.now()
        key = self._key(email)
        self._take_attempt(key)
        user_id = self.members.holder_of(key) or NOBODY
        presented = password_to_compare(password)
        for _ in range(ATTEMPTS):
            # The account before its credentials: whoever sets a new password changes the account in the same write,
            # so a session cannot begin with a password that was replaced in between (see `begin`).
            member = self.members.get(user_id)
            stored = self.members.password_hash(user_id)
            right = self.passwords.matches(presented, stored)
            if member is None or not right:
                self.count("LoginRefused", reason="credentials")
                raise InvalidCredentials
            current().log_fields["account"] = member.id
            self._require_may_log_in(member, now)
            try:
                view = self._begin(member, now)
            except ChangedMeanwhile:
                continue
            self.count("LoginSucceeded")
            return view
        raise StillChanging

    def _key(self, email: str) -> str:
        try:
            return self.email_key(email)
        except ValueError:
            # No address at all is treated as one that nobody has. A digest, because it has no length to rely on.
            return hashlib.sha256(caseless(email).encode("utf-8", "replace")).hexdigest()

    def _take_attempt(self, key: str) -> None:
        # Before the comparison, and whether or not there is such an account: the limit tells nothing either.
        try:
            self.attempts.take(LIMIT, key)
        except TooManyRequests:
            self.count("LoginRefused", reason="limit")
            raise

    def _require_may_log_in(self, member: Member, now: datetime) -> None:
        try:
            require_may_log_in(member, now)
        except tuple(REFUSED) as refused:
            self.count("LoginRefused", reason=REFUSED[type(refused)])
            raise

    def _begin(self, member: Member, now: datetime) -> SessionView:
        token = self.issuing.refresh_token(self.issuing.new_session_id())
        view = self.issuing.view(member, token, now)
        moment = now.replace(microsecond=0)
        session = Session(
            id=token.session_id,
            user_id=member.id,
            secret_hash=token.secret_hash,
            epoch=member.session_epoch,
            created_at=moment,
            used_at=moment,
            expires_at=moment + self.lifetime,
        )
        self.sessions.begin(session, member=member)
        return view
