"""Ending a session: its refresh token is good for nothing from now on."""

from dataclasses import dataclass

from library_common.access import Caller
from library_common.clock import Clock
from users_service.application.ports import Count, Sessions


@dataclass(frozen=True)
class Logout:
    """The use case."""

    sessions: Sessions
    clock: Clock
    count: Count

    def __call__(self, caller: Caller) -> None:
        """Ends the session that the caller's access token belongs to; a token of no session has nothing to end."""
        if caller.session is None:
            return
        self.sessions.end(caller.session, caller.id, by="logout", at=self.clock.now().replace(microsecond=0))
        self.count("LoggedOut")
