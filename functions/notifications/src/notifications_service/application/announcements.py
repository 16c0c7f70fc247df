"""Announcements: sent by staff, stored, and delivered page by page."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from library_common.clock import Clock
from library_common.context import current
from library_common.idempotency import Ticket
from library_common.ids import new_id
from library_common.versions import VersionConflict
from notifications_service.application.planning import LONGEST_DELAY, Planning
from notifications_service.application.ports import (
    Accounts,
    AnnouncementStore,
    DueAnnouncement,
    MemberErased,
    ServiceUnavailable,
    TaskQueue,
)
from notifications_service.domain.announcements import Announcement, AnnouncementState, Audience
from notifications_service.domain.deliveries import pause_after
from notifications_service.domain.errors import AnnouncementDone, AnnouncementNotFound, InvalidFields
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.notices import Notice
from notifications_service.domain.templates import own_fields

SENDABLE = (Kind.ANNOUNCEMENT, Kind.LOAN_DUE_SOON, Kind.LOAN_OVERDUE, Kind.HOLD_READY)
"""The other kinds say that something happened, and only its event may say so."""

LONGEST_AHEAD = timedelta(days=365)
PAGE = 50
LOOK_AGAIN = timedelta(minutes=2)
"""When the sweep looks at an announcement nobody went on with: longer than the sender's function may run."""


@dataclass(frozen=True)
class AnnouncementRequest:
    """What to send to whom. Either user_ids, or everybody of a role (None: any) and a status.

    channels: None for what each member prefers. send_at: None for now. by: the actor who asks.
    """

    kind: Kind
    data: Mapping[str, str]
    by: str
    user_ids: tuple[str, ...] = ()
    role: str | None = None
    status: str | None = None
    channels: tuple[Channel, ...] | None = None
    send_at: datetime | None = None


@dataclass(frozen=True)
class Announcements:
    """The use cases of staff."""

    store: AnnouncementStore
    queue: TaskQueue
    clock: Clock
    ids: Callable[[], str] = new_id

    def send(self, request: AnnouncementRequest, ticket: Ticket | None) -> tuple[str, bool]:
        """The announcement's id, and whether it is a repeat. Raises InvalidFields, IdempotencyKeyReused."""
        now = self.clock.now().replace(microsecond=0)
        # First: what was valid at the first request may not be any more, `send_at` above all.
        if ticket is not None and (earlier := self.store.created_before(ticket, self.clock.now())) is not None:
            return earlier, True
        if wrong := [*_wrong_data(request.kind, request.data), *_wrong_request(request, self.clock.now())]:
            raise InvalidFields(*wrong)
        announcement = Announcement(
            id=self.ids(),
            kind=request.kind,
            to=request.user_ids or Audience(request.role, request.status),
            channels=request.channels,
            send_at=max(request.send_at or now, now),
            created_at=now,
            correlation_id=current().correlation_id,
            by=request.by,
            data=request.data,
        )
        announcement_id, replayed = self.store.create(announcement, ticket, now)
        # Later ones are found by the sweep.
        if not replayed and announcement.send_at - now <= LONGEST_DELAY:
            delay = int((announcement.send_at - now).total_seconds())
            self.queue.put([DueAnnouncement(announcement_id)], delay_seconds=delay)
        return announcement_id, replayed

    def find(self, announcement_id: str) -> Announcement:
        """Raises AnnouncementNotFound."""
        found = self.store.get(announcement_id)
        if found is None:
            raise AnnouncementNotFound
        return found

    def cancel(self, announcement_id: str, by: str) -> None:
        """Notifies nobody else, except for the page in progress. Cancelling again changes nothing.

        Raises AnnouncementNotFound, AnnouncementDone.
        """
        while True:
            found = self.find(announcement_id)
            if found.state is AnnouncementState.CANCELLED:
                return
            if found.done:
                raise AnnouncementDone
            try:
                cancelled = replace(found.finished(), cancelled_by=by, version=found.version + 1)
                self.store.advance(found, cancelled, None, self.clock.now())
            except VersionConflict:
                # The sender finished a page meanwhile. There are only so many pages.
                continue
            return


@dataclass(frozen=True)
class DeliverAnnouncement:
    """The use case of the sender: plans the notice of every member it is for."""

    store: AnnouncementStore
    accounts: Accounts
    planning: Planning
    queue: TaskQueue
    clock: Clock
    first_pause: timedelta
    seconds: float = 12.0
    monotonic: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random

    def __call__(self, announcement_id: str) -> str:
        """Returns the outcome. May be called twice, late, and by two processes at once."""
        announcement = self.store.get(announcement_id)
        if announcement is None or announcement.done:
            return "already_done"
        if self.clock.now() < announcement.send_at:
            return "not_due"
        try:
            if announcement.is_of_newer_version:
                # There is no template for it here. The newer version of this service that stored it will deliver it.
                return self._wait(announcement, "newer_version")
            return self._deliver(announcement)
        except VersionConflict:
            # Another process works on it, or it was cancelled. A member both planned for is notified once.
            return "conflict"

    def _deliver(self, announcement: Announcement) -> str:
        """Raises VersionConflict."""
        until = self.monotonic() + self.seconds
        try:
            while self.monotonic() < until:
                announcement = self._page(announcement)
                if announcement.done:
                    return "finished"
        except ServiceUnavailable:
            return self._wait(announcement, "postponed")
        self.queue.put([DueAnnouncement(announcement.id)])
        return "continued"

    def _page(self, announcement: Announcement) -> Announcement:
        members, cursor = self._members(announcement)
        notified = 0
        channels = announcement.channels
        for user_id in members:
            identity = f"broadcast/{announcement.id}"
            notice = Notice(user_id, Kind(announcement.kind), identity, announcement.data, by_hand=True)
            try:
                planned = self.planning.plan(
                    notice,
                    occurred_at=announcement.send_at,
                    correlation_id=announcement.correlation_id,
                    requested=[Channel(name) for name in channels] if channels is not None else None,
                )
            except MemberErased:
                continue
            # Also counts members whom a process planned it for that died before it stored the count.
            notified += planned.notifies
        after = replace(
            announcement,
            cursor=cursor,
            notified=announcement.notified + notified,
            attempts=0,
            version=announcement.version + 1,
        )
        if cursor is None:
            after = after.finished()
        now = self.clock.now()
        self.store.advance(announcement, after, None if after.done else now + LOOK_AGAIN, now)
        return after

    def _members(self, announcement: Announcement) -> tuple[Sequence[str], str | None]:
        if isinstance(announcement.to, Audience):
            return self.accounts.ids(announcement.to.role, announcement.to.status, PAGE, announcement.cursor)
        start = int(announcement.cursor or 0)
        rest = start + PAGE
        return announcement.to[start:rest], str(rest) if rest < len(announcement.to) else None

    def _wait(self, announcement: Announcement, outcome: str) -> str:
        """Raises VersionConflict."""
        now = self.clock.now()
        pause = pause_after(announcement.attempts + 1, self.first_pause, self.jitter())
        waiting = replace(announcement, attempts=announcement.attempts + 1, version=announcement.version + 1)
        self.store.advance(announcement, waiting, now + pause, now)
        return outcome


def _wrong_request(request: AnnouncementRequest, now: datetime) -> list[tuple[str, str]]:
    wrong = []
    if request.send_at is not None and request.send_at <= now:
        wrong.append(("send_at", "must be in the future; omit it to send now"))
    elif request.send_at is not None and request.send_at - now > LONGEST_AHEAD:
        wrong.append(("send_at", "must be within a year"))
    if request.kind not in SENDABLE:
        wrong.append(("template", "cannot be sent by staff"))
    if request.kind is not Kind.ANNOUNCEMENT and not request.user_ids:
        wrong.append(("audience", "only announcements have an audience; give user_ids"))
    return wrong


def _wrong_data(kind: Kind, data: Mapping[str, str]) -> list[tuple[str, str]]:
    fields = {field.name: field for field in own_fields(kind)}
    unknown = [(f"data.{name}", "is not a field of this template") for name in data if name not in fields]
    needed = [name for name, field in fields.items() if not field.optional and not data.get(name)]
    return unknown + [(f"data.{name}", "is required") for name in needed]
