"""Members' lists of notices in the notifications table. Keys: adapters/dynamodb.py."""

from datetime import datetime
from typing import Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import PRESENT, ConditionFailed, Expression, Item, Table
from library_common.ids import is_id
from notifications_service.adapters.dynamodb import (
    AGENDA,
    AT,
    BY_AGENDA,
    EXPIRES,
    KEEP_NOTICES,
    NOTICE,
    epoch,
    member,
    notice_key,
    optional_time,
    unread_of,
)
from notifications_service.application.ports import InboxEntry, NoPosition, Position

MOST_COUNTED = 1000
"""How far unread notices are counted."""


class DynamoInbox:
    """Implements `application.ports.InboxStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def page(
        self, user_id: str, limit: int, after: Position | None, *, unread_only: bool
    ) -> tuple[list[InboxEntry], Position | None]:
        start = notice_key(user_id, id_in(after, "id")) if after is not None else None
        if unread_only:
            place = {AGENDA: unread_of(user_id), AT: start["sk"].removeprefix(NOTICE)} if start else {}
            items, more = page_of_list(
                self._table, in_list(unread_of(user_id)), limit, {**start, **place} if start else None
            )
            entries = [entry for item in items if (entry := _to_entry(item)).read_at is None]
        else:
            found, more = self._table.query(
                Expression(
                    "#pk = :pk AND begins_with(#sk, :prefix)",
                    {"pk": "pk", "sk": "sk"},
                    {"pk": member(user_id), "prefix": NOTICE},
                ),
                limit=limit,
                forward=False,
                start=start,
            )
            entries = [_to_entry(item) for item in found]
        return entries, {"id": str(more["sk"]).removeprefix(NOTICE)} if more is not None else None

    def unread(self, user_id: str) -> int:
        found, _ = self._table.query(in_list(unread_of(user_id)), index=BY_AGENDA, limit=MOST_COUNTED)
        return len(found)

    def mark_read(self, user_id: str, notice_id: str, now: datetime) -> bool:
        try:
            self._table.update(
                notice_key(user_id, notice_id),
                Expression(
                    "SET #read = if_not_exists(#read, :now) REMOVE #agenda, #at",
                    {"read": "read_at", "agenda": AGENDA, "at": AT},
                    {"now": to_rfc3339(now)},
                ),
                PRESENT,
            )
        except ConditionFailed:
            return False
        return True


def entry_item(user_id: str, entry: InboxEntry, now: datetime) -> Item:
    """A new, unread one."""
    return {
        **notice_key(user_id, entry.id),
        "kind": str(entry.kind),
        "data": entry.data,
        "occurred_at": to_rfc3339(entry.occurred_at),
        AGENDA: unread_of(user_id),
        AT: entry.id,
        EXPIRES: epoch(now + KEEP_NOTICES),
    }


def _to_entry(item: Item) -> InboxEntry:
    return InboxEntry(
        id=str(item["sk"]).removeprefix(NOTICE),
        kind=item["kind"],
        data=item["data"],
        occurred_at=from_rfc3339(item["occurred_at"]),
        read_at=optional_time(item.get("read_at")),
    )


# -- lists of the index, also for failed deliveries -----------------------------------------------


def id_in(position: Position, name: str) -> str:
    """Raises NoPosition: clients can make up positions."""
    found = position.get(name)
    if not isinstance(found, str) or not is_id(found):
        raise NoPosition
    return found


def in_list(name: str) -> Expression:
    return Expression("#agenda = :list", {"agenda": AGENDA}, {"list": name})


def page_of_list(
    table: Table, listed: Expression, limit: int, start: dict[str, Any] | None
) -> tuple[list[Item], Item | None]:
    """A page of a list of the index, newest first; the items are read consistently."""
    entries, last = table.query(listed, index=BY_AGENDA, limit=limit, forward=False, start=start)
    keys = [{"pk": entry["pk"], "sk": entry["sk"]} for entry in entries]
    items = {(item["pk"], item["sk"]): item for item in table.get_many(keys)}
    return [items[place] for key in keys if (place := (key["pk"], key["sk"])) in items], last
