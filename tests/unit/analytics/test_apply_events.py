"""Counting events: whatever comes twice, late, in any order or dies half-way, the counters are the truth."""

import itertools
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_service.application.apply_events import (
    ALREADY_COUNTED,
    COUNTED,
    ERASED,
    HOT_SECONDS,
    NO_REBUILD,
    NOT_APPLICABLE,
)
from analytics_service.application.ports import CountersBusy, Entry, Generations
from analytics_service.domain import counters as c
from analytics_service.domain.counters import CounterKey, Kind
from analytics_service.domain.days import Calendar
from analytics_service.domain.facts import FactKey, FactKind, LoanFact, MemberMonth, expires, text
from analytics_service.domain.incoming_events import InvalidEvent
from library_common.consumers import Delivery
from library_common.versions import VersionConflict
from tests.depth import at_depth
from tests.fakes.analytics import NAIROBI, Counting, Died, added, created, event, renewed, returned

pytestmark = pytest.mark.unit

START = datetime(2026, 10, 20, 6, 0, tzinfo=UTC)
ISSUED, DUE = "2026-11-03T09:00:00Z", "2026-11-17T20:59:59Z"


def day(text: str) -> CounterKey:
    return CounterKey(Kind.DAY, text)


# -- histories ------------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[Delivery]:
    """Everything that happens in a small library over some weeks, in the order in which it happens."""
    events = [added(f"B{n}", draw(st.integers(0, 3)), **({"genre": "Poetry"} if n else {})) for n in range(3)]
    for number in range(draw(st.integers(1, 8))):
        loan, user, book = f"L{number}", f"U{draw(st.integers(0, 2))}", f"B{draw(st.integers(0, 2))}"
        issued = START + timedelta(hours=draw(st.integers(0, 24 * 40)))
        due = issued + timedelta(days=14)
        more: dict[str, Any] = {"genre": "  POETRY "} if book != "B0" else {}
        role = draw(st.sampled_from(["student", "patron"]))
        events.append(created(loan, text(issued), text(due), user=user, book=book, role=role, **more))
        for count in range(1, draw(st.integers(0, 2)) + 1):
            at = issued + timedelta(days=count)
            due += timedelta(days=7)
            events.append(renewed(loan, text(at), text(due), count, user=user, book=book))
        if draw(st.booleans()):
            back = issued + timedelta(hours=draw(st.integers(60, 24 * 60)))
            events.append(returned(loan, text(back), text(issued), text(due), user=user, book=book))
    for number in range(draw(st.integers(0, 3))):
        change = draw(st.sampled_from([{"status": "available"}, {"previous": "available"}]))
        told: dict[str, Any] = {"book_id": f"B{number}", "copies": [{"barcode": "3", **change}]}
        events.append(event("CopyStatusChanged", text(START), event_id=f"C{number}", **told))
    for number in range(draw(st.integers(0, 3))):
        hold = {"reservation_id": f"H{number}", "user_id": "U1", "book_id": "B1", "title": "T"}
        events.append(event("BookReserved", text(START), event_id=f"H{number}-p", **hold))
        if draw(st.booleans()):
            ended = draw(st.sampled_from(["ReservationReady", "ReservationExpired", "ReservationCancelled"]))
            events.append(event(ended, text(START + timedelta(days=2)), event_id=f"H{number}-e", **hold))
    return events


def truth(history: list[Delivery]) -> dict[str, Any]:
    """What a librarian with a pencil would count, from the events themselves and nothing of the service."""
    days: Counter[tuple[date, str]] = Counter()
    out: dict[str, date] = {}
    titles: Counter[str] = Counter()
    copies: Counter[str] = Counter()
    for delivery in history:
        data = delivery.envelope.data
        kind = delivery.envelope.type
        local = datetime.fromisoformat(delivery.envelope.occurred_at).astimezone(NAIROBI.zone)
        if kind == "LoanCreated":
            days[local.date(), c.LOANS] += 1
            days[local.date(), f"h{local.hour:02d}"] += 1
            titles[data["book_id"]] += 1
        if kind == "LoanRenewed":
            days[local.date(), c.RENEWALS] += 1
        if kind in {"LoanCreated", "LoanRenewed"}:
            out[data["loan_id"]] = datetime.fromisoformat(data["due_date"]).astimezone(NAIROBI.zone).date()
        if kind == "LoanReturned":
            days[local.date(), c.RETURNS] += 1
            due = datetime.fromisoformat(data["due_date"]).astimezone(NAIROBI.zone).date()
            if local.date() > due:
                days[local.date(), c.LATE] += 1
                days[local.date(), c.OVERDUE_DAYS] += (local.date() - due).days
            del out[data["loan_id"]]
        if kind == "BookAdded":
            copies[data["book_id"]] += data["total_copies"]
        if kind == "CopyStatusChanged":
            (copy,) = data["copies"]
            copies[data["book_id"]] += 1 if "status" in copy else -1
    return {
        "days": +days,
        "open": Counter(out.values()),
        "titles": titles,
        "copies": sum(copies.values()),
        "members": {
            (d.envelope.data["user_id"], local_day(d))
            for d in history
            if d.envelope.type in {"LoanCreated", "LoanRenewed", "LoanReturned"}
        },
    }


def local_day(delivery: Delivery) -> date:
    return datetime.fromisoformat(delivery.envelope.occurred_at).astimezone(NAIROBI.zone).date()


def assert_true(counting: Counting, history: list[Delivery], generation: int = 1) -> None:
    sums, real = counting.ledger.sums(generation), truth(history)
    assert sums == counting.ledger.contributed(counting.calendar, generation)
    by_day = {key.period: of for key, of in sums.items() if key.kind is Kind.DAY}
    measures = {measure for _, measure in real["days"]} | {c.LOANS, c.RETURNS, c.LATE}
    counted = {
        (date.fromisoformat(period), measure): amount
        for period, of in by_day.items()
        for measure, amount in of.items()
        if measure in measures
    }
    assert counted == real["days"]
    active = {(date.fromisoformat(period), of[c.ACTIVE]) for period, of in by_day.items() if c.ACTIVE in of}
    assert active == set(Counter(when for _, when in real["members"]).items())
    assert {date.fromisoformat(k.period): of[c.OPEN] for k, of in sums.items() if k.kind is Kind.DUE} == real["open"]
    titles: Counter[str] = Counter()
    for key, of in sums.items():
        if key.kind is Kind.TITLE_MONTH:
            titles[key.of] += of.get(c.LOANS, 0)
    assert +titles == real["titles"]
    assert sum(of.get(c.COPIES, 0) for key, of in sums.items() if key.kind is Kind.HOLDINGS) == real["copies"]


def in_batches(events: list[Delivery], sizes: list[int]) -> list[list[Delivery]]:
    left = list(events)
    batches: list[list[Delivery]] = []
    for size in itertools.cycle(sizes):
        if not left:
            return batches
        batches.append(left[:size])
        left = left[size:]
    return batches


@settings(max_examples=at_depth(quick=20, full=60))
@given(data=st.data(), history=histories())
def test_any_order_any_duplicates_any_batches_count_the_truth(data: st.DataObject, history: list[Delivery]) -> None:
    twice = history + data.draw(st.lists(st.sampled_from(history), max_size=10))
    shuffled = data.draw(st.permutations(twice))
    counting = Counting()

    for batch in in_batches(shuffled, data.draw(st.lists(st.integers(1, 20), min_size=1, max_size=3))):
        assert all(isinstance(outcome, str) for outcome in counting.apply_events.apply(batch))

    assert_true(counting, history)
    before = counting.ledger.writes
    assert set(counting.apply_events.apply(history)) <= {ALREADY_COUNTED, NOT_APPLICABLE}
    assert counting.ledger.writes == before


@settings(max_examples=at_depth(quick=20, full=60))
@given(data=st.data(), history=histories())
def test_wherever_it_dies_or_loses_the_repeat_counts_the_rest(data: st.DataObject, history: list[Delivery]) -> None:
    counting = Counting()
    trouble = data.draw(st.dictionaries(st.integers(1, 12), st.sampled_from(["before", "after", "stale", "contended"])))

    def before(number: int, entry: Entry) -> None:
        match trouble.get(number):
            case "before":
                raise Died
            case "stale":
                raise VersionConflict
            case "contended":
                raise CountersBusy(list(entry.counters)[:1])

    def after(number: int, entry: Entry) -> None:
        if trouble.get(number) == "after":
            raise Died

    counting.ledger.before_write, counting.ledger.after_write = before, after
    left = list(data.draw(st.permutations(history)))
    for _ in range(20):
        try:
            outcomes = counting.apply_events.apply(left)
        except Died:
            assert counting.ledger.sums() == counting.ledger.contributed(counting.calendar)
            continue
        left = [event for event, outcome in zip(left, outcomes, strict=True) if isinstance(outcome, Exception)]
        if not left:
            break

    assert left == []
    assert_true(counting, history)


@settings(max_examples=at_depth(quick=8, full=25))
@given(data=st.data(), history=histories())
def test_a_replay_into_a_building_generation_equals_the_live_one(data: st.DataObject, history: list[Delivery]) -> None:
    counting = Counting()
    live = data.draw(st.integers(0, len(history)))
    counting.apply_events.apply(history[:live])
    counting.generations.now = Generations(live=1, building=2, last=2)
    counting.apply_events.apply(history[live:])
    replayed = [Delivery(delivery.envelope, "again") for delivery in data.draw(st.permutations(history[: live + 2]))]

    counting.apply_events.apply(replayed)

    assert counting.ledger.sums(2) == counting.ledger.sums(1)
    assert counting.ledger.facts_of(2) == counting.ledger.facts_of(1)
    assert_true(counting, history, generation=2)


# -- one by one -----------------------------------------------------------------------------------


def test_a_loan_counts_on_the_library_s_day_and_hour() -> None:
    counting = Counting()

    # 21:30 in UTC is half past midnight in Nairobi.
    counting.apply_events.apply([created("L1", "2026-11-03T21:30:00Z", DUE, genre="Poetry", role="student")])

    sums = counting.ledger.sums()
    assert sums[day("2026-11-04")] == {c.LOANS: 1, "h00": 1, "r_student": 1, c.ACTIVE: 1}
    assert sums[CounterKey(Kind.GENRE_MONTH, "2026-11", "poetry")] == {c.LOANS: 1}
    assert sums[CounterKey(Kind.TITLE_DAY, "2026-11-04", "B1")] == {c.LOANS: 1}
    assert sums[CounterKey(Kind.DUE, "2026-11-17")] == {c.OPEN: 1}
    assert sums[CounterKey(Kind.MONTH, "2026-11")] == {c.ACTIVE: 1, "b1": 1}


def test_a_late_return_says_how_late_whose_and_what() -> None:
    counting = Counting()
    back = "2026-11-23T09:00:00Z"

    counting.apply_events.apply([returned("L1", back, ISSUED, DUE), created("L1", ISSUED, DUE, genre="Poetry")])

    sums = counting.ledger.sums()
    late = {c.RETURNS: 1, c.LATE: 1, c.OVERDUE_DAYS: 6, "lw1": 1, "ll4": 1, "lr_patron": 1, c.ACTIVE: 1}
    assert sums[day("2026-11-23")] == late
    assert sums[CounterKey(Kind.GENRE_DAY, "2026-11-23", "poetry")] == {c.RETURNS: 1, c.LATE: 1}
    assert CounterKey(Kind.DUE, "2026-11-17") not in sums


def test_a_return_on_the_day_it_was_due_is_not_late() -> None:
    counting = Counting()

    counting.apply_events.apply([returned("L1", "2026-11-17T20:59:58Z", ISSUED, "2026-11-17T06:00:00Z")])

    assert c.LATE not in counting.ledger.sums()[day("2026-11-17")]


def test_a_lost_copy_is_no_longer_out() -> None:
    counting = Counting()
    told = {"loan_id": "L1", "user_id": "U1", "book_id": "B1", "barcode": "3", "title": "T", "due_date": DUE}

    counting.apply_events.apply([created("L1", ISSUED, DUE), event("LoanLost", "2026-12-20T09:00:00Z", **told)])

    sums = counting.ledger.sums()
    assert CounterKey(Kind.DUE, "2026-11-17") not in sums
    assert sums[day("2026-12-20")] == {c.LOST: 1}


def test_what_may_still_come_back_is_known_for_long() -> None:
    """Or its return, which tells the day of issue, would count it as lent once more."""
    now = START
    out = LoanFact(book="B1", issued=ISSUED, due=DUE)
    lost = replace(out, lost="2026-12-20T09:00:00Z")
    found = replace(lost, returned="2028-01-03T09:00:00Z")

    assert expires(out, now) is None
    assert expires(lost, now) == now + timedelta(days=5 * 365)
    assert expires(found, now) == now + timedelta(days=180)


def test_a_newer_description_stands_and_an_archived_title_is_no_holding() -> None:
    counting = Counting()
    told: dict[str, Any] = {"book_id": "B1", "title": "New", "author": "A", "genre": "Drama", "changed": ["title"]}
    newer = event("BookUpdated", ISSUED, book_version=3, **told)
    older = event("BookUpdated", ISSUED, book_version=2, **{**told, "title": "Old", "genre": "Poetry"})
    silent = event("BookUpdated", ISSUED, book_version=4, book_id="B1", changed=["subjects"])

    outcomes = counting.apply_events.apply([newer, added("B1", 2), older, silent])

    assert outcomes == [COUNTED, COUNTED, COUNTED, NOT_APPLICABLE]
    assert counting.ledger.sums() == {CounterKey(Kind.HOLDINGS, of="drama"): {c.TITLES: 1, c.COPIES: 2}}

    restored = event("BookRestored", ISSUED, book_id="B1", book_version=6)
    counting.apply_events.apply([event("BookRemoved", ISSUED, book_id="B1", book_version=5)])
    assert counting.ledger.sums() == {}
    counting.apply_events.apply([restored])
    assert counting.ledger.sums()


def test_new_members_are_counted_by_role_without_keeping_who_they_are() -> None:
    counting = Counting()

    counting.apply_events.apply([event("MemberRegistered", ISSUED, user_id="SECRET", role="student", status="active")])

    assert counting.ledger.sums()[day("2026-11-03")] == {"new_student": 1}
    assert "SECRET" not in repr(counting.ledger.kept)


def test_a_role_of_tomorrow_makes_no_measure_of_its_own() -> None:
    counting = Counting()

    counting.apply_events.apply([created("L1", ISSUED, DUE, role="emperor")])

    assert counting.ledger.sums()[day("2026-11-03")]["r_other"] == 1


# -- erased members ------------------------------------------------------------------------------


def test_after_an_erasure_what_was_counted_stays_and_nobody_knows_whose_it_was() -> None:
    counting = Counting()
    counting.apply_events.apply([created("L1", ISSUED, DUE)])

    assert counting.apply_events.apply([event("MemberErased", ISSUED, user_id="U1")]) == [ERASED]
    counting.apply_events.apply([returned("L1", "2026-11-05T09:00:00Z", ISSUED, DUE)])

    assert counting.aliases.of_member("U1") is None
    sums = counting.ledger.sums()
    assert sums[day("2026-11-03")][c.LOANS] == 1
    assert sums[day("2026-11-05")][c.RETURNS] == 1
    assert sums == counting.ledger.contributed(counting.calendar)
    assert "U1" not in repr(counting.ledger.kept)


def test_late_events_of_who_was_erased_count_for_the_library_only() -> None:
    counting = Counting()

    outcomes = counting.apply_events.apply([created("L1", ISSUED, DUE), event("MemberErased", ISSUED, user_id="U1")])

    assert outcomes == [COUNTED, ERASED]
    assert counting.ledger.sums()[day("2026-11-03")] == {c.LOANS: 1, "h12": 1, "r_patron": 1}
    assert not [key for key in counting.ledger.facts_of() if key.kind is FactKind.MEMBER_MONTH]


# -- batches --------------------------------------------------------------------------------------


def test_a_full_batch_takes_few_transactions_of_at_most_a_hundred_items() -> None:
    counting = Counting()
    batch = [created(f"L{n}", ISSUED, DUE, user=f"U{n % 40}", book=f"B{n % 30}") for n in range(100)]

    assert set(counting.apply_events.apply(batch)) == {COUNTED}

    assert max(counting.ledger.sizes) <= 100
    # Three or four, by how the members' aliases happen to sort.
    assert len(counting.ledger.sizes) <= 4
    assert counting.ledger.sums()[day("2026-11-03")][c.LOANS] == 100


def test_one_member_s_pile_is_split_and_counted_whole() -> None:
    counting = Counting()
    batch = [created(f"L{n}", ISSUED, DUE, book=f"B{n}") for n in range(100)]

    assert set(counting.apply_events.apply(batch)) == {COUNTED}

    assert max(counting.ledger.sizes) <= 100
    assert counting.ledger.sums()[CounterKey(Kind.MONTH, "2026-11")] == {c.ACTIVE: 1, "b10": 1}


def test_another_worker_in_between_two_chunks_loses_nothing_and_nothing_of_it_is_lost() -> None:
    """It leaves the member's month in the very version that our own first chunk would have left it in."""
    counting = Counting()
    counting.apply_events.apply([created("L0", ISSUED, DUE)])
    another = [created("LX", ISSUED, DUE, book="BX")]

    def meanwhile(_: int, entry: Entry) -> None:
        if another:
            counting.apply_events.apply([another.pop()])

    counting.ledger.before_write = meanwhile
    pile = [created(f"L{n}", ISSUED, DUE, book=f"B{n}") for n in range(1, 60)]
    assert set(counting.apply_events.apply(pile)) == {COUNTED}

    assert counting.ledger.sums() == counting.ledger.contributed(counting.calendar)
    assert counting.ledger.sums()[day("2026-11-03")][c.LOANS] == 61
    (month,) = [fact for key, fact in counting.ledger.facts_of().items() if key.kind is FactKind.MEMBER_MONTH]
    assert month == MemberMonth({c.LOANS: 61, "d03": 61})


def test_counters_that_collide_are_spread_and_no_others() -> None:
    counting = Counting()

    def collide(number: int, entry: Entry) -> None:
        if number == 1:
            raise CountersBusy([day("2026-11-03")])

    counting.ledger.before_write = collide
    assert counting.apply_events.apply([created("L1", ISSUED, DUE)]) == [COUNTED]
    assert counting.ledger.spread == [frozenset({day("2026-11-03")})]

    counting.clock.advance(timedelta(seconds=HOT_SECONDS / 2))
    counting.apply_events.apply([created("L2", ISSUED, DUE)])
    counting.clock.advance(timedelta(seconds=HOT_SECONDS))
    counting.apply_events.apply([created("L3", ISSUED, DUE)])
    assert counting.ledger.spread[1:] == [frozenset({day("2026-11-03")}), frozenset()]


@pytest.mark.parametrize("failure", [VersionConflict(), ValueError("the item is too large")])
def test_what_cannot_be_written_fails_alone(failure: Exception) -> None:
    counting = Counting()

    def stuck(_: int, entry: Entry) -> None:
        if any(key.id == "L2" for key in entry.facts):
            raise failure

    counting.ledger.before_write = stuck
    outcomes = counting.apply_events.apply(
        [created(f"L{n}", ISSUED, DUE, user=f"U{n}", book=f"B{n}") for n in range(4)]
    )

    assert [outcome is failure for outcome in outcomes] == [False, False, True, False]


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"loan_id": "L1", "user_id": "U1", "book_id": "B1", "role": "patron", "issue_date": "soon", "due_date": DUE},
        {"loan_id": "", "user_id": "U1", "book_id": "B1", "role": "patron", "issue_date": ISSUED, "due_date": DUE},
    ],
)
def test_what_makes_no_sense_blocks_nobody_and_its_reason_tells_no_secrets(data: dict[str, Any]) -> None:
    counting = Counting()

    poison, fine = counting.apply_events.apply([event("LoanCreated", ISSUED, **data), created("L9", ISSUED, DUE)])

    assert isinstance(poison, InvalidEvent)
    assert "soon" not in str(poison)
    assert fine == COUNTED


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00Z", "2200-01-01T00:00:00Z"]
)
def test_moments_no_clock_can_show_are_no_trouble_for_the_others(moment: str) -> None:
    counting = Counting()

    outcomes = counting.apply_events.apply([created("L1", ISSUED, moment), created("L2", ISSUED, DUE)])

    assert isinstance(outcomes[0], InvalidEvent)
    assert outcomes[1] == COUNTED


def test_a_mistake_of_ours_about_one_event_fails_that_event_only(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting()
    day_of = Calendar.day

    def day_but_of_one(calendar: Calendar, moment: datetime) -> date:
        if moment.day == 13:
            raise OverflowError
        return day_of(calendar, moment)

    monkeypatch.setattr(Calendar, "day", day_but_of_one)
    events = [created(f"L{n}", f"2026-11-{10 + n}T09:00:00Z", DUE, user=f"U{n}", book=f"B{n}") for n in range(6)]
    outcomes = counting.apply_events.apply(events)

    assert isinstance(outcomes[3], OverflowError)
    assert outcomes[:3] + outcomes[4:] == [COUNTED] * 5


def test_nobody_tells_what_is_for_another_service_to_tell() -> None:
    counting = Counting()
    erased = event("MemberErased", ISSUED, user_id="U1")

    (outcome,) = counting.apply_events.apply([Delivery(erased.envelope, source="library.fines")])

    assert isinstance(outcome, InvalidEvent)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_events_that_contradict_each_other_leave_the_same_fact_in_any_order(order: tuple[int, ...]) -> None:
    events = [
        created("L1", ISSUED, DUE, book="B1"),
        renewed("L1", "2026-11-05T09:00:00Z", DUE, 1, book="B2"),
        returned("L1", "2026-11-07T09:00:00Z", ISSUED, DUE, book="B3"),
    ]
    counting = Counting()
    for place in order:
        counting.apply_events.apply([events[place]])

    fact = counting.ledger.facts_of()[FactKey(FactKind.LOAN, "L1")]
    assert isinstance(fact, LoanFact)
    assert fact.book == "B1"
    assert counting.ledger.sums() == counting.ledger.contributed(counting.calendar)


def test_replayed_events_are_for_a_generation_that_is_being_built_only() -> None:
    counting = Counting()

    assert counting.apply_events.apply([Delivery(created("L1", ISSUED, DUE).envelope, "again")]) == [NO_REBUILD]
    assert counting.ledger.kept == {}


def test_events_of_no_interest_are_let_go() -> None:
    loan_overdue = event("LoanOverdue", ISSUED, loan_id="L1", user_id="U1", book_id="B1", title="T", due_date=DUE)

    assert Counting().apply_events.apply([loan_overdue]) == [NOT_APPLICABLE]


def test_a_day_s_counter_stays_below_a_write_unit() -> None:
    """An item is paid for whole at each addition: a second kilobyte would double the price of every event."""
    measures = [c.LOANS, c.RETURNS, c.RENEWALS, c.LATE, c.OVERDUE_DAYS, c.LOST, c.ACTIVE]
    roles = ["student", "faculty", "patron", "librarian", "admin", "other"]
    measures += [c.at_hour(hour) for hour in range(24)] + [c.late_by_weekday(n) for n in range(7)]
    measures += [of(role) for of in (c.by_role, c.new_members, c.late_by_role) for role in roles]
    measures += [c.late_by_length(low) for low, _ in c.LENGTHS]
    measures += [c.holds(step) for step in ("placed", "filled", "expired", "cancelled")]
    number_of_seven_digits = 5

    assert sum(len(name) + number_of_seven_digits for name in measures) + len("pkskG12#DAYS#202611-21##00") < 1024
