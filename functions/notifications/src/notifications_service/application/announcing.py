"""Announcements: asked for, kept, and worked through page by page."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from library_common.clock import Clock
from library_common.context import current
from library_common.idempotency import Ticket
from library_common.ids import new_id
from notifications_service.application.api_ports import Wish
from notifications_service.application.planning import LONGEST_DELAY, Planning
from notifications_service.application.ports import (
    Accounts,
    Broadcasts,
    DueBroadcast,
    Forgotten,
    NeighbourUnavailable,
    Outgoing,
    Stale,
)
from notifications_service.domain.broadcasts import Audience, Broadcast, BroadcastState
from notifications_service.domain.deliveries import pause_after
from notifications_service.domain.errors import AnnouncementDone, AnnouncementNotFound
from notifications_service.domain.notices import Notice

PAGE = 50
LOOK_AGAIN = timedelta(minutes=2)
"""When the sweep looks at an announcement on which nobody went on: longer than the sender's function may run."""


@dataclass(frozen=True)
class Announce:
    """The use cases of asking, of looking how far it is, and of taking it back."""

    broadcasts: Broadcasts
    outgoing: Outgoing
    clock: Clock
    ids: Callable[[], str] = new_id

    def announce(self, wish: Wish, ticket: Ticket | None) -> tuple[str, bool]:
        """The announcement's id, and whether the same request made it before. Raises IdempotencyKeyReused."""
        now = self.clock.now().replace(microsecond=0)
        broadcast = Broadcast(
            id=self.ids(),
            kind=wish.kind,
            to=wish.user_ids or Audience(wish.role, wish.status),
            channels=wish.channels,
            send_at=max(wish.send_at or now, now),
            created_at=now,
            correlation_id=current().correlation_id,
            by=wish.by,
            data=wish.data,
        )
        broadcast_id, replayed = self.broadcasts.create(broadcast, ticket, now)
        # Kept with its moment, it is found by the sweep in any case.
        if not replayed and broadcast.send_at - now <= LONGEST_DELAY:
            delay = int((broadcast.send_at - now).total_seconds())
            self.outgoing.put([DueBroadcast(broadcast_id)], delay_seconds=delay)
        return broadcast_id, replayed

    def asked_before(self, ticket: Ticket) -> str | None:
        """The announcement that the same request made before; None when there was none. Raises IdempotencyKeyReused."""
        return self.broadcasts.asked_before(ticket, self.clock.now())

    def find(self, broadcast_id: str) -> Broadcast:
        """Raises AnnouncementNotFound."""
        found = self.broadcasts.get(broadcast_id)
        if found is None:
            raise AnnouncementNotFound
        return found

    def cancel(self, broadcast_id: str, by: str) -> None:
        """Nobody else is told, but for a page that is being worked on just now. Cancelling again changes nothing.

        Raises AnnouncementNotFound, AnnouncementDone.
        """
        while True:
            found = self.find(broadcast_id)
            if found.state is BroadcastState.CANCELLED:
                return
            if found.done:
                raise AnnouncementDone
            try:
                cancelled = replace(found.over(), cancelled_by=by, turn=found.turn + 1)
                self.broadcasts.advance(found, cancelled, None, self.clock.now())
            except Stale:
                # Somebody finished a page meanwhile, and there are only so many pages.
                continue
            return


@dataclass(frozen=True)
class TellEverybody:
    """The use case of working through one."""

    broadcasts: Broadcasts
    accounts: Accounts
    planning: Planning
    outgoing: Outgoing
    clock: Clock
    first_pause: timedelta
    seconds: float = 12.0
    monotonic: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random

    def __call__(self, broadcast_id: str) -> str:
        """The outcome in a word or two. May be called twice, late, and by two at once."""
        broadcast = self.broadcasts.get(broadcast_id)
        if broadcast is None or broadcast.done:
            return "over"
        if self.clock.now() < broadcast.send_at:
            return "too early"
        until = self.monotonic() + self.seconds
        try:
            while self.monotonic() < until:
                broadcast = self._page(broadcast)
                if broadcast.done:
                    return "finished"
        except Stale:
            # Somebody else works on it; whom both told was told once.
            return "overtaken"
        except NeighbourUnavailable:
            return self._wait(broadcast)
        self.outgoing.put([DueBroadcast(broadcast_id)])
        return "continued"

    def _page(self, broadcast: Broadcast) -> Broadcast:
        members, cursor = self._members(broadcast)
        told = 0
        for user_id in members:
            notice = Notice(user_id, broadcast.kind, f"broadcast/{broadcast.id}", broadcast.data, by_hand=True)
            try:
                planned = self.planning.tell(
                    notice,
                    occurred_at=broadcast.send_at,
                    correlation_id=broadcast.correlation_id,
                    asked_for=broadcast.channels,
                )
            except Forgotten:
                continue
            # Also those whom a process planned it for that died before it could note so.
            told += planned.tells
        further = replace(
            broadcast,
            cursor=cursor,
            told=broadcast.told + told,
            attempts=0,
            turn=broadcast.turn + 1,
        )
        if cursor is None:
            further = further.over()
        now = self.clock.now()
        self.broadcasts.advance(broadcast, further, None if further.done else now + LOOK_AGAIN, now)
        return further

    def _members(self, broadcast: Broadcast) -> tuple[Sequence[str], str | None]:
        if isinstance(broadcast.to, Audience):
            return self.accounts.ids(broadcast.to.role, broadcast.to.status, PAGE, broadcast.cursor)
        start = int(broadcast.cursor or 0)
        rest = start + PAGE
        return broadcast.to[start:rest], str(rest) if rest < len(broadcast.to) else None

    def _wait(self, broadcast: Broadcast) -> str:
        now = self.clock.now()
        pause = pause_after(broadcast.attempts + 1, self.first_pause, self.jitter())
        waiting = replace(broadcast, attempts=broadcast.attempts + 1, turn=broadcast.turn + 1)
        try:
            self.broadcasts.advance(broadcast, waiting, now + pause, now)
        except Stale:
            return "overtaken"
        return "waits"
