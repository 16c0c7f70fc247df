"""Messages on their way, and failed ones, in the notifications table. Keys: adapters/dynamodb.py."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import ABSENT, Check, ConditionFailed, Expression, Item, Key, Put, Table, Update, Write
from library_common.ids import dated_id, smallest_id_at
from library_common.versions import VersionConflict
from notifications_service.adapters.dynamodb import (
    AGENDA,
    AT,
    BY_AGENDA,
    EXPIRES,
    FAILED,
    KEEP_DONE,
    KEEP_FAILED,
    Keys,
    bucket_of,
    changes,
    channel_and_notice,
    delivery_key,
    delivery_prefix,
    epoch,
    erased_key,
    lease_key,
    member,
    optional_time,
    user_id_of,
)
from notifications_service.adapters.inbox import entry_item, id_in, page_of_list
from notifications_service.application.ports import InboxEntry, NoPosition, Position
from notifications_service.domain.deliveries import Delivery, Lease, State
from notifications_service.domain.kinds import Channel, Kind

_OPEN = {"pending": State.PENDING.value, "sending": State.SENDING.value}
_BEFORE_ALL_IDS, _AFTER_ALL_IDS = "0", "8"


class DynamoDeliveries:
    """Implements `application.ports.DeliveryStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    # -- the lease ----------------------------------------------------------------------------

    def take(self, lease: Lease, now: datetime) -> bool:
        taken = {"holder": lease.holder, "until": epoch(lease.until), EXPIRES: epoch(lease.until + KEEP_DONE)}
        free = Expression(
            "attribute_not_exists(#pk) OR #until <= :now", {"pk": "pk", "until": "until"}, {"now": epoch(now)}
        )
        try:
            self._table.update(lease_key(lease.user_id, lease.channel), changes(taken), free)
        except ConditionFailed:
            return False
        return True

    def give_back(self, lease: Lease) -> None:
        with suppress(ConditionFailed):
            self._table.delete(lease_key(lease.user_id, lease.channel), _holds(lease))

    # -- reading ------------------------------------------------------------------------------

    def open(self, user_id: str, channel: Channel) -> list[Delivery]:
        found = self._table.query_all(
            Expression(
                "#pk = :pk AND begins_with(#sk, :prefix)",
                {"pk": "pk", "sk": "sk"},
                {"pk": member(user_id), "prefix": delivery_prefix(channel)},
            ),
            only_if=Expression("#state IN (:pending, :sending)", {"state": "state"}, _OPEN),
            consistent=True,
        )
        return [to_delivery(item) for item in found]

    def others(self, delivery: Delivery) -> list[Delivery]:
        channels = [channel for channel in Channel if channel not in (delivery.channel, Channel.IN_APP)]
        keys = [delivery_key(delivery.user_id, channel, delivery.notice_id) for channel in channels]
        return [to_delivery(item) for item in self._table.get_many(keys)]

    # -- steps --------------------------------------------------------------------------------

    def begin(self, lease: Lease, deliveries: Sequence[Delivery]) -> None:
        def begun(delivery: Delivery) -> Update:
            assert delivery.first_tried_at is not None  # noqa: S101 - a try has a beginning
            tried = {
                "state": State.SENDING.value,
                "attempts": delivery.attempts,
                "unknown": delivery.unknown,
                "first_tried_at": to_rfc3339(delivery.first_tried_at),
                # If this process dies, the next one finds it when nobody can be sending it any more.
                AT: to_rfc3339(lease.until),
            }
            return Update(_key(delivery), changes(tried), _open_after(delivery.attempts - 1))

        ours: Write = Check(lease_key(lease.user_id, lease.channel), _holds(lease))
        try:
            self._table.transact([ours, *map(begun, deliveries)])
        except ConditionFailed as failed:
            raise VersionConflict from failed

    def put_back(self, deliveries: Sequence[Delivery]) -> None:
        self._each(
            Update(
                _key(delivery),
                changes(
                    {
                        "state": State.PENDING.value,
                        "not_before": to_rfc3339(delivery.not_before),
                        "send_at": to_rfc3339(delivery.send_at),
                        AT: to_rfc3339(delivery.send_at),
                        "unknown": delivery.unknown,
                        "error": delivery.error,
                    }
                ),
                _open_after(delivery.attempts),
            )
            for delivery in deliveries
        )

    def sent(self, deliveries: Sequence[Delivery], now: datetime) -> None:
        updates = [_ended(delivery, State.SENT, now) for delivery in deliveries]
        try:
            self._table.transact(updates)
        except ConditionFailed:
            # One of them was erased meanwhile; the others were sent all the same.
            self._each(updates)

    def drop(self, delivery: Delivery, why: str, now: datetime) -> None:
        self._each([_ended(delivery, State.DROPPED, now, why)])

    def fail(self, delivery: Delivery, why: str, now: datetime) -> None:
        failure_id = dated_id(now, delivery.user_id, delivery.channel, delivery.notice_id)
        failed = {
            "state": State.FAILED.value,
            "error": why,
            "failed_at": to_rfc3339(now),
            "failure_id": failure_id,
            AGENDA: FAILED,
            AT: failure_id,
            EXPIRES: epoch(now + KEEP_FAILED),
        }
        self._each([Update(_key(delivery), changes(failed), _open_after(delivery.attempts))])

    def fall_back(self, delivery: Delivery, to: Delivery, why: str, now: datetime) -> bool:
        not_erased = Check(erased_key(delivery.user_id), ABSENT)
        try:
            self._table.transact(
                [not_erased, _ended(delivery, State.DROPPED, now, why), Put(delivery_item(to), ABSENT)]
            )
        except ConditionFailed as failed:
            # Erased, or another sender's by now: nothing is left to fall back for.
            return failed.index != 2
        return True

    def add_to_inbox(self, user_id: str, entry: InboxEntry, now: datetime) -> None:
        with suppress(ConditionFailed):
            self._table.transact([Check(erased_key(user_id), ABSENT), Put(entry_item(user_id, entry, now), ABSENT)])

    def _each(self, updates: Iterable[Update]) -> None:
        """One by one; a delivery that changed meanwhile belongs to somebody else, or is gone."""
        for update in updates:
            with suppress(ConditionFailed):
                self._table.update(update.key, update.update, update.condition)


class DynamoFailedDeliveries:
    """Implements `application.ports.FailedDeliveries`."""

    def __init__(self, table: Table) -> None:
        self._table = table

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
        items, last = page_of_list(self._table, listed, limit, start)
        # The index may lag behind a retry.
        found = [delivery for item in items if (delivery := to_delivery(item)).state == State.FAILED]
        if last is None:
            return found, None
        channel, notice_id = _channel_and_notice(last)
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
        return self._begin_anew(_key(delivery), delivery.failure_id, now) is not None

    def _begin_anew(self, key: Key, failure_id: str, now: datetime) -> Item | None:
        anew = {
            "state": State.PENDING.value,
            "send_at": to_rfc3339(now),
            "not_before": to_rfc3339(now),
            AT: to_rfc3339(now),
            AGENDA: bucket_of(user_id_of(key)),
            "attempts": 0,
            "unknown": 0,
        }
        ended = ("first_tried_at", "failed_at", "failure_id", "error", EXPIRES)
        as_it_failed = Expression(
            "#state = :failed AND #failure_id = :id",
            {"state": "state", "failure_id": "failure_id"},
            {"failed": State.FAILED.value, "id": failure_id},
        )
        try:
            return self._table.update(key, changes(anew, remove=ended), as_it_failed)
        except ConditionFailed:
            return None


def delivery_item(delivery: Delivery) -> Item:
    """A new, PENDING one."""
    return {
        **_key(delivery),
        "kind": str(delivery.kind),
        "data": delivery.data,
        "correlation_id": delivery.correlation_id,
        "state": str(delivery.state),
        "not_before": to_rfc3339(delivery.not_before),
        "send_at": to_rfc3339(delivery.send_at),
        "attempts": delivery.attempts,
        "unknown": delivery.unknown,
        **({"by_hand": True} if delivery.by_hand else {}),
        AGENDA: bucket_of(delivery.user_id),
        AT: to_rfc3339(delivery.send_at),
    }


def to_delivery(item: Item) -> Delivery:
    channel, notice_id = _channel_and_notice(item)
    return Delivery(
        notice_id=notice_id,
        user_id=user_id_of(item),
        channel=channel,
        kind=item["kind"],
        not_before=from_rfc3339(item["not_before"]),
        send_at=from_rfc3339(item["send_at"]),
        correlation_id=item["correlation_id"],
        data=item.get("data", {}),
        state=item["state"],
        attempts=item["attempts"],
        unknown=item["unknown"],
        first_tried_at=optional_time(item.get("first_tried_at")),
        error=item.get("error"),
        failed_at=optional_time(item.get("failed_at")),
        failure_id=item.get("failure_id"),
        # Items from before this was kept: only announcements were sent by staff.
        by_hand=item.get("by_hand", item["kind"] == Kind.ANNOUNCEMENT),
    )


def _channel_and_notice(item: Item) -> tuple[str, str]:
    found = channel_and_notice(str(item["sk"]))
    assert found is not None  # noqa: S101 - the callers read deliveries only
    return found


def _key(delivery: Delivery) -> Keys:
    return delivery_key(delivery.user_id, delivery.channel, delivery.notice_id)


def _failed_place(position: Position) -> Item:
    user_id, notice_id = id_in(position, "user_id"), id_in(position, "notice_id")
    channel = position.get("channel")
    if not isinstance(channel, str) or not channel.isidentifier():
        raise NoPosition
    return {AGENDA: FAILED, AT: id_in(position, "id"), **delivery_key(user_id, channel, notice_id)}


def _holds(lease: Lease) -> Expression:
    return Expression("#holder = :holder", {"holder": "holder"}, {"holder": lease.holder})


def _open_after(attempts: int) -> Expression:
    """Not ended, and not tried since."""
    return Expression(
        "#state IN (:pending, :sending) AND #attempts = :attempts_before",
        {"state": "state", "attempts": "attempts"},
        {**_OPEN, "attempts_before": attempts},
    )


def _ended(delivery: Delivery, state: State, now: datetime, why: str | None = None) -> Update:
    """Its data goes with its end."""
    ended = {"state": state.value, "ended_at": to_rfc3339(now), EXPIRES: epoch(now + KEEP_DONE)}
    if why:
        ended["error"] = why
    return Update(_key(delivery), changes(ended, remove=(AGENDA, AT, "data")), _open_after(delivery.attempts))
