"""When members are reminded of a loan: some days before it is due, and some days after, at nine in the morning.

A reminder belongs to a loan and one due date. A renewal changes the due date; the reminder of the old one notices when
its time comes, so nothing has to be cancelled and events may arrive in any order. Only the next reminder is kept: each
makes the one after it, because most books are back before the second.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from notifications_service.domain.kinds import Kind

AT = time(9)


@dataclass(frozen=True)
class ReminderSchedule:
    """due_soon_days: how many days before the due date; 0 for never. overdue_days: how many days after it."""

    due_soon_days: int
    overdue_days: tuple[int, ...]
    zone: ZoneInfo


@dataclass(frozen=True)
class Reminder:
    """A reminder to come. kind: as stored, see `kinds`. pointless_from: from then on the next reminder replaces it."""

    user_id: str
    kind: str
    loan_id: str
    due_date: str
    days: int
    fire_at: datetime
    pointless_from: datetime | None
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        return identity_of_reminder(self.kind, self.loan_id, self.due_date, self.days)


def identity_of_reminder(kind: str, loan_id: str, due_date: str, days: int) -> str:
    """What makes two reminders the same."""
    return f"{kind}/{loan_id}/{due_date}/{days}"


def first_reminder(
    user_id: str, loan_id: str, due_date: str, data: Mapping[str, Any], *, since: datetime, schedule: ReminderSchedule
) -> Reminder | None:
    """The first reminder of a loan that has had this due date since `since`. Raises ValueError for a bad date."""
    return next(iter(_reminders(user_id, loan_id, due_date, data, since, schedule)), None)


def reminder_after(reminder: Reminder, now: datetime, schedule: ReminderSchedule) -> Reminder | None:
    """The next reminder that is not pointless yet."""
    all_of_them = _reminders(
        reminder.user_id, reminder.loan_id, reminder.due_date, reminder.data, reminder.fire_at, schedule
    )
    for later in all_of_them:
        in_time = later.pointless_from is None or now < later.pointless_from
        if later.fire_at > reminder.fire_at and in_time:
            return later
    return None


def _reminders(
    user_id: str, loan_id: str, due_date: str, data: Mapping[str, Any], since: datetime, schedule: ReminderSchedule
) -> list[Reminder]:
    due = datetime.fromisoformat(due_date)
    if due.tzinfo is None:
        raise ValueError("a due date without a zone")
    moments: list[tuple[Kind, int, datetime, datetime | None]] = []
    if schedule.due_soon_days > 0:
        soon = _morning(due, -schedule.due_soon_days, schedule.zone)
        # On a shorter loan the member has just read the date.
        if soon > since:
            moments.append((Kind.LOAN_DUE_SOON, schedule.due_soon_days, soon, due.astimezone(UTC)))
    days = sorted({day for day in schedule.overdue_days if day > 0})
    mornings = [_morning(due, day, schedule.zone) for day in days]
    # The last one is never pointless: nothing replaces it.
    for day, morning, following in zip(days, mornings, [*mornings[1:], None], strict=True):
        moments.append((Kind.LOAN_OVERDUE, day, morning, following))
    return [
        Reminder(user_id, kind, loan_id, due_date, day, at, pointless_from, data)
        for kind, day, at, pointless_from in moments
    ]


def _morning(due: datetime, days: int, zone: ZoneInfo) -> datetime:
    date = due.astimezone(zone).date() + timedelta(days=days)
    return datetime.combine(date, AT, tzinfo=zone).astimezone(UTC)
