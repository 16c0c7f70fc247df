"""What becomes of an event of the bus."""

from dataclasses import dataclass
from datetime import datetime

from library_common.clock import Clock, from_rfc3339
from notifications_service.application.planning import Planning
from notifications_service.application.ports import Devices, Forgotten, Plans, PushService
from notifications_service.domain.notices import FORGOTTEN, LENDING, Happening, notice_of
from notifications_service.domain.reminders import Reminder, Rhythm, first_reminder


class Incomprehensible(Exception):
    """The event contradicts its schema; it will not be any different next time."""


@dataclass(frozen=True)
class Hear:
    """The use case."""

    planning: Planning
    plans: Plans
    devices: Devices
    push: PushService
    rhythm: Rhythm
    clock: Clock

    def __call__(self, event: Happening, correlation_id: str) -> str:
        """The outcome in a word or two. Events may come twice, late and in any order. Raises Incomprehensible."""
        if event.type == FORGOTTEN[1]:
            return self._forget(event.user_id)
        notice = notice_of(event, self.rhythm.overdue_days)
        if notice is None:
            return "nothing to tell"
        try:
            occurred_at = from_rfc3339(event.occurred_at)
            reminder = self._reminder(event, occurred_at)
        except ValueError as failure:
            raise Incomprehensible("a moment in it is none") from failure
        try:
            planned = self.planning.tell(
                notice, occurred_at=occurred_at, correlation_id=correlation_id, reminder=reminder
            )
        except Forgotten:
            return "forgotten"
        return "told" if planned.is_new else "told before"

    def _reminder(self, event: Happening, occurred_at: datetime) -> Reminder | None:
        loan_id, due_date = event.data.get("loan_id"), event.data.get("due_date")
        if event.type not in LENDING or not isinstance(loan_id, str) or not isinstance(due_date, str):
            return None
        data = {name: value for name in ("title", "due_date", "book_id", "loan_id") if (value := event.data.get(name))}
        return first_reminder(event.user_id, loan_id, due_date, data, since=occurred_at, rhythm=self.rhythm)

    def _forget(self, user_id: str) -> str:
        # First of all, so that no device is registered behind our back.
        self.plans.close(user_id, self.clock.now())
        for endpoint in self.devices.of(user_id):
            # There first: once it is not known here any more, nobody would clean up there.
            self.push.forget(endpoint)
            self.devices.forget(user_id, endpoint)
        self.plans.forget(user_id)
        return "member forgotten"
