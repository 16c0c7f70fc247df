"""Fires a reminder: if it still applies, it becomes a notice."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from library_common.clock import Clock
from library_common.context import current
from notifications_service.application.planning import Planning
from notifications_service.application.ports import Loans, MemberErased, ReminderStore, ServiceUnavailable
from notifications_service.domain.kinds import Kind
from notifications_service.domain.notices import Notice
from notifications_service.domain.reminders import Reminder, ReminderSchedule, reminder_after

WAIT = timedelta(minutes=5)
"""How long a reminder waits for loans to answer again, plus or minus a quarter."""

WAIT_FOR_NEWER_VERSION = timedelta(hours=1)
"""How long a reminder of an unknown kind waits before it is looked at again."""


@dataclass(frozen=True)
class FireReminder:
    """The use case."""

    reminders: ReminderStore
    loans: Loans
    planning: Planning
    schedule: ReminderSchedule
    clock: Clock
    jitter: Callable[[], float] = random.random

    def __call__(self, user_id: str, reminder_id: str) -> str:
        """Returns the outcome. May be called twice, late, and by two processes at once."""
        now = self.clock.now()
        reminder = self.reminders.waiting(user_id, reminder_id)
        if reminder is None or now < reminder.fire_at:
            return "not_due"
        if reminder.kind not in Kind:
            # A newer version of this service planned it, and will fire it. There is no template for it here.
            self.reminders.postpone(reminder, now + WAIT_FOR_NEWER_VERSION)
            return "newer_version"
        if reminder.pointless_from is not None and now >= reminder.pointless_from:
            return self._go_on(reminder, "superseded")
        try:
            applies = self.loans.still_out(reminder.loan_id, reminder.due_date)
        except ServiceUnavailable:
            self.reminders.postpone(reminder, now + WAIT * (0.75 + 0.5 * self.jitter()))
            return "postponed"
        if not applies:
            # Those after it do not apply either: another due date has reminders of its own.
            self.reminders.drop(reminder, "not_applicable", now)
            return "not_applicable"
        return self._plan(reminder)

    def _plan(self, reminder: Reminder) -> str:
        notice = Notice(reminder.user_id, Kind(reminder.kind), reminder.identity, reminder.data)
        following = reminder_after(reminder, self.clock.now(), self.schedule)
        try:
            planned = self.planning.plan(
                notice,
                occurred_at=reminder.fire_at,
                correlation_id=current().correlation_id,
                reminder=following,
                fires=reminder,
            )
        except MemberErased:
            return "member_erased_before"
        # Not new: an event was planned as this very reminder, or another process was faster.
        return "planned" if planned.is_new else self._go_on(reminder, "already_planned")

    def _go_on(self, reminder: Reminder, why: str) -> str:
        now = self.clock.now()
        self.reminders.drop(reminder, why, now, following=reminder_after(reminder, now, self.schedule))
        return why
