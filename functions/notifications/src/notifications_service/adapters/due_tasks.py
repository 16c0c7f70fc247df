"""What is due, by the index of the notifications table. Keys: adapters/dynamodb.py."""

from datetime import datetime
from typing import Any

from library_common.clock import to_rfc3339
from library_common.dynamodb import Expression, Table
from notifications_service.adapters.dynamodb import (
    AGENDA,
    AT,
    BY_AGENDA,
    REMINDER,
    announcement_id_of,
    channel_and_notice,
    due_in,
    user_id_of,
)
from notifications_service.application.ports import Due, DueAnnouncement, DueDelivery, DueReminder, Position
from notifications_service.domain.kinds import Channel

_PAGE = 200


class DynamoDueTasks:
    """Implements `application.ports.DueTasks`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def due(self, bucket: int, now: datetime, after: Position | None) -> tuple[list[Due], Position | None]:
        found, last = self._table.query(
            Expression(
                "#agenda = :bucket AND #at <= :now",
                {"agenda": AGENDA, "at": AT},
                {"bucket": due_in(bucket), "now": to_rfc3339(now)},
            ),
            index=BY_AGENDA,
            limit=_PAGE,
            start=after,
        )
        return [task for item in found if (task := _task(item)) is not None], last


def _task(item: dict[str, Any]) -> Due | None:
    """None for an item or a channel that only a newer version of this service knows; its sender finds it."""
    key = str(item["sk"])
    if (delivery := channel_and_notice(key)) is not None:
        channel, _ = delivery
        return DueDelivery(user_id_of(item), Channel(channel)) if channel in Channel else None
    if key.startswith(REMINDER):
        return DueReminder(user_id_of(item), key.removeprefix(REMINDER))
    announcement_id = announcement_id_of(item)
    return DueAnnouncement(announcement_id) if announcement_id is not None else None
