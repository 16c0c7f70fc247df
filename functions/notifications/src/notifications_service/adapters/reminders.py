"""Reminders in the notifications table. Keys: adapters/dynamodb.py."""

from contextlib import suppress
from datetime import datetime

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import ABSENT, Check, ConditionFailed, Expression, Item, Put, Table, Update
from library_common.ids import derived_id
from notifications_service.adapters.dynamodb import (
    AGENDA,
    AT,
    EXPIRES,
    KEEP_NOTICES,
    Keys,
    bucket_of,
    changes,
    epoch,
    erased_key,
    optional_time,
    reminder_key,
    user_id_of,
)
from notifications_service.domain.reminders import Reminder

_WAITING = Expression("#state = :waiting", {"state": "state"}, {"waiting": "waiting"})


class DynamoReminders:
    """Implements `application.ports.ReminderStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def waiting(self, user_id: str, reminder_id: str) -> Reminder | None:
        item = self._table.get(reminder_key(user_id, reminder_id))
        return _to_reminder(item) if item is not None and item["state"] == "waiting" else None

    def postpone(self, reminder: Reminder, until: datetime) -> None:
        with suppress(ConditionFailed):
            self._table.update(_key(reminder), changes({AT: to_rfc3339(until)}), _WAITING)

    def drop(self, reminder: Reminder, why: str, now: datetime, *, following: Reminder | None = None) -> None:
        done = reminder_done(reminder, why, now)
        if following is not None:
            not_erased = Check(erased_key(reminder.user_id), ABSENT)
            try:
                self._table.transact([done, not_erased, Put(reminder_item(following), ABSENT)])
            except ConditionFailed as failed:
                # The following one is planned already: only this one is left to drop.
                if failed.index != 2:
                    return
            else:
                return
        with suppress(ConditionFailed):
            self._table.update(done.key, done.update, done.condition)


def reminder_item(reminder: Reminder) -> Item:
    """A new, waiting one."""
    return {
        **_key(reminder),
        "kind": str(reminder.kind),
        "loan_id": reminder.loan_id,
        "due_date": reminder.due_date,
        "days": reminder.days,
        "data": reminder.data,
        "fire_at": to_rfc3339(reminder.fire_at),
        "pointless_from": to_rfc3339(reminder.pointless_from) if reminder.pointless_from else None,
        "state": "waiting",
        AGENDA: bucket_of(reminder.user_id),
        AT: to_rfc3339(reminder.fire_at),
    }


def reminder_done(reminder: Reminder, how: str, now: datetime) -> Update:
    """Kept as long as the events that planned it may come again."""
    ended = changes({"state": how, EXPIRES: epoch(now + KEEP_NOTICES)}, remove=(AGENDA, AT, "data"))
    return Update(_key(reminder), ended, _WAITING)


def _key(reminder: Reminder) -> Keys:
    return reminder_key(reminder.user_id, derived_id(reminder.identity))


def _to_reminder(item: Item) -> Reminder:
    return Reminder(
        user_id=user_id_of(item),
        kind=item["kind"],
        loan_id=item["loan_id"],
        due_date=item["due_date"],
        days=item["days"],
        fire_at=from_rfc3339(item["fire_at"]),
        pointless_from=optional_time(item.get("pointless_from")),
        data=item["data"],
    )
