"""What becomes of an event of the bus."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from library_common.clock import Clock, from_rfc3339
from notifications_service.application.planning import Planning
from notifications_service.application.ports import Devices, Forgotten, Loans, Plans, PushService
from notifications_service.domain.kinds import Kind
from notifications_service.domain.notices import FORGOTTEN, LENDING, MOMENTS, Happening, Notice, notice_of
from notifications_service.domain.reminders import Reminder, Rhythm, first_reminder

TOO_OLD = timedelta(days=15)
"""Longer than an event waits in any queue, dead letters included. What comes later is no news."""

_YEARS = range(1970, 9000)
"""Far enough from both ends of the calendar for every zone."""


class Incomprehensible(Exception):
    """The event contradicts its schema; it will not be any different next time."""


@dataclass(frozen=True)
class Hear:
    """The use case."""

    planning: Planning
    plans: Plans
    devices: Devices
    push: PushService
    loans: Loans
    rhythm: Rhythm
    clock: Clock

    def __call__(self, event: Happening, correlation_id: str) -> str:
        """The outcome in a word or two. Events may come twice, late and in any order.

        Raises Incomprehensible, and NeighbourUnavailable when loans has to be asked and does not answer.
        """
        if not event.is_its_sources:
            raise Incomprehensible("it comes from another service than such events do")
        if event.type == FORGOTTEN[1]:
            return self._forget(event.user_id)
        if event.replayed:
            # Others make up their records from the archive. Members were told when it happened.
            return "replayed"
        return self._news(event, correlation_id)

    def _news(self, event: Happening, correlation_id: str) -> str:
        try:
            notice = notice_of(event, self.rhythm.overdue_days)
            if notice is None:
                return "nothing to tell"
            _check_moments(event.data)
            occurred_at = _moment(event.occurred_at)
            reminder = self._reminder(event, occurred_at)
        except (ValueError, OverflowError) as failure:
            raise Incomprehensible("a moment, an amount or an id in it is none") from failure
        if self.clock.now() - occurred_at > TOO_OLD:
            return "too old"
        return self._tell(notice, reminder, occurred_at, correlation_id) if self._applies(notice) else "does not apply"

    def _tell(self, notice: Notice, reminder: Reminder | None, occurred_at: datetime, correlation_id: str) -> str:
        try:
            planned = self.planning.tell(
                notice, occurred_at=occurred_at, correlation_id=correlation_id, reminder=reminder
            )
        except Forgotten:
            return "forgotten"
        return "told" if planned.is_new else "told before"

    def _applies(self, notice: Notice) -> bool:
        """An overdue loan may be back by the time its event comes."""
        loan_id, due_date = notice.data.get("loan_id"), notice.data.get("due_date")
        if notice.kind is not Kind.LOAN_OVERDUE or not loan_id or not due_date:
            return True
        return self.loans.still_out(loan_id, due_date)

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


def _check_moments(data: Mapping[str, Any]) -> None:
    """Raises ValueError or OverflowError for one that nobody could write in a message."""
    for name in MOMENTS:
        if (value := data.get(name)) is not None:
            _moment(value)


def _moment(value: object) -> datetime:
    moment = from_rfc3339(value if isinstance(value, str) else "")
    if moment.year not in _YEARS:
        raise ValueError("a moment far from all others")
    return moment
