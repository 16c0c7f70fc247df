"""Between the domain and the items of the notifications table."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import Item
from library_common.ids import derived_id
from notifications_service.application.api_ports import Entry
from notifications_service.application.ports import BUCKETS
from notifications_service.domain.broadcasts import Audience, Broadcast
from notifications_service.domain.deliveries import Delivery, State
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.reminders import Reminder

EXPIRES = "expires_at_epoch"
AGENDA = "agenda"
AT = "at"
BY_AGENDA = "by_agenda"
FAILED = "FAILED"

KEEP_NOTICES = timedelta(days=180)
KEEP_DONE = timedelta(days=30)
KEEP_FAILED = timedelta(days=90)
KEEP_ERASED = timedelta(days=400)
"""How long a tombstone lies: longer than any event could be on its way, dead-letter queues and replays included."""

_DELIVERY = "OUT#"
_NOTICE = "NOTICE#"
_REMINDER = "REMINDER#"


def member(user_id: str) -> str:
    return f"MEMBER#{user_id}"


def bucket_of(name: str) -> str:
    """The part of the agenda that a member's or a broadcast's things are in."""
    return due_in(crc32(name.encode()) % BUCKETS)


def due_in(bucket: int) -> str:
    return f"DUE#{bucket}"


def unread_of(user_id: str) -> str:
    return f"UNREAD#{user_id}"


def until(moment: datetime) -> int:
    """A moment as TTL writes it."""
    return int(moment.timestamp())


# -- keys -----------------------------------------------------------------------------------------


def erased_key(user_id: str) -> dict[str, str]:
    return {"pk": member(user_id), "sk": "ERASED"}


def told_key(user_id: str, identity: str) -> dict[str, str]:
    return {"pk": member(user_id), "sk": f"TOLD#{identity}"}


def notice_key(user_id: str, notice_id: str) -> dict[str, str]:
    return {"pk": member(user_id), "sk": _NOTICE + notice_id}


def notice_prefix() -> str:
    return _NOTICE


def lease_key(user_id: str, channel: Channel) -> dict[str, str]:
    return {"pk": member(user_id), "sk": f"LEASE#{channel.value}"}


def delivery_key(delivery: Delivery) -> dict[str, str]:
    return {"pk": member(delivery.user_id), "sk": f"{delivery_prefix(delivery.channel)}{delivery.notice_id}"}


def delivery_prefix(channel: Channel) -> str:
    return f"{_DELIVERY}{channel.value}#"


def reminder_id(reminder: Reminder) -> str:
    return derived_id(reminder.identity)


def reminder_key(user_id: str, its_id: str) -> dict[str, str]:
    return {"pk": member(user_id), "sk": _REMINDER + its_id}


def broadcast_key(broadcast_id: str) -> dict[str, str]:
    return {"pk": f"BROADCAST#{broadcast_id}", "sk": "BROADCAST"}


def user_id_of(item: Mapping[str, Any]) -> str:
    return str(item["pk"]).removeprefix("MEMBER#")


def channel_of(sort_key: str) -> Channel | None:
    """Of a delivery's key; None for any other."""
    return Channel(sort_key.split("#")[1]) if sort_key.startswith(_DELIVERY) else None


def reminder_of(sort_key: str) -> str | None:
    """The id in a reminder's key; None for any other."""
    return sort_key.removeprefix(_REMINDER) if sort_key.startswith(_REMINDER) else None


# -- notices in members' lists --------------------------------------------------------------------


def entry_item(user_id: str, entry: Entry, now: datetime) -> Item:
    return {
        **notice_key(user_id, entry.id),
        "kind": entry.kind.value,
        "data": entry.data,
        "occurred_at": to_rfc3339(entry.occurred_at),
        AGENDA: unread_of(user_id),
        AT: entry.id,
        EXPIRES: until(now + KEEP_NOTICES),
    }


def to_entry(item: Item) -> Entry:
    return Entry(
        id=str(item["sk"]).removeprefix(_NOTICE),
        kind=Kind(item["kind"]),
        data=item["data"],
        occurred_at=from_rfc3339(item["occurred_at"]),
        read_at=_moment(item.get("read_at")),
    )


# -- deliveries -----------------------------------------------------------------------------------


def delivery_item(delivery: Delivery) -> Item:
    """A PENDING one."""
    return {
        **delivery_key(delivery),
        "kind": delivery.kind.value,
        "data": delivery.data,
        "correlation_id": delivery.correlation_id,
        "state": delivery.state.value,
        "not_before": to_rfc3339(delivery.not_before),
        "send_at": to_rfc3339(delivery.send_at),
        "attempts": delivery.attempts,
        "unknown": delivery.unknown,
        **({"by_hand": True} if delivery.by_hand else {}),
        AGENDA: bucket_of(delivery.user_id),
        AT: to_rfc3339(delivery.send_at),
    }


def to_delivery(item: Item) -> Delivery:
    _, channel, notice_id = str(item["sk"]).split("#")
    return Delivery(
        notice_id=notice_id,
        user_id=user_id_of(item),
        channel=Channel(channel),
        kind=Kind(item["kind"]),
        not_before=from_rfc3339(item["not_before"]),
        send_at=from_rfc3339(item["send_at"]),
        correlation_id=item["correlation_id"],
        data=item.get("data", {}),
        state=State(item["state"]),
        attempts=item["attempts"],
        unknown=item["unknown"],
        first_tried_at=_moment(item.get("first_tried_at")),
        error=item.get("error"),
        failed_at=_moment(item.get("failed_at")),
        failure_id=item.get("failure_id"),
        # Ones from before it was noted were announcements, if anything.
        by_hand=item.get("by_hand", item["kind"] == Kind.ANNOUNCEMENT),
    )


# -- reminders ------------------------------------------------------------------------------------


def reminder_item(reminder: Reminder) -> Item:
    """A waiting one."""
    return {
        **reminder_key(reminder.user_id, reminder_id(reminder)),
        "kind": reminder.kind.value,
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


def to_reminder(item: Item) -> Reminder:
    return Reminder(
        user_id=user_id_of(item),
        kind=Kind(item["kind"]),
        loan_id=item["loan_id"],
        due_date=item["due_date"],
        days=item["days"],
        fire_at=from_rfc3339(item["fire_at"]),
        pointless_from=_moment(item.get("pointless_from")),
        data=item["data"],
    )


# -- broadcasts -----------------------------------------------------------------------------------


def broadcast_item(broadcast: Broadcast, look_again: datetime | None, now: datetime) -> Item:
    audience = broadcast.to if isinstance(broadcast.to, Audience) else None
    return {
        **broadcast_key(broadcast.id),
        "kind": broadcast.kind.value,
        "audience": {"role": audience.role, "status": audience.status} if audience else None,
        "user_ids": list(broadcast.to) if isinstance(broadcast.to, tuple) else None,
        "channels": [channel.value for channel in broadcast.channels] if broadcast.channels is not None else None,
        "data": broadcast.data,
        "send_at": to_rfc3339(broadcast.send_at),
        "created_at": to_rfc3339(broadcast.created_at),
        "correlation_id": broadcast.correlation_id,
        "by": broadcast.by,
        "cursor": broadcast.cursor,
        "told": broadcast.told,
        "attempts": broadcast.attempts,
        "turn": broadcast.turn,
        "done": broadcast.done,
        "cancelled_by": broadcast.cancelled_by,
        AGENDA: bucket_of(broadcast.id) if look_again else None,
        AT: to_rfc3339(look_again) if look_again else None,
        EXPIRES: None if look_again else until(now + KEEP_FAILED),
    }


def to_broadcast(item: Item) -> Broadcast:
    audience = item.get("audience")
    channels = item.get("channels")
    return Broadcast(
        id=str(item["pk"]).removeprefix("BROADCAST#"),
        kind=Kind(item["kind"]),
        to=Audience(audience.get("role"), audience.get("status"))
        if audience is not None
        else tuple(item.get("user_ids", ())),
        channels=tuple(Channel(name) for name in channels) if channels is not None else None,
        send_at=from_rfc3339(item["send_at"]),
        created_at=from_rfc3339(item["created_at"]),
        correlation_id=item["correlation_id"],
        # Ones from before it was noted have none.
        data=item["data"],
        cursor=item.get("cursor"),
        told=item["told"],
        attempts=item["attempts"],
        turn=item["turn"],
        done=item["done"],
        by=item.get("by"),
        cancelled_by=item.get("cancelled_by"),
    )


def _moment(text: str | None) -> datetime | None:
    return from_rfc3339(text) if text else None
