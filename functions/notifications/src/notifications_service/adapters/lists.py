"""What people look at in the notifications table: members' own lists, and what failed. Keys: adapters/dynamodb.py."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from library_common.clock import to_rfc3339
from library_common.dynamodb import PRESENT, ConditionFailed, Expression, Item, Key, Table
from library_common.ids import is_id, smallest_id_at
from notifications_service.adapters.items import (
    AGENDA,
    AT,
    BY_AGENDA,
    EXPIRES,
    FAILED,
    bucket_of,
    delivery_key,
    delivery_prefix,
    member,
    notice_key,
    notice_prefix,
    to_delivery,
    to_entry,
    unread_of,
    user_id_of,
)
from notifications_service.application.api_ports import Entry, NoPosition, Position
from notifications_service.domain.deliveries import Delivery, State
from notifications_service.domain.kinds import Channel

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_COUNTED = 1000
"""How far unread notices are counted."""

_BEFORE_ALL_IDS, _AFTER_ALL_IDS = "0", "8"


class DynamoEntries:
    """Implements `application.ports.Entries`."""

    def __init__(self, table_name: str, client: "Callable[[], DynamoDBClient]") -> None:
        self._table = Table(table_name, client)

    def page(
        self, user_id: str, limit: int, after: Position | None, *, unread_only: bool
    ) -> tuple[list[Entry], Position | None]:
        start = notice_key(user_id, _id_in(after, "id")) if after is not None else None
        if unread_only:
            items, more = _page_of(
                self._table, _in_list(unread_of(user_id)), limit, {**start, **_place(user_id, start)} if start else None
            )
            entries = [entry for item in items if (entry := to_entry(item)).read_at is None]
        else:
            found, last = self._table.query(
                Expression(
                    "#pk = :pk AND begins_with(#sk, :prefix)",
                    {"pk": "pk", "sk": "sk"},
                    {"pk": member(user_id), "prefix": notice_prefix()},
                ),
                limit=limit,
                forward=False,
                start=start,
            )
            entries, more = [to_entry(item) for item in found], last
        return entries, {"id": str(more["sk"]).removeprefix(notice_prefix())} if more is not None else None

    def unread(self, user_id: str) -> int:
        found, _ = self._table.query(_in_list(unread_of(user_id)), index=BY_AGENDA, limit=MOST_COUNTED)
        return len(found)

    def mark_read(self, user_id: str, notice_id: str, now: datetime) -> Entry | None:
        try:
            item = self._table.update(
                notice_key(user_id, notice_id),
                Expression(
                    "SET #read = if_not_exists(#read, :now) REMOVE #agenda, #at",
                    {"read": "read_at", "agenda": AGENDA, "at": AT},
                    {"now": to_rfc3339(now)},
                ),
                PRESENT,
            )
        except ConditionFailed:
            return None
        return to_entry(item)


class DynamoFailed:
    """Implements `application.ports.Failed`."""

    def __init__(self, table_name: str, client: "Callable[[], DynamoDBClient]") -> None:
        self._table = Table(table_name, client)

    def page(
        self, limit: int, after: Position | None, *, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[list[Delivery], Position | None]:
        first = smallest_id_at(since) if since is not None else _BEFORE_ALL_IDS
        end = smallest_id_at(until) if until is not None else _AFTER_ALL_IDS
        start = _failed_place(after) if after is not None else None
        if start is not None and not first <= start[AT] <= end:
            raise NoPosition
        listed = Expression(
            "#agenda = :list AND #at BETWEEN :first AND :end",
            {"agenda": AGENDA, "at": AT},
            {"list": FAILED, "first": first, "end": end},
        )
        items, last = _page_of(self._table, listed, limit, start)
        # The index may lag behind a retry.
        found = [delivery for item in items if (delivery := to_delivery(item)).state is State.FAILED]
        if last is None:
            return found, None
        _, channel, notice_id = str(last["sk"]).split("#")
        return found, {"id": last[AT], "user_id": user_id_of(last), "channel": channel, "notice_id": notice_id}

    def retry(self, failure_id: str, now: datetime) -> Delivery | None:
        listed = Expression(
            "#agenda = :list AND #at = :id", {"agenda": AGENDA, "at": AT}, {"list": FAILED, "id": failure_id}
        )
        found, _ = self._table.query(listed, index=BY_AGENDA)
        for entry in found:
            item = self._begin_anew({"pk": entry["pk"], "sk": entry["sk"]}, failure_id, now)
            if item is not None:
                return to_delivery(item)
        return None

    def begin_anew(self, delivery: Delivery, now: datetime) -> bool:
        assert delivery.failure_id is not None  # noqa: S101 - written together with the state
        return self._begin_anew(delivery_key(delivery), delivery.failure_id, now) is not None

    def _begin_anew(self, key: Key, failure_id: str, now: datetime) -> Item | None:
        try:
            return self._table.update(
                key,
                Expression(
                    "SET #state = :pending, #send_at = :now, #not_before = :now, #at = :now, #agenda = :bucket,"
                    " #attempts = :none, #unknown = :none"
                    " REMOVE #first, #failed_at, #failure_id, #error, #expires",
                    {
                        "state": "state",
                        "send_at": "send_at",
                        "not_before": "not_before",
                        "at": AT,
                        "agenda": AGENDA,
                        "attempts": "attempts",
                        "unknown": "unknown",
                        "first": "first_tried_at",
                        "failed_at": "failed_at",
                        "failure_id": "failure_id",
                        "error": "error",
                        "expires": EXPIRES,
                    },
                    {
                        "pending": State.PENDING.value,
                        "now": to_rfc3339(now),
                        "bucket": bucket_of(user_id_of(key)),
                        "none": 0,
                    },
                ),
                Expression(
                    "#state = :failed AND #failure_id = :id",
                    {"state": "state", "failure_id": "failure_id"},
                    {"failed": State.FAILED.value, "id": failure_id},
                ),
            )
        except ConditionFailed:
            return None


def _id_in(position: Position, name: str) -> str:
    """Anybody can make up a position."""
    found = position.get(name)
    if not isinstance(found, str) or not is_id(found):
        raise NoPosition
    return found


def _failed_place(position: Position) -> Item:
    user_id, notice_id = _id_in(position, "user_id"), _id_in(position, "notice_id")
    try:
        prefix = delivery_prefix(Channel(str(position.get("channel"))))
    except ValueError:
        raise NoPosition from None
    return {AGENDA: FAILED, AT: _id_in(position, "id"), "pk": member(user_id), "sk": prefix + notice_id}


def _in_list(name: str) -> Expression:
    return Expression("#agenda = :list", {"agenda": AGENDA}, {"list": name})


def _place(user_id: str, key: dict[str, str]) -> dict[str, str]:
    return {AGENDA: unread_of(user_id), AT: key["sk"].removeprefix(notice_prefix())}


def _page_of(
    table: Table, listed: Expression, limit: int, start: dict[str, Any] | None
) -> tuple[list[Item], Item | None]:
    """A page of a list of the agenda, newest first, read fresh."""
    entries, last = table.query(listed, index=BY_AGENDA, limit=limit, forward=False, start=start)
    keys = [{"pk": entry["pk"], "sk": entry["sk"]} for entry in entries]
    items = {(item["pk"], item["sk"]): item for item in table.get_many(keys)}
    return [items[place] for key in keys if (place := (key["pk"], key["sk"])) in items], last
