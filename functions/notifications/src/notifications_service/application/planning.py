"""A notice becomes an entry in the member's list and messages on their way, once and as a whole."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from library_common.clock import Clock
from library_common.ids import dated_id
from notifications_service.application.api_ports import Entry
from notifications_service.application.ports import (
    DueDelivery,
    FirstAllowed,
    Outgoing,
    Plan,
    Planned,
    Plans,
    StoredPreferences,
)
from notifications_service.domain.choosing import channels_for
from notifications_service.domain.deliveries import Delivery
from notifications_service.domain.kinds import Channel, Urgency, urgency
from notifications_service.domain.notices import Notice
from notifications_service.domain.preferences import Preferences
from notifications_service.domain.reminders import Reminder

LONGEST_DELAY = timedelta(minutes=15)
"""How far ahead a queue can hold a message back. What goes out later is found by the sweep."""


@dataclass(frozen=True)
class Planning:
    """visit: how long a notice that is not urgent waits for others of the same visit."""

    plans: Plans
    preferences: StoredPreferences
    outgoing: Outgoing
    first_allowed: FirstAllowed
    zone: ZoneInfo
    visit: timedelta
    clock: Clock

    def tell(
        self,
        notice: Notice,
        *,
        occurred_at: datetime,
        correlation_id: str,
        reminder: Reminder | None = None,
        fires: Reminder | None = None,
        asked_for: Sequence[Channel] | None = None,
    ) -> Planned:
        """Plans it, or finds it planned, and lets the sender know of what is due soon.

        The sender is told again of what was planned before: the process that planned it may have died before it could.
        A sender that is told twice finds nothing left to send. Raises Forgotten for erased members.
        """
        now = self.clock.now().replace(microsecond=0)
        preferences = self.preferences.of(notice.user_id)
        channels = channels_for(notice.kind, preferences, asked_for=asked_for)
        notice_id = dated_id(occurred_at, notice.identity, notice.kind.value, notice.user_id)
        not_before, send_at = self._times(preferences, urgency(notice.kind), now)
        plan = Plan(
            user_id=notice.user_id,
            identity=notice.identity,
            entry=Entry(notice_id, notice.kind, notice.data, occurred_at) if Channel.IN_APP in channels else None,
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
        planned = replace(self.plans.plan(plan, now), tells=plan.tells)
        for channel, at in planned.nudges.items():
            if at - now <= LONGEST_DELAY:
                # A little late rather than early: too early, it would find nothing due.
                delay = max(0, math.ceil((at - now).total_seconds()))
                self.outgoing.put([DueDelivery(notice.user_id, channel)], delay_seconds=delay)
        return planned

    def _times(self, preferences: Preferences, how_soon: Urgency, now: datetime) -> tuple[datetime, datetime]:
        """When it may go out, and when it does."""
        allowed = self.first_allowed(preferences, how_soon, now, self.zone)
        if how_soon is not Urgency.ROUTINE or allowed > now:
            return allowed, allowed
        # Never without the visit: whoever borrows and returns again and again would get a message for each. When it
        # ends in quiet hours, it lasts until they do.
        return now, self.first_allowed(preferences, how_soon, now + self.visit, self.zone)
