"""Reports as the API answers them.

Shares and averages are rounded half to even; null where there is nothing to divide.
"""

from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated

from pydantic import BaseModel, Field

from analytics_service.domain.days import Granularity

_NEW_MEMBERS = "Who joined, without librarians and administrators."


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
    """A title among others. Title and author are empty, and the genre `unknown`, while nothing is known of it but its
    loans and the catalogue, which is asked then, does not answer.
    """

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
    active_members: Annotated[int, Field(description="Different members who borrowed, renewed or returned.")]
    new_members: Annotated[int, Field(description=_NEW_MEMBERS)]


class Dashboard(BaseModel):
    """How the library is doing."""

    as_of: Annotated[
        str, Field(description="When this was read; what happened in the last two seconds may be missing.")
    ]
    today: Today
    open_loans: Annotated[int, Field(description="Out now, overdue or not.")]
    overdue_loans: Annotated[int, Field(description="Out now, and due on an earlier day.")]
    due_today: Annotated[int, Field(description="Out now, and due today.")]
    holds_waiting: Annotated[int, Field(description="Holds that wait for a copy now.")]
    top_titles: Annotated[list[Title], Field(description="The titles lent most often in the last seven days.")]
    last_14_days: list[DayOfLoans]


class Point(BaseModel):
    """By the hour only loans are counted; the other figures are null."""

    start: Annotated[str, Field(description="The first day of the point, or the hour as `2026-11-21T14`.")]
    loans: int
    returns: int | None
    renewals: int | None
    late_returns: Annotated[int | None, Field(description="Returns on a later day than the day due.")]
    active_members: Annotated[
        int | None,
        Field(
            description="Different members who borrowed, renewed or returned. Known of a day and of a whole month; "
            "null of a week and of a part of a month, where only `member_days` are."
        ),
    ]
    member_days: Annotated[
        int | None, Field(description="Members by day, added up: who came on two days is counted twice.")
    ]
    new_members: Annotated[int | None, Field(description=_NEW_MEMBERS)]


class Trend(Report):
    """Points without gaps; the figures beside them are of the whole period."""

    granularity: Granularity
    loans: int
    returns: int
    renewals: int
    by_role: Annotated[dict[str, int], Field(description="Loans by what their members were then.")]
    points: list[Point]


class PopularTitles(Report):
    items: list[Title]


class Genre(BaseModel):
    genre: str
    loans: int
    share: Annotated[float | None, Field(description="Of all loans of the period, from 0 to 1.")]
    returns: int
    renewals: int
    late_returns: int
    late_share: Annotated[float | None, Field(description="Of the genre's returns, from 0 to 1.")]


class Genres(Report):
    """The genre is the one the title had when it was lent; `unknown` if it had none."""

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
    """A month of the library, so far if it is not over."""

    month: str
    active_members: Annotated[int, Field(description="Different members who borrowed, renewed or returned.")]
    new_members: Annotated[int, Field(description=_NEW_MEMBERS)]
    loans: int
    loans_per_active_member: float | None
    by_loans: Annotated[dict[str, int], Field(description="How many of the active members had so many loans.")]


class Engagement(Report):
    """Whole months, from from_month to to_month: those that the period asked for touches. from_day and to_day are their
    first and last day.
    """

    from_month: str
    to_month: str
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
