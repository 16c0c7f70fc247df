"""Plans a notice: an entry in the member's list and messages to send, stored once and as a whole."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from library_common.clock import Clock
from library_common.ids import dated_id
from notifications_service.application.ports import (
    DueDelivery,
    InboxEntry,
    NoticePlans,
    Plan,
    PreferencesStore,
    TaskQueue,
)
from notifications_service.domain.deliveries import Delivery
from notifications_service.domain.kinds import Channel, Urgency, urgency
from notifications_service.domain.notices import Notice
from notifications_service.domain.preferences import Preferences, channels_for
from notifications_service.domain.reminders import Reminder
from notifications_service.domain.timing import FirstAllowed

LONGEST_DELAY = timedelta(minutes=15)
"""How long SQS can delay a message. What goes out later is found by the sweep."""


@dataclass(frozen=True)
class Planned:
    """is_new: this call planned it. notifies: the member gets it by some channel, as far as their preferences say."""

    is_new: bool
    notifies: bool


@dataclass(frozen=True)
class Planning:
    """visit: how long a routine notice waits for others of the same visit."""

    plans: NoticePlans
    preferences: PreferencesStore
    queue: TaskQueue
    first_allowed: FirstAllowed
    zone: ZoneInfo
    visit: timedelta
    clock: Clock

    def plan(
        self,
        notice: Notice,
        *,
        occurred_at: datetime,
        correlation_id: str,
        reminder: Reminder | None = None,
        fires: Reminder | None = None,
        requested: Sequence[Channel] | None = None,
    ) -> Planned:
        """Plans the notice, or finds it planned, and queues a task for what is due soon.

        The task is queued again for a notice that was planned before: the process that planned it may have died before
        it could. A sender that gets a task twice finds nothing left to send. Raises MemberErased.
        """
        now = self.clock.now().replace(microsecond=0)
        preferences = self.preferences.of(notice.user_id)
        channels = channels_for(notice.kind, preferences, requested=requested)
        notice_id = dated_id(occurred_at, notice.identity, notice.kind.value, notice.user_id)
        not_before, send_at = self._times(preferences, urgency(notice.kind), now)
        plan = Plan(
            user_id=notice.user_id,
            identity=notice.identity,
            entry=InboxEntry(notice_id, notice.kind, notice.data, occurred_at) if Channel.IN_APP in channels else None,
            deliveries=[
                Delivery(
                    notice_id=notice_id,
                    user_id=notice.user_id,
                    channel=channel,
                    kind=notice.kind,
                    not_before=not_before,
                    send_at=send_at,
                    correlation_id=correlation_id,
                    data=notice.data,
                    by_hand=notice.by_hand,
                )
                for channel in channels
                if channel is not Channel.IN_APP
            ],
            reminder=reminder,
            fires=fires,
        )
        send_times, is_new = self.plans.plan(plan, now)
        for channel, at in send_times.items():
            if at - now <= LONGEST_DELAY:
                # A little late rather than early: too early, the sender would find nothing due.
                delay = max(0, math.ceil((at - now).total_seconds()))
                self.queue.put([DueDelivery(notice.user_id, channel)], delay_seconds=delay)
        return Planned(is_new, plan.notifies)

    def _times(self, preferences: Preferences, how_soon: Urgency, now: datetime) -> tuple[datetime, datetime]:
        """When it may go out, and when it does."""
        allowed = self.first_allowed(preferences, how_soon, now, self.zone)
        if how_soon is not Urgency.ROUTINE or allowed > now:
            return allowed, allowed
        # Always with the visit: borrowing and returning again and again would make a message for each. A visit that
        # would end in quiet hours lasts until they end.
        return now, self.first_allowed(preferences, how_soon, now + self.visit, self.zone)
