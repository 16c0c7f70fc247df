"""When members are reminded of a loan: some days before it is due, and some days after, at nine in the morning.

A reminder is of a loan and of one due date. A renewal changes the due date, and the reminders of the old one find
that out when their time comes; nothing has to be called off, in whatever order events arrive.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from notifications_service.domain.kinds import Kind

AT = time(9)


@dataclass(frozen=True)
class Rhythm:
    """due_soon_days: how many days before the due date; 0 for never. overdue_days: how many days after it."""

    due_soon_days: int
    overdue_days: tuple[int, ...]
    zone: ZoneInfo


@dataclass(frozen=True)
class Reminder:
    """A reminder to come. pointless_from: when the next one takes its place, should this one be so late."""

    user_id: str
    kind: Kind
    loan_id: str
    due_date: str
    days: int
    fire_at: datetime
    pointless_from: datetime | None
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        return identity_of_reminder(self.kind, self.loan_id, self.due_date, self.days)


def identity_of_reminder(kind: Kind, loan_id: str, due_date: str, days: int) -> str:
    """What makes two reminders the same."""
    return f"{kind.value}/{loan_id}/{due_date}/{days}"


def reminders_of(
    user_id: str, loan_id: str, due_date: str, data: Mapping[str, Any], *, since: datetime, rhythm: Rhythm
) -> list[Reminder]:
    """The reminders of a loan that has had this due date `since` then. Raises ValueError for a bad date."""
    due = datetime.fromisoformat(due_date)
    if due.tzinfo is None:
        raise ValueError("a due date without a zone")
    moments: list[tuple[Kind, int, datetime, datetime | None]] = []
    if rhythm.due_soon_days > 0:
        soon = _morning(due, -rhythm.due_soon_days, rhythm.zone)
        # Whoever borrows for a shorter time has just been told the date.
        if soon > since:
            moments.append((Kind.LOAN_DUE_SOON, rhythm.due_soon_days, soon, due.astimezone(UTC)))
    days = sorted({day for day in rhythm.overdue_days if day > 0})
    mornings = [_morning(due, day, rhythm.zone) for day in days]
    # The last one is never pointless: there is none to take its place.
    for day, morning, following in zip(days, mornings, [*mornings[1:], None], strict=True):
        moments.append((Kind.LOAN_OVERDUE, day, morning, following))
    return [
        Reminder(user_id, kind, loan_id, due_date, day, at, pointless_from, data)
        for kind, day, at, pointless_from in moments
    ]


def _morning(due: datetime, days: int, zone: ZoneInfo) -> datetime:
    date = due.astimezone(zone).date() + timedelta(days=days)
    return datetime.combine(date, AT, tzinfo=zone).astimezone(UTC)
