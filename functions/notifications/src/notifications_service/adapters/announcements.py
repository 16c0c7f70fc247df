"""Announcements in the notifications table. Keys: adapters/dynamodb.py."""

import json
from datetime import datetime
from typing import Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import ABSENT, ConditionFailed, Expression, Item, Put, Table, Write
from library_common.idempotency import Ticket
from library_common.versions import VersionConflict
from notifications_service.adapters.dynamodb import (
    AGENDA,
    AT,
    EXPIRES,
    KEEP_FAILED,
    announcement_id_of,
    announcement_key,
    bucket_of,
    changes,
    epoch,
)
from notifications_service.domain.announcements import Announcement, Audience


class DynamoAnnouncements:
    """Implements `application.ports.AnnouncementStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def create(self, announcement: Announcement, ticket: Ticket | None, now: datetime) -> tuple[str, bool]:
        item = {**_fixed(announcement), **_progress(announcement, announcement.send_at, now)}
        writes: list[Write] = [Put(item, ABSENT)]
        if ticket is not None:
            writes.append(ticket.record(json.dumps({"id": announcement.id}), now))
        try:
            self._table.transact(writes)
        except ConditionFailed as failed:
            earlier = ticket.stored_answer(failed.item, now) if ticket is not None and failed.index == 1 else None
            if earlier is None:
                raise
            return str(json.loads(earlier)["id"]), True
        return announcement.id, False

    def created_before(self, ticket: Ticket, now: datetime) -> str | None:
        earlier = ticket.stored_answer(self._table.get(ticket.key()), now)
        return str(json.loads(earlier)["id"]) if earlier is not None else None

    def get(self, announcement_id: str) -> Announcement | None:
        item = self._table.get(announcement_key(announcement_id))
        return _to_announcement(item) if item is not None else None

    def advance(self, before: Announcement, after: Announcement, look_again: datetime | None, now: datetime) -> None:
        unchanged = Expression("#turn = :turn_before", {"turn": "turn"}, {"turn_before": before.version})
        try:
            self._table.update(announcement_key(before.id), changes(_progress(after, look_again, now)), unchanged)
        except ConditionFailed as failed:
            raise VersionConflict from failed


def _fixed(announcement: Announcement) -> Item:
    """What never changes."""
    audience = announcement.to if isinstance(announcement.to, Audience) else None
    return {
        **announcement_key(announcement.id),
        "kind": str(announcement.kind),
        "audience": {"role": audience.role, "status": audience.status} if audience else None,
        "channels": [str(name) for name in announcement.channels] if announcement.channels is not None else None,
        "send_at": to_rfc3339(announcement.send_at),
        "created_at": to_rfc3339(announcement.created_at),
        "correlation_id": announcement.correlation_id,
        "by": announcement.by,
    }


def _progress(announcement: Announcement, look_again: datetime | None, now: datetime) -> dict[str, Any]:
    """What each step writes; the text and the ids go with the end."""
    return {
        "data": announcement.data,
        "user_ids": list(announcement.to) if isinstance(announcement.to, tuple) else None,
        "cursor": announcement.cursor,
        "told": announcement.notified,
        "attempts": announcement.attempts,
        "turn": announcement.version,
        "done": announcement.done,
        "cancelled_by": announcement.cancelled_by,
        AGENDA: bucket_of(announcement.id) if look_again else None,
        AT: to_rfc3339(look_again) if look_again else None,
        EXPIRES: None if look_again else epoch(now + KEEP_FAILED),
    }


def _to_announcement(item: Item) -> Announcement:
    audience = item.get("audience")
    channels = item.get("channels")
    return Announcement(
        id=announcement_id_of(item) or "",
        kind=item["kind"],
        to=Audience(audience.get("role"), audience.get("status"))
        if audience is not None
        else tuple(item.get("user_ids", ())),
        channels=tuple(channels) if channels is not None else None,
        send_at=from_rfc3339(item["send_at"]),
        created_at=from_rfc3339(item["created_at"]),
        correlation_id=item["correlation_id"],
        data=item["data"],
        cursor=item.get("cursor"),
        notified=item["told"],
        attempts=item["attempts"],
        version=item["turn"],
        done=item["done"],
        # Items from before this was kept have none.
        by=item.get("by"),
        cancelled_by=item.get("cancelled_by"),
    )
