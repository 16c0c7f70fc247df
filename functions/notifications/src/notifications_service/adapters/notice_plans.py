"""Planned notices in the notifications table, and the erasure of a member. Keys: adapters/dynamodb.py."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import ABSENT, PRESENT, Check, ConditionFailed, Expression, Item, Put, Table, Write
from notifications_service.adapters.deliveries import delivery_item
from notifications_service.adapters.dynamodb import (
    EXPIRES,
    KEEP_ERASED,
    KEEP_NOTICES,
    epoch,
    erased_key,
    member,
    planned_key,
)
from notifications_service.adapters.inbox import entry_item
from notifications_service.adapters.reminders import reminder_done, reminder_item
from notifications_service.application.ports import MemberErased, Plan
from notifications_service.domain.kinds import Channel


class DynamoNoticePlans:
    """Implements `application.ports.NoticePlans`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def plan(self, plan: Plan, now: datetime) -> tuple[Mapping[Channel, datetime], bool]:
        mark = {
            **planned_key(plan.user_id, plan.identity),
            "send_times": {channel.value: to_rfc3339(at) for channel, at in plan.send_times.items()},
            EXPIRES: epoch(now + KEEP_NOTICES),
        }
        first: list[Write] = [Check(erased_key(plan.user_id), ABSENT), Put(mark, ABSENT)]
        if plan.fires is not None:
            first.append(reminder_done(plan.fires, "fired", now))
        if plan.entry is not None:
            first.append(Put(entry_item(plan.user_id, plan.entry, now), ABSENT))
        first.extend(Put(delivery_item(delivery), ABSENT) for delivery in plan.deliveries)
        reminders: list[Write] = [Put(reminder_item(plan.reminder), ABSENT)] if plan.reminder is not None else []
        while True:
            try:
                self._table.transact([*first, *reminders])
            except ConditionFailed as failed:
                if failed.index == 0:
                    raise MemberErased from failed
                if failed.index == 1:
                    return _send_times(failed.item or {}), False
                if failed.index >= len(first):
                    # Another event planned the same reminder.
                    reminders = []
                    continue
                # The reminder it fires does not wait any more, or its message exists: nothing is new.
                return {}, False
            return plan.send_times, True

    def close(self, user_id: str, now: datetime) -> None:
        tombstone = {**erased_key(user_id), EXPIRES: epoch(now + KEEP_ERASED)}
        with suppress(ConditionFailed):
            self._table.put(tombstone, ABSENT)

    def erase(self, user_id: str) -> None:
        # Nothing new comes meanwhile: whatever plans, chooses or registers checks the tombstone in its transaction.
        everything = Expression("#pk = :pk", {"pk": "pk"}, {"pk": member(user_id)})
        for item in self._table.query_all(everything, consistent=True):
            if item["sk"] != erased_key(user_id)["sk"]:
                with suppress(ConditionFailed):
                    self._table.delete({"pk": item["pk"], "sk": item["sk"]}, PRESENT)


def _send_times(item: Item) -> dict[Channel, datetime]:
    # `nudges` in items from before it was called `send_times`.
    stored: Mapping[str, str] = item.get("send_times") or item.get("nudges") or {}
    return {Channel(name): from_rfc3339(at) for name, at in stored.items() if name in Channel}
