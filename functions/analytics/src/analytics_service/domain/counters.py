"""The counters, and the names of the measures they count."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

type Measures = Mapping[str, int]


class Kind(StrEnum):
    """The kinds of counters. For each: what `period` and `of` of its keys are."""

    DAY = "day"
    """a day: everything that happened on it."""
    MONTH = "month"
    """a month: how many members were active, and how much."""
    GENRE_DAY = "genre_day"
    """a day and a genre."""
    GENRE_MONTH = "genre_month"
    """a month and a genre."""
    TITLE_DAY = "title_day"
    """a day and a title's id."""
    TITLE_MONTH = "title_month"
    """a month and a title's id."""
    DUE = "due"
    """a day: open loans that are due on it. Those of past days are overdue, without any event."""
    HOLDINGS = "holdings"
    """no period and a genre: titles and copies now."""
    WAITING = "waiting"
    """no period and a title's id: waiting holds now."""
    NOW = "now"
    """neither: sums of everything now."""


@dataclass(frozen=True, order=True)
class CounterKey:
    """Names one counter."""

    kind: Kind
    period: str = ""
    of: str = ""


# Short, because every addition is charged for the counter's whole item.
LOANS = "loans"
RETURNS = "returns"
RENEWALS = "renewals"
LATE = "late"
OVERDUE_DAYS = "overdue_days"
LOST = "lost"
ACTIVE = "active"
OPEN = "open"
TITLES = "titles"
COPIES = "copies"
WAITING = "waiting"

BANDS = ((1, 1), (2, 3), (4, 9), (10, None))
"""Ranges of loans of a member in a month. Members with only returns or renewals are counted as 0 loans."""
LENGTHS = ((1, 3), (4, 7), (8, 14), (15, 30), (31, None))
"""Ranges of days that a return is late."""


def at_hour(hour: int) -> str:
    return f"h{hour:02d}"


def by_role(role: str) -> str:
    return f"r_{role}"


def new_members(role: str) -> str:
    return f"new_{role}"


def late_by_role(role: str) -> str:
    return f"lr_{role}"


def late_by_weekday(weekday: int) -> str:
    """Monday is 0."""
    return f"lw{weekday}"


def late_by_length(days: int) -> str:
    """`days`: one or more."""
    return next(f"ll{low}" for low, high in LENGTHS if high is None or days <= high)


def in_band(loans: int) -> str:
    if loans < 1:
        return "b0"
    return next(f"b{low}" for low, high in BANDS if high is None or loans <= high)


def holds(step: str) -> str:
    return f"holds_{step}"


def on_day(number: int) -> str:
    """What a member did on a day of the month: loans, renewals and returns."""
    return f"d{number:02d}"
