"""When a loan is due: a day of the library's calendar, to its very end, wherever the library is."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loans_service.domain.loan import EMPTY_ACCOUNT, Account, Loan, LoanStatus, Member
from loans_service.domain.policy import LoanPolicy, LoanRule
from tests.support.clock import NOON

pytestmark = pytest.mark.unit

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)

ZONES = [
    "UTC",
    "Africa/Nairobi",
    "Europe/London",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Pacific/Kiritimati",
    "Pacific/Chatham",
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "Africa/Cairo",  # these change their clocks at midnight, so that 23:59:59 comes twice
    "Asia/Beirut",
    "America/Santiago",
    "America/Havana",
]

ANYBODY = Member(id="M", role="patron", status="active", expires_at=None)
MOMENTS = st.datetimes(datetime(2012, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


def policy(zone: str, days: int = 14) -> LoanPolicy:
    return LoanPolicy(time_zone=zone, loan_rules=(LoanRule(limit=5, period_days=days),))


@given(zone=st.sampled_from(ZONES), start=MOMENTS, days=st.integers(1, 730))
@example(zone="America/Santiago", start=datetime(2026, 3, 21, 15, tzinfo=UTC), days=14)
@example(zone="Africa/Cairo", start=datetime(2026, 10, 15, 15, tzinfo=UTC), days=14)
@example(zone="Pacific/Kiritimati", start=datetime(2026, 2, 27, 11, tzinfo=UTC), days=1)
def test_a_loan_is_due_at_the_last_second_of_the_right_day(zone: str, start: datetime, days: int) -> None:
    here = ZoneInfo(zone)

    due = policy(zone, days).due_date(ANYBODY, start)

    assert due.tzinfo is UTC
    wanted = start.astimezone(here).date() + timedelta(days=days)
    assert due.astimezone(here).time() == time(23, 59, 59)
    assert due.astimezone(here).date() == wanted
    assert (due + SECOND).astimezone(here).date() > wanted, "the day goes on after that"


@given(zone=st.sampled_from(ZONES), start=MOMENTS, days=st.integers(1, 60), renewals=st.integers(1, 5))
def test_renewing_from_the_due_date_adds_whole_days(zone: str, start: datetime, days: int, renewals: int) -> None:
    rules, here = policy(zone, days), ZoneInfo(zone)

    due = rules.due_date(ANYBODY, start)
    for _ in range(renewals):
        due = rules.due_date(ANYBODY, due)

    assert due.astimezone(here).date() == start.astimezone(here).date() + timedelta(days=days * (renewals + 1))


@pytest.mark.parametrize(
    ("zone", "issued", "due"),
    [
        # The clocks go back during the loan: the instant moves, the date does not.
        ("Europe/Berlin", "2026-10-20T10:00:00Z", "2026-11-03T22:59:59Z"),
        # They go forward.
        ("Europe/Berlin", "2026-03-20T10:00:00Z", "2026-04-03T21:59:59Z"),
        # In Kiritimati it is tomorrow already.
        ("Pacific/Kiritimati", "2026-11-20T10:00:00Z", "2026-12-05T09:59:59Z"),
        # In Honolulu it is still yesterday.
        ("Pacific/Honolulu", "2026-11-21T09:59:59Z", "2026-12-05T09:59:59Z"),
        ("Pacific/Honolulu", "2026-11-21T10:00:00Z", "2026-12-06T09:59:59Z"),
        # 23:59:59 comes twice that night, and the loan ends with the second.
        ("America/Santiago", "2026-03-21T15:00:00Z", "2026-04-05T03:59:59Z"),
        # Over the leap day.
        ("UTC", "2028-02-20T12:00:00Z", "2028-03-05T23:59:59Z"),
    ],
)
def test_known_dates(zone: str, issued: str, due: str) -> None:
    assert policy(zone).due_date(ANYBODY, datetime.fromisoformat(issued)) == datetime.fromisoformat(due)


@given(start=MOMENTS, days=st.integers(1, 60), left=st.timedeltas(-5 * DAY, 90 * DAY), cap=st.booleans())
def test_a_due_date_is_capped_by_the_end_of_the_membership_unless_the_library_says_otherwise(
    start: datetime, days: int, left: timedelta, cap: bool
) -> None:
    rules = LoanPolicy(loan_rules=(LoanRule(limit=5, period_days=days),), cap_at_membership_expiry=cap)
    full = rules.due_date(ANYBODY, start)
    member = Member(id="M", role="patron", status="active", expires_at=start + left)

    assert rules.due_date(member, start) == (min(full, start + left) if cap else full)


@given(due=MOMENTS, after=st.timedeltas(-DAY, DAY))
def test_overdue_is_strict(due: datetime, after: timedelta) -> None:
    loan = Loan(
        id="L", user_id="M", role="patron", book_id="B", status=LoanStatus.ACTIVE, requested_at=NOON, due_at=due
    )

    late = after > timedelta()

    assert loan.is_overdue(due + after) is late
    assert loan.status_at(due + after) is (LoanStatus.OVERDUE if late else LoanStatus.ACTIVE)


@pytest.mark.parametrize("status", [LoanStatus.PENDING, LoanStatus.RETURNED, LoanStatus.CANCELLED])
def test_only_a_loan_somebody_has_can_be_overdue(status: LoanStatus) -> None:
    loan = Loan(id="L", user_id="M", role="patron", book_id="B", status=status, requested_at=NOON, due_at=NOON)

    assert loan.status_at(NOON + 100 * DAY) is status


@given(st.dictionaries(st.text(), MOMENTS, max_size=5), MOMENTS)
def test_the_longest_overdue_loan_counts(due: dict[str, datetime], now: datetime) -> None:
    longest = Account(open=due).longest_overdue(now)

    assert longest >= timedelta()
    assert all(now - moment <= longest for moment in due.values())
    assert longest == timedelta() or any(now - moment == longest for moment in due.values())


def test_without_loans_nothing_is_overdue() -> None:
    assert EMPTY_ACCOUNT.longest_overdue(NOON) == timedelta()


def test_the_zones_of_this_test_are_on_this_machine() -> None:
    assert {datetime(2026, 1, 1, tzinfo=ZoneInfo(zone)).date() for zone in ZONES} == {date(2026, 1, 1)}
