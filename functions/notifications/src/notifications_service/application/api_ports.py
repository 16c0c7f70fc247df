"""What the HTTP API asks of the way from events to messages, as Protocols."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from library_common.idempotency import Ticket
from notifications_service.domain.broadcasts import Broadcast
from notifications_service.domain.kinds import Channel, Kind

type Position = dict[str, Any]
"""Where a page ended. Anybody can make one up, so whoever gets one checks it."""


class NoPosition(Exception):
    """This is not where a page of this list can have ended."""


@dataclass(frozen=True)
class Entry:
    """One notice in a member's list."""

    id: str
    kind: Kind
    data: Mapping[str, Any]
    occurred_at: datetime
    read_at: datetime | None = None


class Inbox(Protocol):
    """Members' lists of notices."""

    def list(
        self, user_id: str, limit: int, position: Position | None, unread_only: bool
    ) -> tuple[Sequence[Entry], Position | None, int]:
        """One page, newest first; where to go on; how many are unread altogether. Raises NoPosition."""
        ...

    def mark_read(self, user_id: str, notice_id: str) -> None:
        """Idempotent: the first time counts. Raises NoticeNotFound, for another member's notice, too."""
        ...


@dataclass(frozen=True)
class FailedDelivery:
    """A message that did not get through. error_code: what the mail or text service said, without anything personal."""

    id: str
    user_id: str
    kind: Kind
    channel: Channel
    attempts: int
    error_code: str
    failed_at: datetime


@dataclass(frozen=True)
class FailedBy:
    """Messages that were given up for this reason. channel: None for any.

    since, until: of `failed_at`, the first included, the other one not; None for no bound.
    """

    error_code: str
    channel: Channel | None = None
    since: datetime | None = None
    until: datetime | None = None


class Failures(Protocol):
    """Messages that were given up."""

    def list(self, limit: int, position: Position | None) -> tuple[Sequence[FailedDelivery], Position | None]:
        """One page, newest first. Raises NoPosition."""
        ...

    def retry(self, delivery_id: str) -> None:
        """Tries it again from the beginning. Raises NoticeNotFound when there is no such failed message (any more)."""
        ...

    def retry_all(self, by: FailedBy, limit: int, position: Position | None) -> tuple[int, Position | None]:
        """Tries again those among the next `limit` failed messages that failed so, newest first.

        How many, and where to go on; None at the end. What fails again meanwhile is newer, so this does end. Raises
        NoPosition.
        """
        ...


@dataclass(frozen=True)
class Wish:
    """What is to be told to whom. Either user_ids, or everybody of a role (None: any) and a status.

    channels: None for what each member wishes. send_at: None for now. by: the actor who asks.
    """

    kind: Kind
    data: Mapping[str, str]
    by: str
    user_ids: tuple[str, ...] = ()
    role: str | None = None
    status: str | None = None
    channels: tuple[Channel, ...] | None = None
    send_at: datetime | None = None


class Announce(Protocol):
    """Telling something to many."""

    def announce(self, wish: Wish, ticket: Ticket | None) -> tuple[str, bool]:
        """The id of the broadcast, and whether an earlier request with the same ticket made it.

        Raises IdempotencyKeyReused.
        """
        ...

    def asked_before(self, ticket: Ticket) -> str | None:
        """The id of the broadcast that an earlier request with the same ticket made. Raises IdempotencyKeyReused."""
        ...

    def find(self, broadcast_id: str) -> Broadcast:
        """How far it is. Raises AnnouncementNotFound."""
        ...

    def cancel(self, broadcast_id: str, by: str) -> None:
        """Nobody else is told. Idempotent. Raises AnnouncementNotFound, AnnouncementDone."""
        ...


@dataclass(frozen=True)
class Notices:
    """The three together: everything of the API that is about notices which exist."""

    inbox: Inbox
    failures: Failures
    announce: Announce
