"""The HTTP API of analytics: translation only."""

import re
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from typing import Annotated

from fastapi import Header, Query, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from analytics_service import bootstrap
from analytics_service.application import views as v
from analytics_service.application.reporting import DEFAULT_DAYS, Reporting
from analytics_service.application.tables import table
from analytics_service.domain import errors
from analytics_service.domain.days import LONGEST_SPAN_BY_HOUR_DAYS, LONGEST_SPAN_DAYS, Granularity, Span
from library_common.access import Access
from library_common.http import ServiceApi
from library_common.ids import is_id

DESCRIPTION = "Statistics of the library, as JSON or CSV. They follow what happens within seconds and change nothing."
PROBLEMS: dict[type[Exception], int] = {
    errors.InvalidPeriod: 422,
    errors.PeriodTooBusy: 422,
    errors.MemberNotFound: 404,
}

CSV = "text/csv"
_STAFF = Access(librarian=True)
_REFUSALS = (errors.InvalidPeriod, errors.PeriodTooBusy)


def _plain_day(value: object) -> object:
    # Numbers in a string would be taken for seconds since 1970. Years are those a library can have.
    if not (isinstance(value, str) and re.fullmatch(r"(19|20|21)\d\d-\d\d-\d\d", value, re.ASCII)):
        raise ValueError("must be a day like 2026-11-21")
    return value


type Day = Annotated[date, BeforeValidator(_plain_day)]


class Format(StrEnum):
    """How a report is answered."""

    JSON = "json"
    CSV = "csv"


class FormatQuery(BaseModel):
    """Base of every report's query string: unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid")

    format: Annotated[
        Format | None, Field(description="`json` unless told otherwise here or, which counts less, by Accept.")
    ] = None


class PeriodQuery(FormatQuery):
    """Days of the library, both included; the last thirty days unless told otherwise. At most 731."""

    from_: Annotated[
        Day | None,
        Field(
            alias="from",
            description=f"The first day, of the library's time zone; {DEFAULT_DAYS} days up to `to` by default. "
            f"A period has at most {LONGEST_SPAN_DAYS} days.",
        ),
    ] = None
    to: Annotated[Day | None, Field(description="The last day, included; today by default.")] = None


class TrendQuery(PeriodQuery):
    """How fine the points are. By the hour for at most 31 days."""

    granularity: Annotated[
        Granularity,
        Field(
            description="What a point is: an hour (loans only, at most "
            f"{LONGEST_SPAN_BY_HOUR_DAYS} days), a day, a week from Monday (ISO 8601), or a month."
        ),
    ] = Granularity.DAY


class RankedQuery(PeriodQuery):
    """How many, at most."""

    limit: Annotated[int, Field(ge=1, le=100, description="Titles listed, the first ones of all.")] = 20


Accept = Annotated[str | None, Header(include_in_schema=False)]


def build(reporting: Callable[[], Reporting]) -> ServiceApi:
    """The API. `reporting` is called per request, not before the first."""
    api = ServiceApi(name="analytics", title="Smart Library: analytics", description=DESCRIPTION, problems=PROBLEMS)
    api.publish_openapi("/api/analytics/openapi.json")

    def span(query: PeriodQuery) -> Span:
        return reporting().span(query.from_, query.to)

    @api.get("/api/analytics/dashboard", access=_STAFF, raises=[errors.PeriodTooBusy], text_media_type=CSV)
    def dashboard(query: Annotated[FormatQuery, Query()], accept: Accept = None) -> v.Dashboard:
        """How the library is doing right now."""
        return _as_asked("dashboard", reporting().dashboard(), query, accept)

    @api.get("/api/analytics/borrowing-trends", access=_STAFF, raises=_REFUSALS, text_media_type=CSV)
    def borrowing_trends(query: Annotated[TrendQuery, Query()], accept: Accept = None) -> v.Trend:
        """Loans, returns and renewals over time, without gaps."""
        return _as_asked("borrowing-trends", reporting().trend(span(query), query.granularity), query, accept)

    @api.get("/api/analytics/popular-books", access=_STAFF, raises=_REFUSALS, text_media_type=CSV)
    def popular_books(query: Annotated[RankedQuery, Query()], accept: Accept = None) -> v.PopularTitles:
        """The titles lent most often."""
        return _as_asked("popular-books", reporting().popular_titles(span(query), query.limit), query, accept)

    @api.get("/api/analytics/genres", access=_STAFF, raises=_REFUSALS, text_media_type=CSV)
    def genres(query: Annotated[PeriodQuery, Query()], accept: Accept = None) -> v.Genres:
        """Loans by genre."""
        return _as_asked("genres", reporting().genres(span(query)), query, accept)

    @api.get(
        "/api/analytics/member-activity/{user_id}",
        access=Access(member=True, own="path:user_id", librarian=True),
        raises=[errors.InvalidPeriod, errors.MemberNotFound],
        text_media_type=CSV,
    )
    def member_activity(
        user_id: str, query: Annotated[PeriodQuery, Query()], accept: Accept = None
    ) -> v.MemberActivity:
        """What a member borrowed, month by month. Nothing, for a member of whom nothing is known."""
        if not is_id(user_id):
            raise errors.MemberNotFound
        return _as_asked("member-activity", reporting().member_activity(user_id, span(query)), query, accept)

    @api.get("/api/analytics/export/{user_id}", access=Access(scope="analytics:read"), raises=[errors.MemberNotFound])
    def export_member(user_id: str) -> v.MemberHistory:
        """Every month that statistics keep of a member, for the archive of the member's data."""
        if not is_id(user_id):
            raise errors.MemberNotFound
        return reporting().member_history(user_id)

    @api.get("/api/analytics/overdue-patterns", access=_STAFF, raises=_REFUSALS, text_media_type=CSV)
    def overdue_patterns(query: Annotated[PeriodQuery, Query()], accept: Accept = None) -> v.OverduePatterns:
        """Who returns late, what, and how late."""
        return _as_asked("overdue-patterns", reporting().overdue_patterns(span(query)), query, accept)

    @api.get("/api/analytics/collection-turnover", access=_STAFF, raises=_REFUSALS, text_media_type=CSV)
    def collection_turnover(query: Annotated[PeriodQuery, Query()], accept: Accept = None) -> v.CollectionTurnover:
        """How often the copies of each genre are lent."""
        return _as_asked("collection-turnover", reporting().turnover(span(query)), query, accept)

    @api.get("/api/analytics/engagement", access=_STAFF, raises=_REFUSALS, text_media_type=CSV)
    def engagement(query: Annotated[PeriodQuery, Query()], accept: Accept = None) -> v.Engagement:
        """How many members use the library, and how much, month by month."""
        return _as_asked("engagement", reporting().engagement(span(query)), query, accept)

    @api.get("/api/analytics/holds-pressure", access=_STAFF, raises=_REFUSALS, text_media_type=CSV)
    def holds_pressure(query: Annotated[RankedQuery, Query()], accept: Accept = None) -> v.HoldsPressure:
        """Which titles are waited for most."""
        return _as_asked("holds-pressure", reporting().holds_pressure(span(query), query.limit), query, accept)

    return api


def _as_asked[R: BaseModel](name: str, report: R, query: FormatQuery, accept: str | None) -> R:
    """The report, or a response with the same as a table. `format` wins over Accept; JSON wins a tie."""
    chosen = query.format or (Format.CSV if _prefers_csv(accept) else Format.JSON)
    if chosen is Format.JSON:
        return report
    # Without the mark spreadsheets take UTF-8 for something else.
    answer: object = Response(
        f"\ufeff{table(report)}",
        media_type=f"{CSV}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}-{_days(report)}.csv"'},
    )
    return answer  # type: ignore[return-value]  # FastAPI passes a response on as it is


def _days(report: BaseModel) -> str:
    """What a report is about, for the name of a file. Nothing in it is anybody's choice of text."""
    if isinstance(report, v.Report):
        return f"{report.from_day}-{report.to_day}"
    return str(report.today.date) if isinstance(report, v.Dashboard) else "all"


def _prefers_csv(accept: str | None) -> bool:
    return _quality(accept, CSV) > max(_quality(accept, "application/json"), _quality(accept, "*/*"))


def _quality(accept: str | None, media_type: str) -> float:
    """How much a media type is wanted by name; 0 where it is not named."""
    for part in (accept or "").split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name == media_type:
            stated = next((p.removeprefix("q=") for p in parameters if p.startswith("q=")), "1")
            return float(stated) if re.fullmatch(r"[01](\.\d{0,3})?", stated, re.ASCII) else 1.0
    return 0.0


api = build(bootstrap.reporting)
handler = api
