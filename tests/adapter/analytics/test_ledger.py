"""Facts and counters, in memory and on a table: one suite for both, and what only the table can show."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest

from analytics_service.adapters.aliases import DynamoAliases
from analytics_service.adapters.counter_reader import DynamoCounterReader
from analytics_service.adapters.dynamodb import DynamoLedger
from analytics_service.adapters.keys import SHARDS, counter_key, counter_of
from analytics_service.application.apply_events import ALREADY_COUNTED, COUNTED, ApplyEvents, HotCounters
from analytics_service.application.ports import (
    CounterReader,
    CountersBusy,
    Entry,
    FactWrite,
    Ledger,
    MemberAliases,
    StoredFact,
)
from analytics_service.domain.counters import CounterKey, Kind
from analytics_service.domain.days import Span
from analytics_service.domain.errors import PeriodTooBusy
from analytics_service.domain.facts import (
    EventFact,
    Fact,
    FactKey,
    FactKind,
    HoldFact,
    LoanFact,
    MemberMonth,
    TitleFact,
    empty,
)
from analytics_service.domain.incoming_events import BookDescribed
from library_common.dynamodb import Table, TransactionBusy
from library_common.versions import VersionConflict
from tests.fakes.analytics import (
    NAIROBI,
    FakeAliases,
    FakeCounterReader,
    FakeGenerations,
    FakeLedger,
    added,
    created,
    renewed,
    returned,
)
from tests.support.clock import NOON, FixedClock

pytestmark = pytest.mark.adapter

ISSUED, DUE, BACK = "2026-11-03T09:00:00Z", "2026-11-17T20:59:59Z", "2026-12-01T09:00:00Z"
LOAN = FactKey(FactKind.LOAN, "L1")
DAY = CounterKey(Kind.DAY, "2026-11-03")


@dataclass
class World:
    """A ledger, its reader and its aliases."""

    ledger: Ledger
    counters: CounterReader
    aliases: MemberAliases

    @property
    def apply_events(self) -> ApplyEvents:
        return ApplyEvents(
            self.ledger, self.aliases, FakeGenerations(), NAIROBI, lambda _: None, HotCounters(lambda: 0.0)
        )


@pytest.fixture(params=["in memory", "on a table"])
def world(request: pytest.FixtureRequest, table: Table) -> World:
    if request.param == "in memory":
        ledger = FakeLedger()
        return World(ledger, FakeCounterReader(ledger), FakeAliases())
    return on_a_table(table)


def on_a_table(table: Table) -> World:
    return World(DynamoLedger(table, FixedClock()), DynamoCounterReader(table, FakeGenerations()), DynamoAliases(table))


# -- both -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "fact"),
    [
        (
            LOAN,
            LoanFact(
                book="B1",
                member="A",
                title="T",
                role="patron",
                genre="novel",
                issued=ISSUED,
                due=DUE,
                due_rank=1,
                returned=BACK,
                lost=BACK,
                renewals={"1": ISSUED},
            ),
        ),
        (LOAN, LoanFact(issued=ISSUED, due=DUE, due_rank=0)),
        (
            FactKey(FactKind.TITLE, "B1"),
            TitleFact("T", "A", "novel", 3, True, 4, 0, {"copies": -2}),
        ),
        (FactKey(FactKind.HOLD, "H1"), HoldFact("B1", {"placed": ISSUED})),
        (FactKey(FactKind.EVENT, "E1"), EventFact(at=ISSUED, book="B1", copies=-1)),
        (FactKey(FactKind.MEMBER_MONTH, "A", "2026-11"), MemberMonth({"loans": 2, "d03": 2})),
    ],
)
def test_facts_are_read_as_they_were_written(world: World, key: FactKey, fact: Fact) -> None:
    assert world.ledger.facts(1, [key]) == {key: StoredFact(empty(key.kind), 0)}

    world.ledger.write(1, Entry({key: FactWrite(fact, 0)}, {DAY: {"loans": 1}}), ())

    assert world.ledger.facts(1, [key]) == {key: StoredFact(fact, 1)}
    assert world.ledger.facts(2, [key]) == {key: StoredFact(empty(key.kind), 0)}


def test_a_stale_fact_changes_nothing(world: World) -> None:
    one = Entry({LOAN: FactWrite(LoanFact(book="B1"), 0)}, {DAY: {"loans": 1}})
    world.ledger.write(1, one, ())

    with pytest.raises(VersionConflict):
        world.ledger.write(1, one, ())
    with pytest.raises(VersionConflict):
        world.ledger.write(1, Entry({LOAN: FactWrite(LoanFact(book="B2"), 2)}, {DAY: {"loans": 1}}), ())

    assert world.counters.of_days(Kind.DAY, Span(date(2026, 11, 1), date(2026, 11, 30))) == {DAY: {"loans": 1}}
    world.ledger.write(1, Entry({LOAN: FactWrite(LoanFact(book="B2"), 1)}, {DAY: {"loans": -1, "lost": 1}}), ())
    assert world.ledger.facts(1, [LOAN]) == {LOAN: StoredFact(LoanFact(book="B2"), 2)}


def test_a_history_is_read_alike_from_both(world: World) -> None:
    events = [
        added("B1", 2, genre="Novel"),
        created("L1", ISSUED, DUE, genre="Novel"),
        renewed("L1", "2026-11-10T09:00:00Z", DUE),
        returned("L1", BACK, ISSUED, DUE),
        created("L2", "2026-12-31T21:30:00Z", "2027-01-15T20:59:59Z", user="U2", book="B#2", genre="#1: odd"),
    ]
    assert set(world.apply_events.apply([*events, *events])) <= {COUNTED, ALREADY_COUNTED}
    assert set(world.apply_events.apply(events)) == {ALREADY_COUNTED}

    years = Span(date(2026, 11, 1), date(2027, 1, 31))
    days = world.counters.of_days(Kind.DAY, years)
    assert {key.period: of.get("loans", 0) for key, of in days.items()} == {
        "2026-11-03": 1,
        "2026-11-10": 0,
        "2026-12-01": 0,
        "2027-01-01": 1,
    }
    assert days[CounterKey(Kind.DAY, "2026-12-01")]["overdue_days"] == 14
    months = years.months()
    genres = world.counters.of_months(Kind.GENRE_MONTH, months)
    assert {(key.period, key.of): of.get("loans", 0) for key, of in genres.items()} == {
        ("2026-11", "novel"): 1,
        ("2026-12", "novel"): 0,
        ("2027-01", "#1: odd"): 1,
    }
    assert world.counters.of_days(Kind.GENRE_DAY, Span(date(2027, 1, 1), date(2027, 1, 1))) == {
        CounterKey(Kind.GENRE_DAY, "2027-01-01", "#1: odd"): {"loans": 1}
    }
    assert world.counters.of_months(Kind.TITLE_MONTH, ["2026-11", "2026-12"]) == {
        CounterKey(Kind.TITLE_MONTH, "2026-11", "B1"): {"loans": 1, "renewals": 1}
    }
    assert world.counters.of_days(Kind.TITLE_DAY, Span(date(2026, 12, 30), date(2027, 1, 2))) == {
        CounterKey(Kind.TITLE_DAY, "2027-01-01", "B#2"): {"loans": 1}
    }
    open_now = {key.period: of["open"] for key, of in world.counters.all_of(Kind.DUE).items() if of["open"]}
    assert open_now == {"2027-01-15": 1}
    assert world.counters.all_of(Kind.HOLDINGS) == {CounterKey(Kind.HOLDINGS, of="novel"): {"titles": 1, "copies": 2}}
    assert world.counters.of_months(Kind.MONTH, ["2027-01"]) == {
        CounterKey(Kind.MONTH, "2027-01"): {"active": 1, "b1": 1}
    }
    alias = world.aliases.of_member("U1")
    assert alias is not None
    assert [m.amounts["d03"] for m in world.counters.member(alias, ["2026-11"]).values()] == [1]
    everything = world.counters.all_of_member(alias)
    assert list(everything) == ["2026-11", "2026-12"]
    assert everything == world.counters.member(alias, ["2026-11", "2026-12"])
    assert {book: of.title for book, of in world.counters.titles(["B1", "B7"]).items()} == {"B1": "T"}


def test_an_erasure_is_for_good(world: World) -> None:
    aliases = world.aliases
    alias = aliases.of_members(["U1"])["U1"]
    assert alias == aliases.of_member("U1") == aliases.of_members(["U1", "U2"])["U1"]

    assert aliases.erase("U1")

    assert not aliases.erase("U1")
    assert aliases.of_members(["U1", "U2"])["U1"] is None
    assert aliases.of_member("U1") is None
    assert aliases.erase("U9")
    assert aliases.of_members(["U9"]) == {"U9": None}


# -- the table ------------------------------------------------------------------------------------


def test_a_counter_in_several_places_is_read_as_one(table: Table) -> None:
    luck = iter((0.5, 0.999))
    ledger = DynamoLedger(table, FixedClock(), jitter=lambda: next(luck))
    for number in range(3):
        key = FactKey(FactKind.LOAN, f"L{number}")
        spread = {DAY} if number else ()
        ledger.write(1, Entry({key: FactWrite(LoanFact(book="B"), 0)}, {DAY: {"loans": 1}}), spread)

    places = [counter_key(1, DAY, shard) for shard in range(SHARDS)]
    assert [item["sk"][-2:] for item in table.get_many(places)] == ["00", "08", "15"]
    counters = DynamoCounterReader(table, FakeGenerations())
    assert counters.of_days(Kind.DAY, Span(date(2026, 11, 3), date(2026, 11, 3))) == {DAY: {"loans": 3}}


def test_collisions_say_which_counters_were_in_the_way(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: Any, attempts: int) -> None:
        assert attempts == 1
        raise TransactionBusy("transaction", [0, 2])

    monkeypatch.setattr(table, "transact", busy)
    other = CounterKey(Kind.DUE, "2026-11-17")

    with pytest.raises(CountersBusy) as met:
        DynamoLedger(table, FixedClock()).write(
            1, Entry({LOAN: FactWrite(LoanFact(book="B"), 0)}, {DAY: {"loans": 1}, other: {"open": 1}}), ()
        )

    assert met.value.counters == {other}


@pytest.mark.parametrize(
    ("fact", "kept"),
    [
        (LoanFact(issued=ISSUED), None),
        (LoanFact(issued=ISSUED, returned="2001-01-01T00:00:00Z"), timedelta(days=180)),
        (LoanFact(lost=BACK), timedelta(days=5 * 365)),
        (HoldFact("B", {"placed": ISSUED}), None),
        (HoldFact("B", {"placed": ISSUED, "filled": ISSUED}), timedelta(days=180)),
        (EventFact(at=ISSUED, joined="patron"), timedelta(days=90)),
        (TitleFact("T"), None),
    ],
)
def test_what_is_over_expires_some_time_after_it_was_last_written(
    table: Table, fact: Fact, kept: timedelta | None
) -> None:
    kinds = {LoanFact: FactKind.LOAN, HoldFact: FactKind.HOLD, EventFact: FactKind.EVENT, TitleFact: FactKind.TITLE}
    kind = kinds[type(fact)]

    DynamoLedger(table, FixedClock()).write(1, Entry({FactKey(kind, "X"): FactWrite(fact, 0)}), ())

    item = table.get({"pk": f"G1#{kind.value}#X", "sk": "FACT"})
    assert item is not None
    assert item.get("expires_at_epoch") == (int((NOON + kept).timestamp()) if kept else None)


def test_no_answer_reads_without_end(table: Table) -> None:
    world = on_a_table(table)
    world.apply_events.apply([created(f"L{n}", ISSUED, DUE, book=f"B{n}") for n in range(4)])

    three = DynamoCounterReader(table, FakeGenerations(), most_items=3)

    assert (
        len(DynamoCounterReader(table, FakeGenerations(), most_items=4).of_months(Kind.TITLE_MONTH, ["2026-11"])) == 4
    )
    with pytest.raises(PeriodTooBusy):
        three.of_months(Kind.TITLE_MONTH, ["2026-11"])


@pytest.mark.parametrize(
    "key",
    [
        CounterKey(Kind.DAY, "2026-11-03"),
        CounterKey(Kind.MONTH, "2026-11"),
        CounterKey(Kind.GENRE_DAY, "2026-11-03", "a#b#00"),
        CounterKey(Kind.GENRE_MONTH, "2026-11", "a"),
        CounterKey(Kind.TITLE_DAY, "2026-11-03", "B"),
        CounterKey(Kind.TITLE_MONTH, "2026-11", "B"),
        CounterKey(Kind.DUE, "2026-11-03"),
        CounterKey(Kind.HOLDINGS, of="a"),
        CounterKey(Kind.WAITING, of="B"),
        CounterKey(Kind.NOW),
    ],
)
def test_every_counter_is_found_again_by_its_key(key: CounterKey) -> None:
    placed = counter_key(12, key, 7)

    assert counter_of(key.kind, placed["pk"], placed["sk"]) == key
    assert placed["pk"].startswith("G12#")


def test_two_processes_name_a_member_once(table: Table) -> None:
    """The second one finds the name of the first where it wanted to put its own."""
    first, second = DynamoAliases(table, ids=lambda: "first"), DynamoAliases(table, ids=lambda: "second")
    second._table = _Late(table, lambda: first.of_members(["U1"]))  # type: ignore[assignment]  # a table that is slow

    assert second.of_members(["U1"]) == {"U1": "first"}


class _Late:
    """A table of which nothing is read that is there, for somebody else comes in between reading and writing."""

    def __init__(self, table: Table, meanwhile: Any) -> None:
        self._table, self._meanwhile = table, meanwhile

    def get_many(self, keys: Any) -> list[Any]:
        found = self._table.get_many(keys)
        self._meanwhile()
        return found

    def put(self, item: Any, condition: Any) -> None:
        self._table.put(item, condition)


def test_what_the_catalogue_answered_is_kept_once(world: World) -> None:
    described = BookDescribed(
        event_id="asked/B1", at=NOON, book_id="B1", book_version=4, title="Kindred", author="Octavia Butler"
    )

    assert world.apply_events.describe([described]) == [COUNTED]
    assert world.apply_events.describe([described]) == [ALREADY_COUNTED]
    assert world.counters.titles(["B1", "B2"]) == {"B1": TitleFact(title="Kindred", author="Octavia Butler", version=4)}
    assert world.counters.all_of(Kind.HOLDINGS) == {}
