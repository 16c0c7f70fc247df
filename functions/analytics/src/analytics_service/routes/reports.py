"""The reports, as JSON or CSV."""

import re
from collections.abc import Callable
from typing import Annotated

from fastapi import Header, Query, Response
from pydantic import BaseModel

from analytics_service import schemas as s
from analytics_service.application.csv_export import to_csv
from analytics_service.application.reports import Reports
from analytics_service.domain import errors
from analytics_service.domain.days import Span
from library_common.access import Access
from library_common.http import ServiceApi
from library_common.ids import is_id

CSV = "text/csv"
_STAFF = Access(librarian=True)
_REFUSALS = (errors.InvalidPeriod, errors.PeriodTooBusy)

Accept = Annotated[str | None, Header(include_in_schema=False)]


def declare(api: ServiceApi, provide: Callable[[], Reports]) -> None:
    """The routes on the reports that `provide` returns."""

    def span(query: s.PeriodQuery) -> Span:
        return provide().span(query.from_, query.to)

    @api.get("/api/analytics/dashboard", access=_STAFF, raises=[errors.PeriodTooBusy], text_media_type=CSV)
    def dashboard(query: Annotated[s.FormatQuery, Query()], accept: Accept = None) -> s.Dashboard:
        """The library now: today, open and overdue loans, top titles."""
        return _as_asked("dashboard", provide().dashboard(), query, accept)

    @api.get("/api/analytics/borrowing-trends", access=_STAFF, raises=_REFUSALS, text_media_type=CSV)
    def borrowing_trends(query: Annotated[s.TrendQuery, Query()], accept: Accept = None) -> s.Trend:
        """Loans, returns and renewals over time, without gaps."""
        return _as_asked("borrowing-trends", provide().trend(span(query), query.granularity), query, accept)

    @api.get("/api/analytics/popular-books", access=_STAFF, raises=_REFUSALS, text_media_type=CSV)
    def popular_books(query: Annotated[s.RankedQuery, Query()], accept: Accept = None) -> s.PopularTitles:
        """The titles lent most often."""
        return _as_asked("popular-books", provide().popular_titles(span(query), query.limit), query, accept)

    @api.get("/api/analytics/genres", access=_STAFF, raises=_REFUSALS, text_media_type=CSV)
    def genres(query: Annotated[s.PeriodQuery, Query()], accept: Accept = None) -> s.Genres:
        """Loans by genre."""
        return _as_asked("genres", provide().genres(span(query)), query, accept)

    @api.get(
        "/api/analytics/member-activity/{user_id}",
        access=Access(member=True, own="path:user_id", librarian=True),
        raises=[errors.InvalidPeriod, errors.MemberNotFound],
        text_media_type=CSV,
    )
    def member_activity(
        user_id: str, query: Annotated[s.PeriodQuery, Query()], accept: Accept = None
    ) -> s.MemberActivity:
        """What a member borrowed, month by month. Empty for a member without loans."""
        if not is_id(user_id):
            raise errors.MemberNotFound
        return _as_asked("member-activity", provide().member_activity(user_id, span(query)), query, accept)

    @api.get("/api/analytics/export/{user_id}", access=Access(scope="analytics:read"), raises=[errors.MemberNotFound])
    def export_member(user_id: str) -> s.MemberHistory:
        """Every month that is stored of a member, for the export of the member's data."""
        if not is_id(user_id):
            raise errors.MemberNotFound
        return provide().member_history(user_id)

    @api.get("/api/analytics/overdue-patterns", access=_STAFF, raises=_REFUSALS, text_media_type=CSV)
    def overdue_patterns(query: Annotated[s.PeriodQuery, Query()], accept: Accept = None) -> s.OverduePatterns:
        """Late returns by weekday, length, role and genre."""
        return _as_asked("overdue-patterns", provide().overdue_patterns(span(query)), query, accept)

    @api.get("/api/analytics/collection-turnover", access=_STAFF, raises=_REFUSALS, text_media_type=CSV)
    def collection_turnover(query: Annotated[s.PeriodQuery, Query()], accept: Accept = None) -> s.CollectionTurnover:
        """How often the copies of each genre are lent."""
        return _as_asked("collection-turnover", provide().turnover(span(query)), query, accept)

    @api.get("/api/analytics/engagement", access=_STAFF, raises=_REFUSALS, text_media_type=CSV)
    def engagement(query: Annotated[s.PeriodQuery, Query()], accept: Accept = None) -> s.Engagement:
        """Active and new members and their loans, month by month."""
        return _as_asked("engagement", provide().engagement(span(query)), query, accept)

    @api.get("/api/analytics/holds-pressure", access=_STAFF, raises=_REFUSALS, text_media_type=CSV)
    def holds_pressure(query: Annotated[s.RankedQuery, Query()], accept: Accept = None) -> s.HoldsPressure:
        """The titles with the most waiting holds."""
        return _as_asked("holds-pressure", provide().holds_pressure(span(query), query.limit), query, accept)


def _as_asked[R: BaseModel](name: str, report: R, query: s.FormatQuery, accept: str | None) -> R:
    """The report, or a response with the report as CSV. `format` takes precedence over Accept."""
    chosen = query.format or (s.Format.CSV if _prefers_csv(accept) else s.Format.JSON)
    if chosen is s.Format.JSON:
        return report
    # Spreadsheets need the byte order mark to read UTF-8.
    answer: object = Response(
        f"\ufeff{to_csv(report)}",
        media_type=f"{CSV}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}-{_days(report)}.csv"'},
    )
    return answer  # type: ignore[return-value]  # FastAPI returns a Response as it is


def _days(report: BaseModel) -> str:
    """The days of a report, for its file name."""
    if isinstance(report, s.Report):
        return f"{report.from_day}-{report.to_day}"
    return str(report.today.date) if isinstance(report, s.Dashboard) else "all"


def _prefers_csv(accept: str | None) -> bool:
    return _quality(accept, CSV) > max(_quality(accept, "application/json"), _quality(accept, "*/*"))


def _quality(accept: str | None, media_type: str) -> float:
    """The quality value of a media type in the header; 0 if it is not named."""
    for part in (accept or "").split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name == media_type:
            stated = next((p.removeprefix("q=") for p in parameters if p.startswith("q=")), "1")
            return float(stated) if re.fullmatch(r"[01](\.\d{0,3})?", stated, re.ASCII) else 1.0
    return 0.0
