"""What members are told of: every type of event, older and newer versions of it, and nothing else."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from notifications_service.domain.deliveries import LONGEST_PAUSE, pause_after
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.notices import EVENT_RULES, IncomingEvent, notice_of
from notifications_service.domain.preferences import Preferences, channels_for, is_allowed
from notifications_service.domain.reminders import ReminderSchedule, first_reminder, reminder_after

pytestmark = pytest.mark.unit

NAIROBI, PARIS = ZoneInfo("Africa/Nairobi"), ZoneInfo("Europe/Paris")
ANN = "01JD8Y3V5QWZ6X7R8T9B0C1D2E"
AMOUNT = {"amount": "2.50", "currency": "KES"}


def told(type_: str, **data: Any) -> tuple[Kind, dict[str, Any]] | None:
    incoming = IncomingEvent(id="E", type=type_, occurred_at="2026-11-21T12:00:00Z", user_id=ANN, data=data)
    notice = notice_of(incoming, (1, 7))
    return None if notice is None else (notice.kind, dict(notice.data))


CASES: list[tuple[str, dict[str, Any], Kind, dict[str, Any]]] = [
    ("MemberRegistered", {"role": "patron", "status": "active"}, Kind.WELCOME, {}),
    (
        "MemberStatusChanged",
        {"old": "active", "new": "suspended", "until": "2026-12-24T00:00:00Z"},
        Kind.MEMBERSHIP_CHANGED,
        {"old": "active", "new": "suspended", "until": "2026-12-24T00:00:00Z"},
    ),
    ("MemberStatusChanged", {"old": "x", "new": "y"}, Kind.MEMBERSHIP_CHANGED, {"old": "x", "new": "y"}),
    ("MemberRoleChanged", {"old": "a", "new": "b"}, Kind.ROLE_CHANGED, {"old": "a", "new": "b"}),
    ("SessionsRevoked", {"reason": "password_changed", "epoch": 3}, Kind.PASSWORD_CHANGED, {}),
    (
        "LoanCreated",
        {"loan_id": "L", "book_id": "B", "title": "Dune", "due_date": "D", "barcode": "3", "genre": "SF"},
        Kind.LOAN_ISSUED,
        {"loan_id": "L", "book_id": "B", "title": "Dune", "due_date": "D"},
    ),
    ("LoanRenewed", {"title": "Dune", "due_date": "D"}, Kind.LOAN_RENEWED, {"title": "Dune", "due_date": "D"}),
    ("LoanReturned", {"title": "Dune", "return_date": "R"}, Kind.LOAN_RETURNED, {"title": "Dune", "return_date": "R"}),
    ("LoanOverdue", {"title": "Dune"}, Kind.LOAN_OVERDUE, {"title": "Dune"}),
    ("LoanLost", {"title": "Dune"}, Kind.LOAN_LOST, {"title": "Dune"}),
    (
        "BookReserved",
        {"reservation_id": "R", "title": "Dune"},
        Kind.HOLD_PLACED,
        {"reservation_id": "R", "title": "Dune"},
    ),
    (
        "ReservationReady",
        {"title": "Dune", "pickup_until": "P", "barcode": "3"},
        Kind.HOLD_READY,
        {"title": "Dune", "pickup_until": "P"},
    ),
    ("ReservationExpired", {"title": "Dune"}, Kind.HOLD_EXPIRED, {"title": "Dune"}),
    ("ReservationCancelled", {"title": "Dune"}, Kind.HOLD_CANCELLED, {"title": "Dune"}),
    ("FineCalculated", {"amount": AMOUNT, "reason": "late"}, Kind.FINE_CHARGED, {"amount": AMOUNT, "reason": "late"}),
    (
        "FinePaid",
        {"amount": AMOUNT, "receipt_number": "R-1"},
        Kind.FINE_PAID,
        {"amount": AMOUNT, "receipt_number": "R-1"},
    ),
    ("FineWaived", {"amount": AMOUNT | {"note": "x"}}, Kind.FINE_WAIVED, {"amount": AMOUNT}),
]


@pytest.mark.parametrize(("type_", "data", "kind", "kept"), CASES)
def test_what_is_told_and_with_what(type_: str, data: dict[str, Any], kind: Kind, kept: dict[str, Any]) -> None:
    assert told(type_, **data) == (kind, kept)


def test_every_type_is_among_the_cases() -> None:
    assert {type_ for type_, *_ in CASES} == EVENT_RULES.keys()


@pytest.mark.parametrize("reason", ["suspended", "expired", "role_changed", "erased", "something new"])
def test_sessions_that_end_for_other_reasons_are_not_told(reason: str) -> None:
    assert told("SessionsRevoked", reason=reason) is None


def test_types_nobody_knows_are_not_told() -> None:
    assert told("BookRead", title="Dune") is None


@pytest.mark.parametrize("value", [None, True, 1.5, ["Dune"], AMOUNT, {}])
def test_a_value_that_cannot_be_shown_is_left_out(value: object) -> None:
    assert told("LoanLost", title=value) == (Kind.LOAN_LOST, {})


ODD_AMOUNTS = [
    *("1e999999999", "1e-999999999", "-1E+9", "NaN", "sNaN", "Infinity", "", " 2.50", "2.50\n", "2,50", "1_000", "+1"),
    *("1" * 10, "1." + "0" * 400, "2.505", ".5", "5.", "\u0665.\u0660\u0660", "0x10", 2.5, 2, True, None, ["2.50"]),
]
"""Most of which Python takes for numbers."""


@pytest.mark.parametrize("amount", ODD_AMOUNTS, ids=repr)
@pytest.mark.parametrize("type_", ["FineCalculated", "FinePaid", "FineWaived"])
def test_an_amount_that_is_none_is_not_understood(type_: str, amount: Any) -> None:
    with pytest.raises(ValueError, match="amount"):
        told(type_, amount={"amount": amount, "currency": "USD"}, reason="overdue")


@pytest.mark.parametrize(
    "odd", [{}, {"amount": "2.50"}, {"amount": "2.50", "currency": "usd"}, {"amount": "1", "currency": "K" * 600}]
)
def test_nor_is_one_without_a_currency(odd: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="amount"):
        told("FinePaid", amount=odd)


@pytest.mark.parametrize("odd", ["2.50", 2, 2.5, ["2.50"], True])
def test_nor_is_one_that_is_not_money_at_all(odd: Any) -> None:
    with pytest.raises(ValueError, match="amount"):
        told("FinePaid", amount=odd)


@pytest.mark.parametrize("amount", ["0", "2.5", "-2.50", "999999999.99"])
def test_amounts_are_what_they_are(amount: str) -> None:
    money = {"amount": amount, "currency": "KES"}

    assert told("FinePaid", amount=money) == (Kind.FINE_PAID, {"amount": money})


def test_a_number_without_end_is_not_understood_wherever_it_stands() -> None:
    with pytest.raises(ValueError, match="digits"):
        told("LoanLost", title=10**5000)
    assert told("LoanLost", title=10**4000) == (Kind.LOAN_LOST, {"title": "1" + "0" * 499})


@pytest.mark.parametrize("user_id", ["", "nobody", ANN.lower(), ANN + "0", f"{ANN}\n", f"{ANN}#x"])
def test_an_event_of_nobody_is_not_understood(user_id: str) -> None:
    with pytest.raises(ValidationError):
        IncomingEvent(id="E", type="LoanLost", occurred_at="x", user_id=user_id, data={})


def test_what_is_too_long_is_cut_or_refused() -> None:
    assert told("LoanLost", title="x" * 10_000) == (Kind.LOAN_LOST, {"title": "x" * 500})
    with pytest.raises(ValidationError):
        IncomingEvent(id="E" * 65, type="LoanLost", occurred_at="x", user_id=ANN, data={})
    with pytest.raises(ValueError, match="id"):
        told("LoanOverdue", loan_id="L" * 65, due_date="2026-11-20T20:59:59Z")


@pytest.mark.parametrize(
    ("type_", "source", "its"),
    [
        ("LoanLost", "library.loans", True),
        ("LoanLost", "library.fines", False),
        ("LoanLost", None, False),
        ("MemberErased", "library.users", True),
        ("MemberErased", "library.loans", False),
        ("MemberErased", None, False),
        ("BookRead", "library.books", True),
    ],
)
def test_who_may_say_what(type_: str, source: str | None, its: bool) -> None:
    incoming = IncomingEvent(id="E", type=type_, occurred_at="x", user_id=ANN, data={}, source=source)

    assert incoming.has_right_source is its


# -- reminders ------------------------------------------------------------------------------------


def moments(due: str, since: str, schedule: ReminderSchedule) -> list[tuple[str, int, str]]:
    """One after the other, each as the one before it fires."""
    found = []
    reminder = first_reminder("U", "L", due, {}, since=datetime.fromisoformat(since), schedule=schedule)
    while reminder is not None:
        found.append((str(reminder.kind), reminder.days, reminder.fire_at.isoformat()))
        reminder = reminder_after(reminder, reminder.fire_at, schedule)
    return found


def test_reminders_come_at_nine_by_the_librarys_clock_across_its_change() -> None:
    # Paris goes back to winter on 25 October 2026; the loan ends that night.
    found = moments("2026-10-25T22:59:59Z", "2026-10-10T12:00:00Z", ReminderSchedule(2, (7, 1), PARIS))

    assert found == [
        ("loan_due_soon", 2, "2026-10-23T07:00:00+00:00"),
        ("loan_overdue", 1, "2026-10-26T08:00:00+00:00"),
        ("loan_overdue", 7, "2026-11-01T08:00:00+00:00"),
    ]


def test_the_day_is_the_librarys_whatever_the_moment_reads_in_utc() -> None:
    # 20:59:59Z is the end of the day in Nairobi.
    assert moments("2026-11-30T20:59:59Z", "2026-11-01T12:00:00Z", ReminderSchedule(0, (1,), NAIROBI)) == [
        ("loan_overdue", 1, "2026-12-01T06:00:00+00:00")
    ]


def test_a_late_reminder_is_followed_by_one_that_still_makes_sense() -> None:
    schedule = ReminderSchedule(2, (1, 7, 14), NAIROBI)
    since, due = datetime.fromisoformat("2026-11-01T12:00:00Z"), "2026-11-30T20:59:59Z"
    first = first_reminder("U", "L", due, {}, since=since, schedule=schedule)
    assert first is not None

    late = reminder_after(first, datetime.fromisoformat("2026-12-09T12:00:00Z"), schedule)
    assert late is not None
    assert (late.kind, late.days) == (Kind.LOAN_OVERDUE, 7)
    very_late = reminder_after(first, datetime.fromisoformat("2027-03-01T12:00:00Z"), schedule)
    assert very_late is not None
    assert very_late.days == 14, "the last one is never too late"
    assert reminder_after(very_late, very_late.fire_at, schedule) is None


@pytest.mark.parametrize("bad", ["tomorrow", "2026-11-30", "2026-11-30T20:59:59"])
def test_a_due_date_that_is_none_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        moments(bad, "2026-11-01T12:00:00Z", ReminderSchedule(2, (1,), NAIROBI))


# -- ways, pauses ---------------------------------------------------------------------------------


def test_channels_are_the_preference_or_the_usual() -> None:
    preferences = Preferences(channels={Kind.LOAN_LOST: (Channel.SMS,), Kind.WELCOME: ()})

    assert channels_for(Kind.LOAN_ISSUED, preferences) == (Channel.EMAIL, Channel.IN_APP)
    assert channels_for(Kind.LOAN_LOST, preferences) == (Channel.SMS,)
    assert channels_for(Kind.WELCOME, preferences) == ()


@pytest.mark.parametrize(
    ("channel", "kind", "chosen", "takes_email", "takes_sms", "allowed"),
    [
        (Channel.EMAIL, Kind.LOAN_LOST, None, True, False, True),
        (Channel.EMAIL, Kind.LOAN_LOST, None, False, False, False),
        (Channel.SMS, Kind.LOAN_LOST, None, True, False, False),
        (Channel.SMS, Kind.LOAN_LOST, (Channel.SMS,), True, False, False),
        (Channel.SMS, Kind.LOAN_LOST, (Channel.EMAIL,), True, True, False),
        (Channel.PUSH, Kind.LOAN_LOST, None, False, False, True),
        (Channel.EMAIL, Kind.PASSWORD_CHANGED, None, False, False, True),
        (Channel.SMS, Kind.PASSWORD_CHANGED, None, True, False, False),
        (Channel.SMS, Kind.PASSWORD_CHANGED, None, True, True, True),
    ],
)
def test_what_an_account_forbids_and_what_not(
    channel: Channel,
    kind: Kind,
    chosen: tuple[Channel, ...] | None,
    takes_email: bool,
    takes_sms: bool,
    allowed: bool,
) -> None:
    preferences = Preferences(channels={kind: chosen} if chosen is not None else {})

    assert is_allowed(channel, kind, preferences, takes_email=takes_email, takes_sms=takes_sms) is allowed


def test_pauses_double_up_to_an_hour_and_vary_by_a_quarter() -> None:
    base = timedelta(seconds=30)
    middle = [pause_after(attempts, base, 0.5) for attempts in range(1, 12)]

    assert middle[:4] == [base, base * 2, base * 4, base * 8]
    assert middle[-1] == LONGEST_PAUSE
    assert (pause_after(1, base, 0.0), pause_after(1, base, 1.0)) == (base * 0.75, base * 1.25)
    assert datetime(2026, 1, 1, tzinfo=UTC) + pause_after(10**6, base, 1.0) < datetime(2026, 1, 2, tzinfo=UTC)
