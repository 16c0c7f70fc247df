"""The query strings and reports of the analytics API.

Shares and averages are rounded half to even; null where there is nothing to divide.
"""

import re
from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from analytics_service.domain.days import (
    DEFAULT_SPAN_DAYS,
    LONGEST_SPAN_BY_HOUR_DAYS,
    LONGEST_SPAN_DAYS,
    Granularity,
)

_NEW_MEMBERS = "Members who joined, without librarians and administrators."

# -- queries ---------------------------------------------------------------------------------------


def _plain_day(value: object) -> object:
    # pydantic would read digits as seconds since 1970.
    if not (isinstance(value, str) and re.fullmatch(r"(19|20|21)\d\d-\d\d-\d\d", value, re.ASCII)):
        raise ValueError("must be a day like 2026-11-21")
    return value


type Day = Annotated[date, BeforeValidator(_plain_day)]


class Format(StrEnum):
    """The format of a report."""

    JSON = "json"
    CSV = "csv"


class FormatQuery(BaseModel):
    """The parameters of every report. Unknown ones are refused."""

    model_config = ConfigDict(extra="forbid")

    format: Annotated[
        Format | None, Field(description="`json` by default. It takes precedence over the header Accept.")
    ] = None


class PeriodQuery(FormatQuery):
    """Days of the library, both included; by default the last thirty. At most 731."""

    from_: Annotated[
        Day | None,
        Field(
            alias="from",
            description=f"The first day, of the library's time zone; {DEFAULT_SPAN_DAYS} days up to `to` by default. "
            f"A period has at most {LONGEST_SPAN_DAYS} days.",
        ),
    ] = None
    to: Annotated[Day | None, Field(description="The last day, included; today by default.")] = None


class TrendQuery(PeriodQuery):
    """The period, and the length of its points. Hours for at most 31 days."""

    granularity: Annotated[
        Granularity,
        Field(
            description="What a point is: an hour (loans only, at most "
            f"{LONGEST_SPAN_BY_HOUR_DAYS} days), a day, a week from Monday (ISO 8601), or a month."
        ),
    ] = Granularity.DAY


class RankedQuery(PeriodQuery):
    """The period, and the length of the list."""

    limit: Annotated[int, Field(ge=1, le=100, description="How many titles are listed.")] = 20


# -- reports ---------------------------------------------------------------------------------------


class Report(BaseModel):
    """A report about a period: days of the library, both included."""

    from_day: date
    to_day: date


class Title(BaseModel):
    """A title in a list. `title` and `author` are empty and `genre` is `unknown` while no event has described it and
    the catalogue does not answer.
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
    """The current day so far."""

    date: date
    loans: int
    returns: int
    renewals: int
    late_returns: int
    active_members: Annotated[int, Field(description="Different members who borrowed, renewed or returned.")]
    new_members: Annotated[int, Field(description=_NEW_MEMBERS)]


class Dashboard(BaseModel):
    """The library now."""

    as_of: Annotated[str, Field(description="When this was read. Events of the last two seconds may be missing.")]
    today: Today
    open_loans: Annotated[int, Field(description="Open loans, overdue or not.")]
    overdue_loans: Annotated[int, Field(description="Open loans that were due on an earlier day.")]
    due_today: Annotated[int, Field(description="Open loans that are due today.")]
    holds_waiting: Annotated[int, Field(description="Holds that are waiting for a copy.")]
    top_titles: Annotated[list[Title], Field(description="The titles lent most often in the last seven days.")]
    last_14_days: list[DayOfLoans]


class Point(BaseModel):
    """A point of a trend. Points of an hour have loans only; the other values are null."""

    start: Annotated[str, Field(description="The first day of the point, or the hour as `2026-11-21T14`.")]
    loans: int
    returns: int | None
    renewals: int | None
    late_returns: Annotated[int | None, Field(description="Returns after the due day.")]
    active_members: Annotated[
        int | None,
        Field(
            description="Different members who borrowed, renewed or returned. Only for days and whole months; null for "
            "weeks and parts of a month, which have `member_days` only."
        ),
    ]
    member_days: Annotated[
        int | None,
        Field(description="Active members by day, added up: a member who came on two days counts twice."),
    ]
    new_members: Annotated[int | None, Field(description=_NEW_MEMBERS)]


class Trend(Report):
    """Points without gaps, and the sums of the whole period."""

    granularity: Granularity
    loans: int
    returns: int
    renewals: int
    by_role: Annotated[dict[str, int], Field(description="Loans by the role that the member had then.")]
    points: list[Point]


class PopularTitles(Report):
    items: list[Title]


class Genre(BaseModel):
    genre: str
    loans: int
    share: Annotated[float | None, Field(description="Share of all loans of the period, from 0 to 1.")]
    returns: int
    renewals: int
    late_returns: int
    late_share: Annotated[float | None, Field(description="Share of the genre's returns, from 0 to 1.")]


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
    """The whole months that the period touches."""

    user_id: str
    loans: int
    returns: int
    renewals: int
    late_returns: int
    on_time_share: float | None
    months: list[MonthOfMember]


class StoredMonth(MonthOfMember):
    """All that is stored of a month. days: how many loans, renewals and returns on which day of the month."""

    days: dict[str, int]


class MemberHistory(BaseModel):
    """The months in which a member did something, oldest first."""

    user_id: str
    months: list[StoredMonth]


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
    """Returns after their due day. by_weekday: of the due day. late_share of a genre: share of its returns."""

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
    """Loans in the period per copy that exists now."""

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
    by_loans: Annotated[dict[str, int], Field(description="Active members by their number of loans.")]


class Engagement(Report):
    """The whole months that the period touches, from from_month to to_month. from_day and to_day are their first and
    last day.
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
    """`waiting` is now; placed, filled, expired and cancelled are of the period."""

    waiting: int
    placed: int
    filled: int
    expired: int
    cancelled: int
    items: list[Pressure]
