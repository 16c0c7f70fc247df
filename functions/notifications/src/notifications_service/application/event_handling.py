"""Handles the events of the bus: what becomes a notice, and what erases a member."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from library_common.clock import Clock, from_rfc3339
from notifications_service.application.planning import Planning
from notifications_service.application.ports import DeviceStore, Loans, MemberErased, NoticePlans, PushService
from notifications_service.domain.kinds import Kind
from notifications_service.domain.notices import (
    DUE_DATE_EVENTS,
    MEMBER_ERASED,
    TIMESTAMP_FIELDS,
    IncomingEvent,
    Notice,
    notice_of,
)
from notifications_service.domain.reminders import Reminder, ReminderSchedule, first_reminder

TOO_OLD = timedelta(days=15)
"""Longer than an event waits in any queue, dead letters included. Older events notify nobody."""

_YEARS = range(1970, 9000)
"""Far enough from both ends of the calendar for every time zone."""


class InvalidEvent(Exception):
    """The event contradicts its schema. Handling it again will not help."""


@dataclass(frozen=True)
class EventHandling:
    """The use case."""

    planning: Planning
    plans: NoticePlans
    devices: DeviceStore
    push: PushService
    loans: Loans
    schedule: ReminderSchedule
    clock: Clock

    def handle_event(self, event: IncomingEvent, correlation_id: str) -> str:
        """Returns the outcome. Events may come twice, late and in any order.

        Raises InvalidEvent, and ServiceUnavailable when loans has to be asked and does not answer.
        """
        if not event.has_right_source:
            raise InvalidEvent("events of this type come from another service")
        if event.type == MEMBER_ERASED[1]:
            return self._erase(event.user_id)
        if event.replayed:
            # Other services rebuild their records from the archive. Members were notified when it happened.
            return "replayed"
        return self._notify(event, correlation_id)

    def _notify(self, event: IncomingEvent, correlation_id: str) -> str:
        try:
            notice = notice_of(event, self.schedule.overdue_days)
            if notice is None:
                return "ignored"
            _check_timestamps(event.data)
            occurred_at = _timestamp(event.occurred_at)
            reminder = self._reminder(event, occurred_at)
        except (ValueError, OverflowError) as failure:
            raise InvalidEvent("invalid timestamp, amount or id") from failure
        if self.clock.now() - occurred_at > TOO_OLD:
            return "too_old"
        if not self._applies(notice):
            return "not_applicable"
        try:
            planned = self.planning.plan(
                notice, occurred_at=occurred_at, correlation_id=correlation_id, reminder=reminder
            )
        except MemberErased:
            return "member_erased_before"
        return "planned" if planned.is_new else "already_planned"

    def _applies(self, notice: Notice) -> bool:
        """An overdue loan may have been returned by the time its event comes."""
        loan_id, due_date = notice.data.get("loan_id"), notice.data.get("due_date")
        if notice.kind is not Kind.LOAN_OVERDUE or not loan_id or not due_date:
            return True
        return self.loans.still_out(loan_id, due_date)

    def _reminder(self, event: IncomingEvent, occurred_at: datetime) -> Reminder | None:
        loan_id, due_date = event.data.get("loan_id"), event.data.get("due_date")
        if event.type not in DUE_DATE_EVENTS or not isinstance(loan_id, str) or not isinstance(due_date, str):
            return None
        data = {name: value for name in ("title", "due_date", "book_id", "loan_id") if (value := event.data.get(name))}
        return first_reminder(event.user_id, loan_id, due_date, data, since=occurred_at, schedule=self.schedule)

    def _erase(self, user_id: str) -> str:
        # First, so that no device is registered meanwhile.
        self.plans.close(user_id, self.clock.now())
        for device in self.devices.devices(user_id):
            # At the push service first: once it is not stored here any more, nobody would remove it there.
            self.push.forget(device.endpoint)
            self.devices.forget(user_id, device.endpoint)
        self.plans.erase(user_id)
        return "member_erased"


def _check_timestamps(data: Mapping[str, Any]) -> None:
    """Raises ValueError or OverflowError for a timestamp that cannot be written in a message."""
    for name in TIMESTAMP_FIELDS:
        if (value := data.get(name)) is not None:
            _timestamp(value)


def _timestamp(value: object) -> datetime:
    timestamp = from_rfc3339(value if isinstance(value, str) else "")
    if timestamp.year not in _YEARS:
        raise ValueError("year out of range")
    return timestamp
