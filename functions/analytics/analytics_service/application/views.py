"""Reports as the API answers them.

Shares and averages are rounded half to even; null where there is nothing to divide.
"""

from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from pydantic import BaseModel

from analytics_service.domain.days import Granularity


def ratio(part: int, whole: int, places: int = 4) -> float | None:
    """`part / whole`, rounded in decimals. The nearest float to it prints as those decimals."""
    if whole <= 0:
        return None
    return float((Decimal(part) / Decimal(whole)).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN))


class Report(BaseModel):
    """Base of the reports about a period: days of the library, both included."""

    from_day: date
    to_day: date


class Title(BaseModel):
    """A title among others. Title and author are empty while nothing is known of it but its loans."""

    rank: int
    book_id: str
    title: str
    author: str
    genre: str
    loans: int
    renewals: int


class DayOfLoans(BaseModel):
    date: date
    loans: int
    returns: int


class Today(BaseModel):
    """The library's day so far."""

    date: date
    loans: int
    returns: int
    renewals: int
    late_returns: int
    active_members: int
    new_members: int


class Dashboard(BaseModel):
    """How the library is doing. as_of: when this was read; what happened within the last two seconds may be missing."""

    as_of: str
    today: Today
    open_loans: int
    overdue_loans: int
    due_today: int
    holds_waiting: int
    top_titles: list[Title]
    last_14_days: list[DayOfLoans]


class Point(BaseModel):
    """start: the first day of the point, or the hour as `2026-11-21T14`. By the hour only loans are counted."""

    start: str
    loans: int
    returns: int | None
    renewals: int | None
    late_returns: int | None
    active_members: int | None
    new_members: int | None


class Trend(Report):
    """Points without gaps. active_members of a week: members by day, added up; of a month: each member once."""

    granularity: Granularity
    loans: int
    returns: int
    renewals: int
    by_role: dict[str, int]
    points: list[Point]


class PopularTitles(Report):
    items: list[Title]


class Genre(BaseModel):
    genre: str
    loans: int
    share: float | None
    returns: int
    renewals: int
    late_returns: int
    late_share: float | None


class Genres(Report):
    """Share: of all loans. The genre is the one the title had when it was lent; `unknown` if it had none."""

    loans: int
    items: list[Genre]


class MonthOfMember(BaseModel):
    month: str
    loans: int
    returns: int
    renewals: int
    late_returns: int


class MemberActivity(Report):
    """Whole months: those that the period touches."""

    user_id: str
    loans: int
    returns: int
    renewals: int
    late_returns: int
    on_time_share: float | None
    months: list[MonthOfMember]


class KeptMonth(MonthOfMember):
    """All that is kept. days: on which days of the month the member did something, and how often."""

    days: dict[str, int]


class MemberHistory(BaseModel):
    """The months in which a member did something, oldest first."""

    user_id: str
    months: list[KeptMonth]


class LateOnWeekday(BaseModel):
    weekday: str
    late_returns: int
    share: float | None


class LateByLength(BaseModel):
    days_late: str
    late_returns: int
    share: float | None
    overdue_now: int


class LateByRole(BaseModel):
    role: str
    late_returns: int
    share: float | None


class LateByGenre(BaseModel):
    genre: str
    late_returns: int
    late_share: float | None


class OverduePatterns(Report):
    """Returns later than the day they were due. by_weekday: of the day due. late_share of a genre: of its returns."""

    returns: int
    late_returns: int
    late_share: float | None
    average_days_late: float | None
    overdue_now: int
    by_weekday: list[LateOnWeekday]
    by_length: list[LateByLength]
    by_role: list[LateByRole]
    by_genre: list[LateByGenre]


class Turnover(BaseModel):
    genre: str
    titles: int
    copies: int
    loans: int
    loans_per_copy: float | None


class CollectionTurnover(Report):
    """Loans in the period for each copy there is now."""

    titles: int
    copies: int
    loans: int
    loans_per_copy: float | None
    items: list[Turnover]


class MonthOfEngagement(BaseModel):
    """active_members did anything in the month; by_loans: how many of them had so many loans in it."""

    month: str
    active_members: int
    new_members: int
    loans: int
    loans_per_active_member: float | None
    by_loans: dict[str, int]


class Engagement(Report):
    """Whole months: those that the period touches."""

    months: list[MonthOfEngagement]


class Pressure(BaseModel):
    book_id: str
    title: str
    author: str
    waiting: int
    copies: int
    waiting_per_copy: float | None


class HoldsPressure(Report):
    """Waiting is now; placed, filled, expired and cancelled are of the period."""

    waiting: int
    placed: int
    filled: int
    expired: int
    cancelled: int
    items: list[Pressure]
