"""The moment of a reminder: does it still apply, and if so, it becomes a notice."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from library_common.clock import Clock
from library_common.context import current
from notifications_service.application.planning import Planning
from notifications_service.application.ports import Forgotten, Loans, NeighbourUnavailable, Reminders
from notifications_service.domain.notices import Notice
from notifications_service.domain.reminders import Reminder, Rhythm, reminder_after

WAIT = timedelta(minutes=5)
"""How long a reminder waits for loans to be there again, give or take a quarter."""


@dataclass(frozen=True)
class Remind:
    """The use case."""

    reminders: Reminders
    loans: Loans
    planning: Planning
    rhythm: Rhythm
    clock: Clock
    jitter: Callable[[], float] = random.random

    def __call__(self, user_id: str, reminder_id: str) -> str:
        """The outcome in a word or two. May be called twice, late, and by two at once."""
        now = self.clock.now()
        reminder = self.reminders.waiting(user_id, reminder_id)
        if reminder is None or now < reminder.fire_at:
            return "not now"
        if reminder.pointless_from is not None and now >= reminder.pointless_from:
            return self._go_on(reminder, "overtaken")
        try:
            applies = self.loans.still_out(reminder.loan_id, reminder.due_date)
        except NeighbourUnavailable:
            self.reminders.postpone(reminder, now + WAIT * (0.75 + 0.5 * self.jitter()))
            return "waits"
        if not applies:
            # Nor will those after it: back is back, and another due date has reminders of its own.
            self.reminders.drop(reminder, "does not apply", now)
            return "does not apply"
        return self._tell(reminder)

    def _tell(self, reminder: Reminder) -> str:
        notice = Notice(reminder.user_id, reminder.kind, reminder.identity, reminder.data)
        following = reminder_after(reminder, self.clock.now(), self.rhythm)
        try:
            planned = self.planning.tell(
                notice,
                occurred_at=reminder.fire_at,
                correlation_id=current().correlation_id,
                reminder=following,
                fires=reminder,
            )
        except Forgotten:
            return "forgotten"
        # Not new: an event was told as this very reminder, or another process was faster with it.
        return "reminded" if planned.is_new else self._go_on(reminder, "told before")

    def _go_on(self, reminder: Reminder, why: str) -> str:
        now = self.clock.now()
        self.reminders.drop(reminder, why, now, following=reminder_after(reminder, now, self.rhythm))
        return why
