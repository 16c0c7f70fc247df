"""The notifications table.

    item                             pk              sk                      written by
    a notice in a member's list      MEMBER#<user>   NOTICE#<id>             planning; reading; a sender without a way
    a notice was planned             MEMBER#<user>   TOLD#<identity>         planning, in one transaction with it all
    a message on its way             MEMBER#<user>   OUT#<channel>#<notice>  planning; every step of the sender
    a reminder to come               MEMBER#<user>   REMINDER#<id>           planning; firing or dropping it
    whose turn it is to send         MEMBER#<user>   LEASE#<channel>         senders
    the member was erased            MEMBER#<user>   ERASED                  forgetting, before anything else
    an announcement                  BROADCAST#<id>  BROADCAST               announcing; each page of it; cancelling it
    an announcement's request        IDEMPOTENT#<..> IDEMPOTENT              announcing (library_common.idempotency)
    preferences, devices, templates, the account's language  (adapters/preferences.py and its neighbours)

    access                                           how                                          request units
    plan a notice with n messages and a reminder     transaction, with a check of ERASED          2 x (4 + n) write
    a member's list, newest first                    partition, prefix NOTICE#                    by size
    unread ones, and how many                        index by_agenda (keys), UNREAD#<user>        1 read or so
    what is due                                      index by_agenda (keys), DUE#<bucket>         1 read per bucket
    what of a member and channel is open             partition, prefix OUT#<channel>#, consistent by size
    messages that failed, newest first               index by_agenda (keys), FAILED; batch get    by size

The index by_agenda is sparse and holds keys only: `agenda` says in which list a thing is, `at` where. A message or a
reminder is in DUE#<bucket> at the moment at which something has to be done about it, until nothing has; a message that
is being sent is there at the end of the sender's lease, so that a sender's death is found. A notice is in UNREAD#<user>
until it is read. Eight buckets by the member's id keep the sweep cheap and any one of them far from a partition's
limits. FAILED is one partition: that many failures are a matter for people, and writes that find it slow come again.

Ids of notices sort by their moments, so a list needs no index. Sizes: 0.3 to 0.7 KB each. A message that was sent loses
what it said at once. Expiry: notices and what was told 180 days, messages 30 days after they were sent or dropped,
failed ones 90, the tombstone of a member 400.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import (
    ABSENT,
    PRESENT,
    Check,
    ConditionFailed,
    Expression,
    Put,
    Table,
    Update,
    Write,
)
from library_common.ids import dated_id
from notifications_service.adapters.items import (
    AGENDA,
    AT,
    BY_AGENDA,
    EXPIRES,
    FAILED,
    KEEP_DONE,
    KEEP_ERASED,
    KEEP_FAILED,
    KEEP_NOTICES,
    channel_of,
    delivery_item,
    delivery_key,
    delivery_prefix,
    due_in,
    entry_item,
    erased_key,
    lease_key,
    member,
    reminder_id,
    reminder_item,
    reminder_key,
    reminder_of,
    to_delivery,
    to_reminder,
    told_key,
    until,
    user_id_of,
)
from notifications_service.application.api_ports import Entry, Position
from notifications_service.application.ports import (
    Due,
    DueBroadcast,
    DueDelivery,
    DueReminder,
    Forgotten,
    Lease,
    Plan,
    Planned,
    Stale,
)
from notifications_service.domain.deliveries import Delivery, State
from notifications_service.domain.kinds import Channel
from notifications_service.domain.reminders import Reminder

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_DUE_PAGE = 200
_OPEN = {"pending": State.PENDING.value, "sending": State.SENDING.value}


class DynamoPlans:
    """Implements `application.ports.Plans`."""

    def __init__(self, table_name: str, client: "Callable[[], DynamoDBClient]") -> None:
        self._table = Table(table_name, client)

    def plan(self, plan: Plan, now: datetime) -> Planned:
        told = Put(
            {
                **told_key(plan.user_id, plan.identity),
                "nudges": {channel.value: to_rfc3339(at) for channel, at in plan.nudges.items()},
                EXPIRES: until(now + KEEP_NOTICES),
            },
            ABSENT,
        )
        first: list[Write] = [Check(erased_key(plan.user_id), ABSENT), told]
        if plan.fires is not None:
            first.append(_done(plan.fires, "fired", now))
        if plan.entry is not None:
            first.append(Put(entry_item(plan.user_id, plan.entry, now), ABSENT))
        first.extend(Put(delivery_item(delivery), ABSENT) for delivery in plan.deliveries)
        reminders: list[Write] = [Put(reminder_item(plan.reminder), ABSENT)] if plan.reminder is not None else []
        while True:
            try:
                self._table.transact([*first, *reminders])
            except ConditionFailed as failed:
                if failed.index == 0:
                    raise Forgotten from failed
                if failed.index == 1:
                    nudges = (failed.item or {}).get("nudges", {})
                    return Planned({Channel(name): from_rfc3339(at) for name, at in nudges.items()}, is_new=False)
                if failed.index >= len(first):
                    # The same reminder came with another event: it is planned.
                    reminders = []
                    continue
                # The reminder this comes from does not wait any more, or its message is there: nothing is new.
                return Planned({}, is_new=False)
            return Planned(plan.nudges, is_new=True)

    def close(self, user_id: str, now: datetime) -> None:
        tombstone = {**erased_key(user_id), EXPIRES: until(now + KEEP_ERASED)}
        with suppress(ConditionFailed):
            self._table.put(tombstone, ABSENT)

    def forget(self, user_id: str) -> None:
        # Nothing new comes in meanwhile: whatever is planned, wished or registered checks the tombstone in its
        # transaction.
        everything = Expression("#pk = :pk", {"pk": "pk"}, {"pk": member(user_id)})
        for item in self._table.query_all(everything, consistent=True):
            if item["sk"] != erased_key(user_id)["sk"]:
                with suppress(ConditionFailed):
                    self._table.delete({"pk": item["pk"], "sk": item["sk"]}, PRESENT)


class DynamoReminders:
    """Implements `application.ports.Reminders`."""

    def __init__(self, table_name: str, client: "Callable[[], DynamoDBClient]") -> None:
        self._table = Table(table_name, client)

    def waiting(self, user_id: str, reminder_id: str) -> Reminder | None:
        item = self._table.get(reminder_key(user_id, reminder_id))
        return to_reminder(item) if item is not None and item["state"] == "waiting" else None

    def postpone(self, reminder: Reminder, until: datetime) -> None:
        with suppress(ConditionFailed):
            self._table.update(
                reminder_key(reminder.user_id, reminder_id(reminder)),
                Expression("SET #at = :at", {"at": AT}, {"at": to_rfc3339(until)}),
                _WAITING,
            )

    def drop(self, reminder: Reminder, why: str, now: datetime, *, following: Reminder | None = None) -> None:
        done = _done(reminder, why, now)
        if following is not None:
            not_erased = Check(erased_key(reminder.user_id), ABSENT)
            try:
                self._table.transact([done, not_erased, Put(reminder_item(following), ABSENT)])
            except ConditionFailed as failed:
                # The following one is planned already: what is left is to drop this one.
                if failed.index != 2:
                    return
            else:
                return
        with suppress(ConditionFailed):
            self._table.update(done.key, done.update, done.condition)


class DynamoDeliveries:
    """Implements `application.ports.Deliveries`."""

    def __init__(self, table_name: str, client: "Callable[[], DynamoDBClient]") -> None:
        self._table = Table(table_name, client)

    # -- whose turn it is ---------------------------------------------------------------------

    def take(self, lease: Lease, now: datetime) -> bool:
        item = {
            **lease_key(lease.user_id, lease.channel),
            "holder": lease.holder,
            "until": until(lease.until),
            EXPIRES: until(lease.until + KEEP_DONE),
        }
        free = Expression(
            "attribute_not_exists(#pk) OR #until <= :now", {"pk": "pk", "until": "until"}, {"now": until(now)}
        )
        try:
            self._table.put(item, free)
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

    def others(self, delivery: Delivery) -> dict[Channel, Delivery]:
        keys = [
            delivery_key(replace(delivery, channel=channel))
            for channel in Channel
            if channel not in (delivery.channel, Channel.IN_APP)
        ]
        return {found.channel: found for found in map(to_delivery, self._table.get_many(keys))}

    # -- steps --------------------------------------------------------------------------------

    def begin(self, lease: Lease, deliveries: Sequence[Delivery]) -> None:
        def begun(delivery: Delivery) -> Update:
            assert delivery.first_tried_at is not None  # noqa: S101 - a try has a beginning
            return Update(
                delivery_key(delivery),
                Expression(
                    "SET #state = :sending, #attempts = :attempts, #unknown = :unknown, #first = :first, #at = :at",
                    {
                        "state": "state",
                        "attempts": "attempts",
                        "unknown": "unknown",
                        "first": "first_tried_at",
                        "at": AT,
                    },
                    {
                        "sending": State.SENDING.value,
                        "attempts": delivery.attempts,
                        "unknown": delivery.unknown,
                        "first": to_rfc3339(delivery.first_tried_at),
                        # Should this process die, the next one looks at it when nobody can be sending it any more.
                        "at": to_rfc3339(lease.until),
                    },
                ),
                _open_at(delivery.attempts - 1),
            )

        ours: Write = Check(lease_key(lease.user_id, lease.channel), _holds(lease))
        try:
            self._table.transact([ours, *map(begun, deliveries)])
        except ConditionFailed as failed:
            raise Stale from failed

    def put_back(self, deliveries: Sequence[Delivery]) -> None:
        self._each(
            Update(
                delivery_key(delivery),
                Expression(
                    "SET #state = :pending, #not_before = :not_before, #send_at = :send_at, #at = :send_at,"
                    " #unknown = :unknown" + (", #error = :error" if delivery.error else ""),
                    {
                        "state": "state",
                        "not_before": "not_before",
                        "send_at": "send_at",
                        "at": AT,
                        "unknown": "unknown",
                        **({"error": "error"} if delivery.error else {}),
                    },
                    {
                        "pending": State.PENDING.value,
                        "not_before": to_rfc3339(delivery.not_before),
                        "send_at": to_rfc3339(delivery.send_at),
                        "unknown": delivery.unknown,
                        **({"error": delivery.error} if delivery.error else {}),
                    },
                ),
                _open_at(delivery.attempts),
            )
            for delivery in deliveries
        )

    def sent(self, deliveries: Sequence[Delivery], now: datetime) -> None:
        updates = [_ended(delivery, State.SENT, None, now) for delivery in deliveries]
        try:
            self._table.transact(updates)
        except ConditionFailed:
            # One of them was erased meanwhile; the others were sent all the same.
            self._each(updates)

    def drop(self, delivery: Delivery, why: str, now: datetime) -> None:
        self._each([_ended(delivery, State.DROPPED, why, now)])

    def fail(self, delivery: Delivery, why: str, now: datetime) -> None:
        failure_id = dated_id(now, delivery.user_id, delivery.channel.value, delivery.notice_id)
        failed = Expression(
            "SET #state = :failed, #error = :why, #failed_at = :now, #failure_id = :id, #agenda = :list, #at = :id,"
            " #expires = :expires",
            {
                "state": "state",
                "error": "error",
                "failed_at": "failed_at",
                "failure_id": "failure_id",
                "agenda": AGENDA,
                "at": AT,
                "expires": EXPIRES,
            },
            {
                "failed": State.FAILED.value,
                "why": why,
                "now": to_rfc3339(now),
                "id": failure_id,
                "list": FAILED,
                "expires": until(now + KEEP_FAILED),
            },
        )
        self._each([Update(delivery_key(delivery), failed, _open_at(delivery.attempts))])

    def fall_back(self, delivery: Delivery, to: Delivery, why: str, now: datetime) -> bool:
        try:
            self._table.transact(
                [
                    Check(erased_key(delivery.user_id), ABSENT),
                    _ended(delivery, State.DROPPED, why, now),
                    Put(delivery_item(to), ABSENT),
                ]
            )
        except ConditionFailed as failed:
            # Erased or another's by now counts as done: there is nothing left to fall back for.
            return failed.index != 2
        return True

    def enlist(self, user_id: str, entry: Entry, now: datetime) -> None:
        with suppress(ConditionFailed):
            self._table.transact([Check(erased_key(user_id), ABSENT), Put(entry_item(user_id, entry, now), ABSENT)])

    def _each(self, updates: Iterable[Update]) -> None:
        """One by one; what is not as it was belongs to somebody else now, or is gone."""
        for update in updates:
            with suppress(ConditionFailed):
                self._table.update(update.key, update.update, update.condition)


class DynamoAgenda:
    """Implements `application.ports.Agenda`."""

    def __init__(self, table_name: str, client: "Callable[[], DynamoDBClient]") -> None:
        self._table = Table(table_name, client)

    def due(self, bucket: int, now: datetime, after: Position | None) -> tuple[list[Due], Position | None]:
        found, last = self._table.query(
            Expression(
                "#agenda = :bucket AND #at <= :now",
                {"agenda": AGENDA, "at": AT},
                {"bucket": due_in(bucket), "now": to_rfc3339(now)},
            ),
            index=BY_AGENDA,
            limit=_DUE_PAGE,
            start=after,
        )
        return [_due(item) for item in found], last


def _due(item: dict[str, Any]) -> Due:
    key = str(item["sk"])
    if (channel := channel_of(key)) is not None:
        return DueDelivery(user_id_of(item), channel)
    if (its_id := reminder_of(key)) is not None:
        return DueReminder(user_id_of(item), its_id)
    return DueBroadcast(str(item["pk"]).removeprefix("BROADCAST#"))


# -- conditions and updates -----------------------------------------------------------------------

_WAITING = Expression("#state = :waiting", {"state": "state"}, {"waiting": "waiting"})


def _holds(lease: Lease) -> Expression:
    return Expression("#holder = :holder", {"holder": "holder"}, {"holder": lease.holder})


def _open_at(attempts: int) -> Expression:
    """Not ended, and nobody has tried since."""
    return Expression(
        "#state IN (:pending, :sending) AND #attempts = :attempts_before",
        {"state": "state", "attempts": "attempts"},
        {**_OPEN, "attempts_before": attempts},
    )


def _ended(delivery: Delivery, state: State, why: str | None, now: datetime) -> Update:
    """What it said goes with its end."""
    return Update(
        delivery_key(delivery),
        Expression(
            "SET #state = :state, #ended_at = :now, #expires = :expires"
            + (", #error = :why" if why else "")
            + " REMOVE #agenda, #at, #data",
            {
                "state": "state",
                "ended_at": "ended_at",
                "expires": EXPIRES,
                "agenda": AGENDA,
                "at": AT,
                "data": "data",
                **({"error": "error"} if why else {}),
            },
            {
                "state": state.value,
                "now": to_rfc3339(now),
                "expires": until(now + KEEP_DONE),
                **({"why": why} if why else {}),
            },
        ),
        _open_at(delivery.attempts),
    )


def _done(reminder: Reminder, how: str, now: datetime) -> Update:
    return Update(
        reminder_key(reminder.user_id, reminder_id(reminder)),
        Expression(
            "SET #state = :how, #expires = :expires REMOVE #agenda, #at, #data",
            {"state": "state", "expires": EXPIRES, "agenda": AGENDA, "at": AT, "data": "data"},
            # As long as the events that planned it may come again.
            {"how": how, "expires": until(now + KEEP_NOTICES)},
        ),
        _WAITING,
    )
