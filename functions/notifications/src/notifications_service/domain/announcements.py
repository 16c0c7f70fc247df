"""An announcement by staff: to some members by id, or to all of a role and a status.

It is delivered page by page. The identity of each member's notice is made of the announcement's and the member's, so a
page that is done twice notifies once. The cursor only saves work.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from notifications_service.domain.kinds import Channel, Kind


@dataclass(frozen=True)
class Audience:
    """All members of this role and status. None: any."""

    role: str | None = None
    status: str | None = "active"


class AnnouncementState(StrEnum):
    """waiting: nobody was notified yet. running: some may have been. done: all were. cancelled: nobody else will be."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Announcement:
    """to: an audience, or the members themselves. channels: None for what each member prefers.

    kind, channels: as stored; a newer version of this service may have written values that this one does not know.
    notified: for how many members it was planned so far. version: counts the writes. done: there is no work left.
    by: the actor who sent it; None for announcements from before this was kept. cancelled_by: None unless cancelled.
    """

    id: str
    kind: str
    to: Audience | tuple[str, ...]
    channels: tuple[str, ...] | None
    send_at: datetime
    created_at: datetime
    correlation_id: str
    data: Mapping[str, Any] = field(default_factory=dict)
    cursor: str | None = None
    notified: int = 0
    attempts: int = 0
    version: int = 0
    done: bool = False
    by: str | None = None
    cancelled_by: str | None = None

    @property
    def state(self) -> AnnouncementState:
        if self.cancelled_by is not None:
            return AnnouncementState.CANCELLED
        if self.done:
            return AnnouncementState.DONE
        return AnnouncementState.RUNNING if self.version else AnnouncementState.WAITING

    @property
    def is_of_newer_version(self) -> bool:
        """Whether this version of the service does not know its kind or one of its channels."""
        return self.kind not in Kind or any(name not in Channel for name in self.channels or ())

    def finished(self) -> Self:
        """No work left. Its text and the ids it named are removed; who sent what kind to how many stays."""
        to = self.to if isinstance(self.to, Audience) else ()
        return replace(self, to=to, data={}, cursor=None, done=True)
