"""The reports: what a librarian reads after a small history, by the library's days."""

from datetime import UTC, date, datetime

import pytest

from analytics_service import schemas as v
from analytics_service.application.counter_sums import ratio
from analytics_service.application.csv_export import to_csv
from analytics_service.domain.days import Granularity, Span
from analytics_service.domain.errors import InvalidPeriod
from tests.fakes.analytics import Counting, added, created, event, renewed, returned

pytestmark = pytest.mark.unit

NOVEMBER = Span(date(2026, 11, 1), date(2026, 11, 30))


@pytest.fixture
def counting() -> Counting:
    """Today is 21 November, 15:00 in Nairobi."""
    counting = Counting()
    overdue, later, today = "2026-11-10T20:59:59Z", "2026-12-05T20:59:59Z", "2026-11-21T20:59:59Z"
    counting.apply_events.apply(
        [
            added("B1", 2, title="Middlemarch", author="George Eliot", genre="Novel"),
            added("B2", 1, title="=SUM(A1)", author="Mallory", genre="Poetry"),
            created("L1", "2026-10-27T09:00:00Z", overdue, user="U1", book="B1", genre="Novel"),
            created("L2", "2026-11-21T07:00:00Z", later, user="U1", book="B1", genre="Novel"),
            created("L3", "2026-11-20T07:00:00Z", today, user="U2", book="B1", genre="Novel", role="student"),
            created("L4", "2026-11-02T07:00:00Z", overdue, user="U3", book="B2", genre="Poetry"),
            created("L5", "2026-11-02T07:00:00Z", overdue, user="U3", book="B9"),
            renewed("L3", "2026-11-21T08:00:00Z", today, user="U2", book="B1"),
            returned("L4", "2026-11-21T09:00:00Z", "2026-11-02T07:00:00Z", overdue, user="U3", book="B2"),
            event("MemberRegistered", "2026-11-21T09:00:00Z", user_id="U4", role="patron"),
            event("MemberRegistered", "2026-11-21T09:00:00Z", user_id="U5", role="librarian"),
            event("MemberRegistered", "2026-11-21T09:00:00Z", user_id="U6", role="admin"),
            *(
                event("BookReserved", "2026-11-20T09:00:00Z", reservation_id=hold, user_id="U1", book_id="B1")
                for hold in ("H1", "H2", "H3")
            ),
            event("ReservationReady", "2026-11-21T09:00:00Z", reservation_id="H1", user_id="U1", book_id="B1"),
        ]
    )
    return counting


def test_the_dashboard_is_about_now(counting: Counting) -> None:
    seen = counting.reports.dashboard()

    assert seen.as_of == "2026-11-21T12:00:00Z"
    assert seen.today == v.Today(
        date=date(2026, 11, 21), loans=1, returns=1, renewals=1, late_returns=1, active_members=3, new_members=1
    )
    assert (seen.open_loans, seen.overdue_loans, seen.due_today, seen.holds_waiting) == (4, 2, 1, 2)
    assert [(title.rank, title.book_id, title.title, title.loans) for title in seen.top_titles] == [
        (1, "B1", "Middlemarch", 2)
    ]
    assert [of.date.day for of in seen.last_14_days] == list(range(8, 22))
    assert [of.loans for of in seen.last_14_days][-2:] == [1, 1]


def test_at_midnight_of_the_library_what_was_due_is_overdue_though_nothing_happened(counting: Counting) -> None:
    counting.clock.moment = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)

    seen = counting.reports.dashboard()

    assert (seen.overdue_loans, seen.due_today) == (3, 0)
    assert seen.today.date == date(2026, 11, 22)


def test_a_trend_has_no_gaps(counting: Counting) -> None:
    seen = counting.reports.trend(NOVEMBER, Granularity.DAY)

    assert [point.start for point in seen.points] == [day.isoformat() for day in NOVEMBER.each_day()]
    assert (seen.loans, seen.returns, seen.renewals) == (4, 1, 1)
    assert seen.by_role == {"patron": 3, "student": 1}
    assert sum(point.loans for point in seen.points) == 4


def test_weeks_are_those_of_the_calendar(counting: Counting) -> None:
    seen = counting.reports.trend(Span(date(2026, 10, 27), date(2026, 11, 4)), Granularity.WEEK)

    assert [(point.start, point.loans) for point in seen.points] == [("2026-10-26", 1), ("2026-11-02", 2)]


def test_members_of_a_week_are_days_of_members_and_not_taken_for_members(counting: Counting) -> None:
    week = Span(date(2026, 11, 16), date(2026, 11, 22))
    days = counting.reports.trend(week, Granularity.DAY).points
    (seen,) = counting.reports.trend(week, Granularity.WEEK).points

    assert [(point.active_members, point.member_days) for point in days if point.active_members] == [(1, 1), (3, 3)]
    assert (seen.active_members, seen.member_days) == (None, 4)


def test_a_month_counts_each_member_once_and_a_part_of_one_does_not_guess(counting: Counting) -> None:
    seen = counting.reports.trend(Span(date(2026, 10, 27), date(2026, 11, 30)), Granularity.MONTH)

    assert [(point.start, point.loans, point.active_members) for point in seen.points] == [
        ("2026-10-01", 1, None),
        ("2026-11-01", 4, 3),
    ]


def test_by_the_hour_every_hour_is_there_for_a_month_at_most(counting: Counting) -> None:
    day = date(2026, 11, 21)

    points = counting.reports.trend(Span(day, day), Granularity.HOUR).points

    assert len(points) == 24
    assert [point.start for point in points if point.loans] == ["2026-11-21T10"]
    with pytest.raises(InvalidPeriod):
        counting.reports.trend(Span(date(2026, 10, 1), date(2026, 11, 1)), Granularity.HOUR)


@pytest.mark.parametrize(
    "span",
    [NOVEMBER, Span(date(2026, 11, 2), date(2026, 11, 29)), Span(date(2026, 10, 28), date(2026, 12, 3))],
    ids=["a whole month", "within a month", "across months"],
)
def test_titles_are_ranked_alike_whether_by_months_or_by_days(counting: Counting, span: Span) -> None:
    items = counting.reports.popular_titles(span, 2).items

    assert [(item.rank, item.book_id, item.title, item.loans, item.renewals) for item in items] == [
        (1, "B1", "Middlemarch", 2, 1),
        (2, "B2", "=SUM(A1)", 1, 0),
    ]


def test_genres_have_shares_that_are_no_float_artefacts(counting: Counting) -> None:
    seen = counting.reports.genres(Span(date(2026, 10, 1), date(2026, 11, 30)))

    assert [(item.genre, item.loans, item.share, item.late_share) for item in seen.items] == [
        ("novel", 3, 0.6, None),
        ("poetry", 1, 0.2, 1.0),
        ("unknown", 1, 0.2, None),
    ]
    assert ratio(1, 3) == 0.3333
    assert ratio(1, 8, 2) == 0.12
    assert ratio(3, 8, 2) == 0.38
    assert ratio(1, 0) is None


def test_turnover_is_loans_for_each_copy(counting: Counting) -> None:
    seen = counting.reports.turnover(NOVEMBER)

    assert [(i.genre, i.titles, i.copies, i.loans, i.loans_per_copy) for i in seen.items] == [
        ("novel", 1, 2, 2, 1.0),
        ("poetry", 1, 1, 1, 1.0),
        ("unknown", 0, 0, 1, None),
    ]
    assert (seen.titles, seen.copies, seen.loans, seen.loans_per_copy) == (2, 3, 4, 1.33)


def test_overdue_patterns(counting: Counting) -> None:
    seen = counting.reports.overdue_patterns(NOVEMBER)

    assert (seen.returns, seen.late_returns, seen.late_share, seen.average_days_late) == (1, 1, 1.0, 11.0)
    assert [day.weekday for day in seen.by_weekday if day.late_returns] == ["Tuesday"]
    assert [(of.days_late, of.late_returns, of.overdue_now) for of in seen.by_length] == [
        ("1-3", 0, 0),
        ("4-7", 0, 0),
        ("8-14", 1, 2),
        ("15-30", 0, 0),
        ("31+", 0, 0),
    ]
    assert [(of.role, of.share) for of in seen.by_role] == [("patron", 1.0)]
    assert [(of.genre, of.late_share) for of in seen.by_genre] == [("poetry", 1.0)]
    assert seen.overdue_now == 2


def test_a_member_s_activity_is_theirs_by_month(counting: Counting) -> None:
    seen = counting.reports.member_activity("U3", Span(date(2026, 10, 30), date(2026, 11, 2)))

    assert [(m.month, m.loans, m.returns, m.late_returns) for m in seen.months] == [
        ("2026-10", 0, 0, 0),
        ("2026-11", 2, 1, 1),
    ]
    assert (seen.from_day, seen.to_day) == (date(2026, 10, 1), date(2026, 11, 30))
    assert seen.on_time_share == 0.0
    assert counting.reports.member_activity("NOBODY", NOVEMBER).loans == 0


def test_everything_that_is_kept_of_a_member(counting: Counting) -> None:
    (november,) = counting.reports.member_history("U3").months

    assert (november.month, november.loans, november.returns, november.late_returns) == ("2026-11", 2, 1, 1)
    assert sum(november.days.values()) == 3
    assert counting.reports.member_history("NOBODY").months == []


def test_engagement(counting: Counting) -> None:
    seen = counting.reports.engagement(Span(date(2026, 10, 30), date(2026, 11, 2)))
    (october, november) = seen.months

    assert (seen.from_month, seen.to_month) == ("2026-10", "2026-11")
    assert (seen.from_day, seen.to_day) == (date(2026, 10, 1), date(2026, 11, 30))
    assert (october.active_members, october.loans) == (1, 1)
    assert (november.active_members, november.new_members, november.loans) == (3, 1, 4)
    assert november.loans_per_active_member == 1.33
    assert november.by_loans == {"0": 0, "1": 2, "2-3": 1, "4-9": 0, "10+": 0}


def test_holds_pressure(counting: Counting) -> None:
    seen = counting.reports.holds_pressure(NOVEMBER, 20)

    assert (seen.waiting, seen.placed, seen.filled, seen.expired, seen.cancelled) == (2, 3, 1, 0, 0)
    assert [(of.title, of.waiting, of.copies, of.waiting_per_copy) for of in seen.items] == [("Middlemarch", 2, 2, 1.0)]


# -- periods --------------------------------------------------------------------------------------


def test_the_last_thirty_days_are_the_default(counting: Counting) -> None:
    assert counting.reports.span(None, None) == Span(date(2026, 10, 23), date(2026, 11, 21))
    assert counting.reports.span(None, date(2026, 3, 30)) == Span(date(2026, 3, 1), date(2026, 3, 30))
    assert counting.reports.span(date(2026, 11, 1), None) == Span(date(2026, 11, 1), date(2026, 11, 21))


@pytest.mark.parametrize(
    ("first", "last"), [(date(2026, 11, 2), date(2026, 11, 1)), (date(2024, 1, 1), date(2026, 1, 1))]
)
def test_periods_that_are_none_or_too_long(counting: Counting, first: date, last: date) -> None:
    with pytest.raises(InvalidPeriod) as refused:
        counting.reports.span(first, last)
    assert [field for field, _ in refused.value.errors] == ["from"]


def test_two_years_are_not_too_long(counting: Counting) -> None:
    assert counting.reports.span(date(2024, 1, 1), date(2025, 12, 31)).days == 731


# -- tables ---------------------------------------------------------------------------------------


def test_a_table_is_rfc_4180_and_no_formula(counting: Counting) -> None:
    assert to_csv(counting.reports.popular_titles(NOVEMBER, 2)) == (
        "rank,book_id,title,author,genre,loans,renewals\r\n"
        "1,B1,Middlemarch,George Eliot,novel,2,1\r\n"
        "2,B2,'=SUM(A1),Mallory,poetry,1,0\r\n"
    )


@pytest.mark.parametrize(
    ("title", "cell"),
    [
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ('Say "no", twice', '"Say ""no"", twice"'),
        ("two\nlines", '"two\nlines"'),
        ("a=b", "a=b"),
    ],
)
def test_cells(title: str, cell: str) -> None:
    of = v.Title(rank=1, book_id="B", title=title, author="A", genre="", loans=1, renewals=0)
    report = v.PopularTitles(from_day=date(2026, 11, 1), to_day=date(2026, 11, 1), items=[of])

    assert to_csv(report).split("\r\n")[1] == f"1,B,{cell},A,,1,0"


def test_reports_that_are_no_list_are_tables_of_figures(counting: Counting) -> None:
    rows = to_csv(counting.reports.overdue_patterns(NOVEMBER)).split("\r\n")

    assert rows[0] == "figure,value"
    assert "late_returns,1" in rows
    assert "by_weekday.Tuesday.late_returns,1" in rows
    assert "open_loans,4" in to_csv(counting.reports.dashboard()).split("\r\n")
