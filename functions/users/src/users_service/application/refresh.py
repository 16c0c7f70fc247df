"""Continuing a session: its current refresh token is used up and answered with the next one.

A token that was used before means that two have it, and nobody can tell which of them is the member: the session
ends for both. Two requests with the same token at the same moment are no exception.
"""

from dataclasses import dataclass
from typing import NoReturn

from library_common.clock import Clock
from library_common.context import current
from users_service.application.issuing import Issuing
from users_service.application.login import REFUSED
from users_service.application.ports import ChangedMeanwhile, Count, Members, SessionMoved, Sessions
from users_service.application.session_views import SessionView
from users_service.domain.errors import RefreshTokenInvalid, StillChanging
from users_service.domain.sessions import RefreshToken, require_may_log_in

ATTEMPTS = 5


@dataclass(frozen=True)
class Refresh:
    """The use case."""

    members: Members
    sessions: Sessions
    issuing: Issuing
    clock: Clock
    count: Count

    def __call__(self, refresh_token: str) -> SessionView:
        """The next pair of tokens. Raises RefreshTokenInvalid, AccountSuspended, EmailNotVerified, AccountExpired,
        StillChanging, and ServiceUnavailable without a signing key.
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
                # Only who was given a token of this session can name it.
                self.sessions.end(session.id, session.user_id, by="reuse", at=now.replace(microsecond=0))
                self._refuse("reused")
            member = self.members.get(session.user_id)
            if member is None:
                self._refuse("account_gone")
            try:
                require_may_log_in(member, now)
            except tuple(REFUSED) as refused:
                self.count("RefreshRefused", reason=REFUSED[type(refused)])
                raise
            if session.epoch < member.session_epoch:
                self._refuse("epoch")
            following = self.issuing.refresh_token(session.id)
            view = self.issuing.view(member, following, now)
            after = session.rotated(following, now.replace(microsecond=0))
            try:
                self.sessions.rotate(after, before=session, member=member)
            except (SessionMoved, ChangedMeanwhile):
                # Judged anew: if somebody else used the token meanwhile, this is its second use.
                continue
            self.count("SessionRefreshed")
            return view
        raise StillChanging

    def _refuse(self, reason: str) -> NoReturn:
        self.count("RefreshRefused", reason=reason)
        raise RefreshTokenInvalid
