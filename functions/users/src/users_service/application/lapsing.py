"""The nightly round: writes down which memberships and suspensions have ended, and tells of it.

Reading an account shows what time has done without it. Running it twice changes nothing; one account that cannot
be written does not stop the others.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from library_common.clock import Clock
from library_common.telemetry import count, logger
from users_service.application.editing import Editing, any_version
from users_service.application.ports import Members
from users_service.application.sorting import sort_name
from users_service.domain.decisions import time_passed
from users_service.domain.directory import Place
from users_service.domain.errors import UserNotFound
from users_service.domain.model import Member


@dataclass(frozen=True)
class Round:
    """How far a round came. next_place: where to go on; None when it is through."""

    changed: int
    failed: int
    next_place: Place | None


@dataclass(frozen=True)
class LapseMemberships:
    """The use case."""

    members: Members
    editing: Editing
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic

    def __call__(self, after: Place | None, *, seconds: float) -> Round:
        """Goes on after this place, for about so many seconds."""
        until = self.monotonic() + seconds
        changed = failed = 0
        while True:
            found, next_place = self.members.lapsed(after=after, now=self.clock.now())
            for member in found:
                if self._lapse(member):
                    changed += 1
                else:
                    failed += 1
                after = Place(sort_name(member.name), member.id)
                if self.monotonic() >= until:
                    return Round(changed, failed, after)
            if next_place is None:
                return Round(changed, failed, None)
            if self.monotonic() >= until:
                return Round(changed, failed, next_place)
            after = next_place

    def _lapse(self, found: Member) -> bool:
        try:
            # Read again and decided anew: the directory may show an older state.
            self.editing.change(found.id, any_version, time_passed, by=None)
        except UserNotFound:
            return True
        except Exception as exc:  # noqa: BLE001 - the others are not to wait for this one
            logger().warning(
                "an account could not be written", extra={"user_id": found.id, "error": type(exc).__name__}
            )
            count("MembershipNotLapsed", service="users")
            return False
        return True
