"""Records what became of a delivery: put back, retried, dropped, sent by another channel, or given up.

A certain failure is retried with growing pauses for a day. An unknown outcome is retried once, after the lease: a
member may then get the same message twice, which is better than not at all. If that is unknown again, the delivery is
given up as `unknown_outcome`, for an administrator to decide. A refusal goes over to the next channel that the member
allows; where there is none, the notice is at least in the member's list.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from library_common.clock import Clock
from library_common.ids import time_of_id
from library_common.telemetry import emit_metric, logger
from notifications_service.application.ports import (
    Account,
    DeliveryStore,
    DeviceStore,
    DueDelivery,
    InboxEntry,
    TaskQueue,
)
from notifications_service.domain.deliveries import (
    FALLBACK_ORDER,
    MAX_UNKNOWN,
    Delivery,
    Lease,
    State,
    pause_after,
)
from notifications_service.domain.kinds import Channel
from notifications_service.domain.preferences import Preferences, is_allowed

UNKNOWN_OUTCOME = "unknown_outcome"
SUPERSEDED = "superseded"
NOT_WANTED = "not_wanted"


@dataclass(frozen=True)
class Turn:
    """One member and channel while the lease is held."""

    lease: Lease
    account: Account
    preferences: Preferences

    def allows(self, channel: Channel, kind: str) -> bool:
        account = self.account
        return is_allowed(channel, kind, self.preferences, takes_email=account.takes_email, takes_sms=account.takes_sms)

    @property
    def names_the_member(self) -> bool:
        """Whether the message surely reaches the member, and not the owner of an address that somebody else entered."""
        match self.lease.channel:
            case Channel.EMAIL:
                return self.account.has_proved_email
            case Channel.SMS:
                return False
        return True


def begun(deliveries: Sequence[Delivery], now: datetime) -> list[Delivery]:
    """As they are when they are tried once more."""
    return [replace(d, attempts=d.attempts + 1, first_tried_at=d.first_tried_at or now) for d in deliveries]


@dataclass(frozen=True)
class DeliveryOutcomes:
    """first_pause: before the second try."""

    deliveries: DeliveryStore
    devices: DeviceStore
    queue: TaskQueue
    first_pause: timedelta
    clock: Clock
    jitter: Callable[[], float] = random.random

    # -- later --------------------------------------------------------------------------------

    def put_back(self, deliveries: Sequence[Delivery], at: datetime) -> None:
        """Due again at that time; not counted as a try."""
        self.deliveries.put_back([replace(delivery, not_before=at, send_at=at) for delivery in deliveries])

    def put_back_for_a_pause(self, deliveries: Sequence[Delivery]) -> None:
        self.put_back(deliveries, self.clock.now() + self._pause(1))

    def retry(self, deliveries: Sequence[Delivery], code: str) -> None:
        """After a certain failure: once more after a pause, or given up after a day."""
        for delivery in deliveries:
            at = self.clock.now() + self._pause(delivery.attempts)
            if delivery.is_given_up(at):
                self.fail(delivery, code)
            else:
                self.put_back([replace(delivery, error=code)], at)

    def unknown(self, deliveries: Sequence[Delivery], lease: Lease, code: str) -> None:
        """Once more after the lease, or given up."""
        for delivery in deliveries:
            if delivery.unknown >= MAX_UNKNOWN:
                self.fail(delivery, UNKNOWN_OUTCOME)
            else:
                self.put_back([replace(delivery, unknown=delivery.unknown + 1, error=code)], lease.until)

    # -- the end ------------------------------------------------------------------------------

    def drop(self, delivery: Delivery, why: str) -> None:
        self.deliveries.drop(delivery, why, self.clock.now())

    def not_wanted(self, delivery: Delivery, turn: Turn) -> None:
        """The member does not allow this channel."""
        if not self._fell_back(delivery, turn, NOT_WANTED):
            self._drop_or_list(delivery, turn, NOT_WANTED)

    def refused(self, delivery: Delivery, turn: Turn, code: str) -> None:
        """The provider refused it for good."""
        if self._fell_back(delivery, turn, code):
            return
        if self._goes_another_way(delivery):
            self._drop_or_list(delivery, turn, code)
        else:
            self._add_to_inbox(delivery, turn)
            self.fail(delivery, code)

    def fail(self, delivery: Delivery, code: str) -> None:
        """Given up."""
        self.deliveries.fail(delivery, code, self.clock.now())
        logger().error(
            "notice given up",
            extra={
                "notice_id": delivery.notice_id,
                "user_id": delivery.user_id,
                "kind": str(delivery.kind),
                "channel": str(delivery.channel),
                "reason": code,
            },
        )
        emit_metric("NoticeFailed", service="notifications")

    def log_failure(self, what: str, delivery: Delivery, failure: Exception) -> None:
        logger().error(
            what,
            extra={"kind": str(delivery.kind), "channel": str(delivery.channel), "failure": type(failure).__name__},
        )

    # -- other channels -----------------------------------------------------------------------

    def _drop_or_list(self, delivery: Delivery, turn: Turn, why: str) -> None:
        """Dropped. If no other channel carries the notice, it goes into the member's list."""
        goes_another_way = self._goes_another_way(delivery)
        if not goes_another_way:
            # First: dying after the drop would leave the member without both.
            self._add_to_inbox(delivery, turn)
        self.drop(delivery, why)
        if goes_another_way and not self._goes_another_way(delivery):
            # The sender of the other channel dropped its delivery at the same moment, and relied on this one.
            self._add_to_inbox(delivery, turn)

    def _goes_another_way(self, delivery: Delivery) -> bool:
        return any(
            other.state in (State.PENDING, State.SENDING, State.SENT) for other in self.deliveries.others(delivery)
        )

    def _add_to_inbox(self, delivery: Delivery, turn: Turn) -> None:
        """Unless the member wants nothing of this kind."""
        if turn.preferences.channels.get(delivery.kind) != ():
            entry = InboxEntry(delivery.notice_id, delivery.kind, delivery.data, time_of_id(delivery.notice_id))
            self.deliveries.add_to_inbox(delivery.user_id, entry, self.clock.now())

    def _fell_back(self, delivery: Delivery, turn: Turn, why: str) -> bool:
        """Whether the next channel that the member allows takes over."""
        now = self.clock.now()
        for channel in FALLBACK_ORDER:
            if channel == delivery.channel or not turn.allows(channel, delivery.kind):
                continue
            if not self._reaches(turn.account, channel):
                continue
            instead = replace(
                delivery,
                channel=channel,
                state=State.PENDING,
                not_before=now,
                send_at=now,
                attempts=0,
                unknown=0,
                first_tried_at=None,
                error=None,
            )
            if self.deliveries.fall_back(delivery, instead, why, now):
                self.queue.put([DueDelivery(delivery.user_id, channel)])
                return True
        return False

    def _reaches(self, account: Account, channel: Channel) -> bool:
        match channel:
            case Channel.SMS:
                return account.phone is not None
            case Channel.PUSH:
                return bool(self.devices.devices(account.id))
        return bool(account.email)

    def _pause(self, attempts: int) -> timedelta:
        return pause_after(attempts, self.first_pause, self.jitter())
