"""Library days: the day, hour, week and month of a timestamp, and spans of days."""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache
from zoneinfo import ZoneInfo

DEFAULT_SPAN_DAYS = 30
LONGEST_SPAN_DAYS = 731
"""Two years, one of them a leap year."""
LONGEST_SPAN_BY_HOUR_DAYS = 31


class Granularity(StrEnum):
    """How fine the points of a trend are. Weeks are those of ISO 8601 and begin on Monday."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True)
class Calendar:
    """Days and hours in the library's time zone."""

    zone: ZoneInfo

    def day(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()

    def hour(self, moment: datetime) -> int:
        return moment.astimezone(self.zone).hour


@cache
def calendar_of(zone: str) -> Calendar:
    """Raises ZoneInfoNotFoundError for an unknown time zone."""
    return Calendar(ZoneInfo(zone))


@dataclass(frozen=True)
class Span:
    """Days from `first` to `last`, both included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise ValueError("the span ends before it begins")

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def each_day(self) -> Iterator[date]:
        for number in range(self.days):
            yield self.first + timedelta(days=number)

    def months(self) -> list[str]:
        """Every month the span touches, as `2026-11`."""
        found = []
        year, month = self.first.year, self.first.month
        while (year, month) <= (self.last.year, self.last.month):
            found.append(f"{year:04d}-{month:02d}")
            year, month = (year + 1, 1) if month == 12 else (year, month + 1)
        return found

    def in_whole_months(self) -> tuple[list[str], list["Span"]]:
        """The whole months in the span, and the remaining days at its edges: a long span needs few counters."""
        whole: list[str] = []
        edges: list[Span] = []
        for month in self.months():
            of_month = span_of(month)
            inside = Span(max(self.first, of_month.first), min(self.last, of_month.last))
            if inside == of_month:
                whole.append(month)
            else:
                edges.append(inside)
        return whole, edges


def month_of(day: date) -> str:
    return f"{day.year:04d}-{day.month:02d}"


def span_of(month: str) -> Span:
    """All days of a month."""
    year, number = int(month[:4]), int(month[5:])
    return Span(date(year, number, 1), date(year, number, calendar.monthrange(year, number)[1]))


def point_of(day: date, granularity: Granularity) -> date:
    """The first day of the point of a trend that a day belongs to."""
    match granularity:
        case Granularity.WEEK:
            return day - timedelta(days=day.weekday())
        case Granularity.MONTH:
            return day.replace(day=1)
        case _:
            return day
