"""The nightly round: stores that memberships and suspensions have ended, and tells other services by events.

Reading an account shows the right status without it. Running it twice changes nothing; one account that cannot be
written does not stop the others.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from library_common.clock import Clock
from library_common.telemetry import count, logger
from users_service.application.account_changes import AccountEditor, any_version
from users_service.application.ports import Members
from users_service.application.sorting import sort_name
from users_service.domain.account_changes import time_passed
from users_service.domain.errors import UnknownValue, UserNotFound
from users_service.domain.model import Member
from users_service.domain.search import Position


@dataclass(frozen=True)
class Round:
    """How far a round came. next_position: where to go on; None at the end."""

    changed: int
    failed: int
    next_position: Position | None


@dataclass(frozen=True)
class ExpireMemberships:
    """The use case."""

    members: Members
    editor: AccountEditor
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic

    def __call__(self, after: Position | None, *, seconds: float) -> Round:
        """Goes on after this position, for about so many seconds."""
        until = self.monotonic() + seconds
        changed = failed = 0
        while True:
            found, next_position = self.members.ended(after=after, now=self.clock.now())
            for member in found:
                if self._expire(member):
                    changed += 1
                else:
                    failed += 1
                after = Position(sort_name(member.name), member.id)
                if self.monotonic() >= until:
                    return Round(changed, failed, after)
            if next_position is None:
                return Round(changed, failed, None)
            if self.monotonic() >= until:
                return Round(changed, failed, next_position)
            after = next_position

    def _expire(self, found: Member) -> bool:
        try:
            # Reads the account again: the index may show an older state.
            self.editor.change(found.id, any_version, time_passed, by=None)
        except (UserNotFound, UnknownValue):
            # The next round of the newer version takes care of what this version cannot judge.
            return True
        except Exception as exc:  # noqa: BLE001 - one account must not stop the others
            logger().warning(
                "an account could not be written", extra={"user_id": found.id, "error": type(exc).__name__}
            )
            count("MembershipNotLapsed")
            return False
        return True
