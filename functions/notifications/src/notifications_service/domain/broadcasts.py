"""An announcement to many members: to some by name, or to all of a role and a status.

It is worked through page by page. Each member's notice has an identity made of the broadcast's and the member's, so a
page that is done twice is told once; the cursor only saves work.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from notifications_service.domain.kinds import Channel, Kind


@dataclass(frozen=True)
class Audience:
    """Who is told: all members of this role and status. None: whatever it is."""

    role: str | None = None
    status: str | None = "active"


class BroadcastState(StrEnum):
    """waiting: nobody worked on it yet. running: some may have been told. done: all were.

    cancelled: nobody else is told.
    """

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Broadcast:
    """to: an audience, or the members themselves. channels: None for what each member wishes. told: for how many it
    was noted so far, by whatever way.

    turn: counts what was noted about it, so that of two that work on it only one goes on. done: nobody works on it any
    more. by, cancelled_by: actors; the latter of one that was cancelled. by is None of one from before it was kept.
    """

    id: str
    kind: Kind
    to: Audience | tuple[str, ...]
    channels: tuple[Channel, ...] | None
    send_at: datetime
    created_at: datetime
    correlation_id: str
    data: Mapping[str, Any] = field(default_factory=dict)
    cursor: str | None = None
    told: int = 0
    attempts: int = 0
    turn: int = 0
    done: bool = False
    by: str | None = None
    cancelled_by: str | None = None

    @property
    def state(self) -> BroadcastState:
        if self.cancelled_by is not None:
            return BroadcastState.CANCELLED
        if self.done:
            return BroadcastState.DONE
        return BroadcastState.RUNNING if self.turn else BroadcastState.WAITING

    def over(self) -> Self:
        """Nothing is left to do: what it said goes, and whom it named. Who sent what kind to how many stays."""
        to = self.to if isinstance(self.to, Audience) else ()
        return replace(self, to=to, data={}, cursor=None, done=True)
