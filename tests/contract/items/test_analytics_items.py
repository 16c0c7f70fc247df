"""An item that a newer version of analytics wrote survives every write of this one.

Old and new code share the table while a deployment runs, and after a roll-back. A new kind of fact, counter
or event, and a new use case, fail a test here until they are covered.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from analytics_service.adapters.aliases import DynamoAliases
from analytics_service.adapters.counter_reader import DynamoCounterReader
from analytics_service.adapters.dynamodb import DynamoLedger
from analytics_service.adapters.generations import CachedGenerations, DynamoGenerations
from analytics_service.adapters.keys import PARTITION_NAMES
from analytics_service.application.apply_events import (
    ALREADY_COUNTED,
    COUNTED,
    ERASED,
    NOT_APPLICABLE,
    ApplyEvents,
    HotCounters,
)
from analytics_service.application.rebuild import SETTLED, Rebuild
from analytics_service.domain.counters import Kind
from analytics_service.domain.days import Span
from analytics_service.domain.facts import FactKind
from analytics_service.domain.incoming_events import SOURCES, BookDescribed, parse_event
from library_common.consumers import Delivery
from library_common.dynamodb import Item, Table
from tests.fakes.analytics import NAIROBI, added, created, event, renewed, returned
from tests.support.clock import NOON, FixedClock
from tests.support.future_items import Place, add_to_all, everything, lost, overwrite, public_methods
from tests.support.tables import create_table, dynamodb_in_moto

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.contract

TABLE = "analytics"
ISSUED, RENEWED, BACK = "2026-11-03T09:00:00Z", "2026-11-10T09:00:00Z", "2026-12-10T09:00:00Z"
DUE, LATER = "2026-11-17T20:59:59Z", "2026-12-01T20:59:59Z"


def about_hold(kind: str, hold: str) -> Delivery:
    return event(kind, ISSUED, reservation_id=hold, book_id="B1", user_id="U1")


def copies_changed(book: str) -> Delivery:
    return event("CopyStatusChanged", ISSUED, book_id=book, copies=[{"barcode": "9", "status": "in_repair"}])


def before() -> list[Delivery]:
    """Events that leave an item of every kind, each of which a later event changes."""
    return [
        added("B1", 2, genre="Novel"),
        created("L1", ISSUED, DUE, genre="Novel"),
        created("L2", ISSUED, DUE, genre="Novel", user="U2"),
        about_hold("BookReserved", "H1"),
        about_hold("BookReserved", "H2"),
        about_hold("BookReserved", "H3"),
        event("MemberRegistered", ISSUED, event_id="E1", user_id="U1", role="of-a-newer-kind"),
        copies_changed("B1"),
    ]


EVENTS: dict[str, Delivery] = {
    "LoanCreated": created("L3", ISSUED, DUE, genre="Novel"),
    "LoanRenewed": renewed("L1", RENEWED, LATER),
    "LoanReturned": returned("L1", BACK, ISSUED, DUE),
    "LoanLost": event("LoanLost", BACK, loan_id="L2", user_id="U2", book_id="B1", title="T"),
    "BookReserved": about_hold("BookReserved", "H4"),
    "ReservationReady": about_hold("ReservationReady", "H1"),
    "ReservationExpired": about_hold("ReservationExpired", "H2"),
    "ReservationCancelled": about_hold("ReservationCancelled", "H3"),
    "BookAdded": added("B2", 1, genre="Novel"),
    "BookUpdated": event("BookUpdated", BACK, book_id="B1", book_version=2, title="New", author="A", changed=["title"]),
    "BookRemoved": event("BookRemoved", BACK, book_id="B1", book_version=3),
    "BookRestored": event("BookRestored", BACK, book_id="B1", book_version=4),
    "CopyStatusChanged": copies_changed("B1"),
    "MemberRegistered": event("MemberRegistered", BACK, event_id="E9", user_id="U9", role="patron"),
    "MemberErased": event("MemberErased", BACK, user_id="U1"),
}


@dataclass
class World:
    """A table with an item of every kind, all written by a newer version."""

    client: "DynamoDBClient"
    clock: FixedClock = field(default_factory=FixedClock)

    def __post_init__(self) -> None:
        table = Table(TABLE, lambda: self.client, sleep=lambda _: None)
        self.generations = DynamoGenerations(table)
        view = CachedGenerations(self.generations, self.clock.monotonic)
        self.apply_events = ApplyEvents(
            DynamoLedger(table, self.clock),
            DynamoAliases(table),
            view,
            NAIROBI,
            self.clock.sleep,
            HotCounters(self.clock.monotonic),
        )
        self.counters = DynamoCounterReader(table, view)
        self.rebuild = Rebuild(self.generations, self.clock, lambda: 60.0)
        self.rebuild.begin()
        self.rebuild.abandon()
        assert set(self.apply_events.apply(before())) == {COUNTED}
        self.before = add_to_all(self.client, TABLE)

    def operations(self) -> dict[str, Callable[[], object]]:
        """Every use case that writes."""
        described = BookDescribed(event_id="asked/B1", at=NOON, book_id="B1", book_version=7, title="T", author="A")
        rebuild = self.rebuild
        return {
            **{f"ApplyEvents.apply {kind}": self._applied(told) for kind, told in EVENTS.items()},
            "ApplyEvents.describe": lambda: self.apply_events.describe([described]),
            "Rebuild.begin": rebuild.begin,
            "Rebuild.finish": lambda: self._steps(rebuild.begin, lambda: rebuild.finish(force=True)),
            "Rebuild.revert": lambda: self._steps(rebuild.begin, lambda: rebuild.finish(force=True), rebuild.revert),
            "Rebuild.abandon": lambda: self._steps(rebuild.begin, rebuild.abandon),
            "Rebuild.clean": lambda: self._steps(rebuild.clean),
        }

    def _steps(self, *steps: Callable[[], object]) -> None:
        for step in steps:
            self.clock.advance(SETTLED)
            step()

    def _applied(self, told: Delivery) -> Callable[[], object]:
        def apply() -> None:
            (outcome,) = self.apply_events.apply([told])
            assert outcome in {COUNTED, ERASED}, outcome
            (outcome,) = self.apply_events.apply([told])
            assert outcome == ALREADY_COUNTED

        return apply


OPERATIONS = [
    *(f"ApplyEvents.apply {kind}" for kind in SOURCES),
    "ApplyEvents.describe",
    *(f"Rebuild.{step}" for step in ("begin", "finish", "revert", "abandon", "clean")),
]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with dynamodb_in_moto(monkeypatch) as client:
        create_table(client, "AnalyticsTable", TABLE)
        yield World(client)


def kind_of(place: Place) -> str:
    """The kind of an item: the first part of its key that is not the generation."""
    parts = place[0].split("#")
    return parts[1] if parts[0].startswith("G") else parts[0]


def test_every_kind_of_item_is_there(world: World) -> None:
    facts, counters = {kind.value for kind in FactKind}, {PARTITION_NAMES[kind] for kind in Kind}
    assert {kind_of(place) for place in world.before} == facts | counters | {"PERSON", "META"}


def test_every_use_case_and_every_event_is_called(world: World) -> None:
    there = {f"ApplyEvents.{name}" for name in public_methods(ApplyEvents)}
    there |= {f"Rebuild.{name}" for name in public_methods(Rebuild)} - {"Rebuild.status"}
    assert {name.split()[0] for name in world.operations()} == there
    assert set(world.operations()) == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_a_newer_version_added_survives(world: World, operation: str) -> None:
    world.operations()[operation]()

    after = everything(world.client, TABLE)
    assert set(world.before) <= set(after), "nothing is deleted"
    # An erasure also erases what a newer version stored of the person.
    erased = [("PERSON#U1", "PERSON")] if operation.endswith("MemberErased") else []
    assert list(lost(world.before, after)) == erased


def test_reports_read_counters_with_unknown_attributes(world: World) -> None:
    day = Span(NAIROBI.day(NOON).replace(day=3), NAIROBI.day(NOON).replace(day=3))
    (measures,) = world.counters.of_days(Kind.DAY, day).values()
    assert measures["loans"] == 2
    assert measures["new_other"] == 1, "a role of a newer version"
    assert world.counters.titles(["B1"])["B1"].amounts == {"copies": 1}, "a copy with a status of a newer version"


@pytest.mark.parametrize("kind", SOURCES)
def test_events_of_a_newer_version_are_read(kind: str) -> None:
    told = EVENTS[kind].envelope
    newer = {**told.data, "from_a_newer_version": {"a": 1}, "condition": "unheard of", "status": "unheard of"}
    assert parse_event(kind, told.id, told.occurred_at, newer) == parse_event(
        kind, told.id, told.occurred_at, told.data
    )


def test_events_of_an_unknown_type_change_nothing(world: World) -> None:
    assert world.apply_events.apply([event("OfANewerVersion", ISSUED, loan_id="L1")]) == [NOT_APPLICABLE]


class TestOldNames:
    """`fact_version` and `version` were called `v`, `archived_version` was called `shelf_version`."""

    NAMES = (("fact_version", "v"), ("archived_version", "shelf_version"))

    @pytest.fixture
    def old(self, world: World) -> World:
        world.apply_events.apply([EVENTS["BookRemoved"]])
        for item in everything(world.client, TABLE).values():
            names = (*self.NAMES, ("version", "v")) if item["pk"] == "META" else self.NAMES
            overwrite(world.client, TABLE, _renamed(item, dict(names)))
        return world

    @pytest.mark.parametrize("kind", ["LoanReturned", "LoanLost", "BookUpdated", "BookRestored", "ReservationReady"])
    def test_are_read_and_renamed_by_the_next_write(self, old: World, kind: str) -> None:
        assert old.apply_events.apply([EVENTS["BookRemoved"]]) == [ALREADY_COUNTED]
        assert old.apply_events.apply([EVENTS[kind]]) == [COUNTED]
        changed = [
            item
            for place, item in everything(old.client, TABLE).items()
            if kind_of(place) in {fact.value for fact in FactKind} and "fact_version" in item
        ]
        assert changed
        assert not [item for item in changed if {"v", "shelf_version"} & set(item)]

    def test_a_title_keeps_the_version_of_its_archiving(self, old: World) -> None:
        title = old.counters.titles(["B1"])["B1"]
        assert (title.archived, title.archived_version) == (True, 3)

    def test_of_the_generations(self, old: World) -> None:
        assert old.rebuild.begin()["building"] == 3
        item = everything(old.client, TABLE)["META", "GENERATIONS"]
        assert (item["version"], "v" in item) == (3, False)


def _renamed(item: Item, names: dict[str, str]) -> Item:
    return {names.get(name, name): value for name, value in item.items()}
