"""Analytics in memory: a ledger with failures on demand, aliases, generations, counters; and its events."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from analytics_service.application.apply_events import ApplyEvents, HotCounters
from analytics_service.application.ports import (
    CatalogueUnavailable,
    Entry,
    Generations,
    StoredFact,
)
from analytics_service.application.reports import Reports
from analytics_service.application.title_names import TitleNames
from analytics_service.domain.contributions import Contribution, contribution
from analytics_service.domain.counters import CounterKey, Kind, Measures
from analytics_service.domain.days import Calendar, Span
from analytics_service.domain.facts import Fact, FactKey, FactKind, MemberMonth, TitleFact, empty
from analytics_service.domain.incoming_events import BookDescribed
from library_common.consumers import Delivery
from library_common.events import Envelope
from library_common.versions import VersionConflict
from tests.support.clock import FixedClock

NAIROBI = Calendar(ZoneInfo("Africa/Nairobi"))
"""Three hours ahead: late evenings in UTC are the next day."""


class Died(BaseException):
    """The process ends here, as far as the test is concerned."""


@dataclass
class FakeLedger:
    """Implements `Ledger`. before_write, after_write: called around each write with its number; may raise."""

    kept: dict[tuple[int, FactKey], StoredFact] = field(default_factory=dict)
    counters: dict[tuple[int, CounterKey], dict[str, int]] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    spread: list[frozenset[CounterKey]] = field(default_factory=list)
    before_write: Callable[[int, Entry], None] = lambda number, entry: None
    after_write: Callable[[int, Entry], None] = lambda number, entry: None
    writes: int = 0

    def facts(self, generation: int, keys: Collection[FactKey]) -> dict[FactKey, StoredFact]:
        return {key: self.kept.get((generation, key), StoredFact(empty(key.kind), 0)) for key in keys}

    def write(self, generation: int, entry: Entry, spread: Collection[CounterKey]) -> None:
        self.writes += 1
        self.before_write(self.writes, entry)
        for key, write in entry.facts.items():
            if self.kept.get((generation, key), StoredFact(empty(key.kind), 0)).version != write.expected_version:
                raise VersionConflict
        self.sizes.append(entry.size)
        self.spread.append(frozenset(spread) & entry.counters.keys())
        for key, write in entry.facts.items():
            self.kept[generation, key] = StoredFact(write.fact, write.expected_version + 1)
        for counter, measures in entry.counters.items():
            sums = self.counters.setdefault((generation, counter), {})
            for measure, amount in measures.items():
                sums[measure] = sums.get(measure, 0) + amount
        self.after_write(self.writes, entry)

    # -- looking ------------------------------------------------------------------------------

    def sums(self, generation: int = 1) -> dict[CounterKey, dict[str, int]]:
        """Every counter that is not zero."""
        found = {
            key: {measure: amount for measure, amount in measures.items() if amount}
            for (of, key), measures in self.counters.items()
            if of == generation
        }
        return {key: measures for key, measures in found.items() if measures}

    def facts_of(self, generation: int = 1) -> dict[FactKey, Fact]:
        return {key: kept.fact for (of, key), kept in self.kept.items() if of == generation}

    def contributed(self, calendar: Calendar, generation: int = 1) -> dict[CounterKey, dict[str, int]]:
        """What the counters have to be: the contributions of all facts, added up."""
        total = Contribution()
        for key, fact in self.facts_of(generation).items():
            total.plus(contribution(key, fact, calendar))
        return {key: dict(measures) for key, measures in total.without_zeros().counters()}


@dataclass
class FakeAliases:
    """Implements `MemberAliases`."""

    known: dict[str, str | None] = field(default_factory=dict)

    def of_members(self, user_ids: Collection[str]) -> dict[str, str | None]:
        return {user_id: self.known.setdefault(user_id, f"alias-{len(self.known)}") for user_id in user_ids}

    def of_member(self, user_id: str) -> str | None:
        return self.known.get(user_id)

    def erase(self, user_id: str) -> bool:
        news = self.known.get(user_id, "") is not None
        self.known[user_id] = None
        return news


@dataclass
class FakeGenerations:
    """Implements `GenerationsView` and `GenerationsStore`. items: how many each generation has to delete.

    held: what each holds in all.
    """

    now: Generations = field(default_factory=Generations)
    items: dict[int, int] = field(default_factory=dict)
    before_write: Callable[[], None] = lambda: None
    held: dict[int, dict[str, int]] = field(default_factory=dict)

    def current(self) -> Generations:
        return self.now

    def read(self) -> Generations:
        return self.now

    def write(self, generations: Generations) -> None:
        self.before_write()
        if generations.version != self.now.version + 1:
            raise VersionConflict
        self.now = generations

    def totals(self, generation: int, last_year: int) -> Mapping[str, int]:
        return self.held.get(generation, {"loans": 0, "titles": 0})

    def delete_some(self, generation: int, position: Mapping[str, Any] | None) -> tuple[int, Mapping[str, Any] | None]:
        left = self.items.get(generation, 0)
        self.items[generation] = max(0, left - 10)
        return min(left, 10), {"pk": "somewhere"} if left > 10 else None


@dataclass
class FakeCounterReader:
    """Implements `CounterReader` on a ledger in memory."""

    ledger: FakeLedger
    generation: int = 1

    def of_days(self, kind: Kind, span: Span) -> dict[CounterKey, Measures]:
        first, last = span.first.isoformat(), span.last.isoformat()
        return {key: of for key, of in self.all_of(kind).items() if first <= key.period <= last}

    def of_months(self, kind: Kind, months: Sequence[str]) -> dict[CounterKey, Measures]:
        return {key: of for key, of in self.all_of(kind).items() if key.period in months}

    def all_of(self, kind: Kind) -> dict[CounterKey, Measures]:
        return {key: of for key, of in self.ledger.sums(self.generation).items() if key.kind is kind}

    def titles(self, book_ids: Sequence[str]) -> dict[str, TitleFact]:
        facts = self.ledger.facts_of(self.generation)
        found = {book_id: facts.get(FactKey(FactKind.TITLE, book_id)) for book_id in book_ids}
        return {book_id: fact for book_id, fact in found.items() if isinstance(fact, TitleFact)}

    def member(self, alias: str, months: Sequence[str]) -> dict[str, MemberMonth]:
        facts = self.ledger.facts_of(self.generation)
        found = {month: facts.get(FactKey(FactKind.MEMBER_MONTH, alias, month)) for month in months}
        return {month: fact for month, fact in found.items() if isinstance(fact, MemberMonth)}

    def all_of_member(self, alias: str) -> dict[str, MemberMonth]:
        facts = self.ledger.facts_of(self.generation)
        months = sorted(key.part for key in facts if key.kind is FactKind.MEMBER_MONTH and key.id == alias)
        return self.member(alias, months)


@dataclass
class FakeCatalogue:
    """Implements `Catalogue`. titles: what it knows. asked: for which titles. is_down: it answers nobody."""

    titles: dict[str, BookDescribed] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    is_down: bool = False
    before_answer: Callable[[float], None] = lambda deadline: None

    def add(self, book_id: str, *, version: int = 1, **told: Any) -> None:
        about: dict[str, Any] = {"title": "T", "author": "A", **told}
        self.titles[book_id] = BookDescribed.model_validate(
            {"event_id": "asked", "at": "2026-11-01T08:00:00Z", "book_id": book_id, "book_version": version, **about}
        )

    def describe(self, book_id: str, deadline: float) -> BookDescribed | None:
        self.asked.append(book_id)
        self.before_answer(deadline)
        if self.is_down:
            raise CatalogueUnavailable
        return self.titles.get(book_id)


@dataclass
class Counting:
    """Everything of analytics, in memory."""

    ledger: FakeLedger = field(default_factory=FakeLedger)
    aliases: FakeAliases = field(default_factory=FakeAliases)
    generations: FakeGenerations = field(default_factory=FakeGenerations)
    clock: FixedClock = field(default_factory=FixedClock)
    catalogue: FakeCatalogue = field(default_factory=FakeCatalogue)
    calendar: Calendar = NAIROBI

    def __post_init__(self) -> None:
        self.hot = HotCounters(self.clock.monotonic)
        self.title_names = title_names(self.apply_events, self.catalogue, self.clock.monotonic)

    @property
    def apply_events(self) -> ApplyEvents:
        return ApplyEvents(self.ledger, self.aliases, self.generations, self.calendar, self.clock.sleep, self.hot)

    @property
    def reports(self) -> Reports:
        counters = FakeCounterReader(self.ledger, self.generations.now.live)
        return Reports(counters, self.title_names, self.aliases, self.calendar, self.clock)


def title_names(
    apply_events: ApplyEvents, catalogue: FakeCatalogue | None = None, monotonic: Callable[[], float] = lambda: 0.0
) -> TitleNames:
    """Names from a catalogue that knows nothing, unless told otherwise."""
    known = catalogue or FakeCatalogue()
    return TitleNames(lambda: known, apply_events, monotonic)


# -- events ---------------------------------------------------------------------------------------

_numbers = iter(range(10**9))


def event(kind: str, at: str, *, event_id: str | None = None, replay: str | None = None, **data: Any) -> Delivery:
    """An event as the queue brings it."""
    envelope = Envelope(
        id=event_id or f"E{next(_numbers)}",
        type=kind,
        version=1,
        occurred_at=at,
        correlation_id="c",
        actor="system",
        subject="x",
        data=data,
    )
    return Delivery(envelope, replay)


def created(loan: str, at: str, due: str, *, user: str = "U1", book: str = "B1", **more: Any) -> Delivery:
    told: dict[str, Any] = {"barcode": "3", "title": "T", "role": "patron", "issue_date": at, "due_date": due, **more}
    return event("LoanCreated", at, event_id=f"{loan}-c", loan_id=loan, user_id=user, book_id=book, **told)


def renewed(loan: str, at: str, due: str, count: int = 1, *, user: str = "U1", book: str = "B1") -> Delivery:
    told: dict[str, Any] = {
        "barcode": "3",
        "title": "T",
        "old_due_date": at,
        "due_date": due,
        "extensions_count": count,
    }
    return event("LoanRenewed", at, event_id=f"{loan}-n{count}", loan_id=loan, user_id=user, book_id=book, **told)


def returned(loan: str, at: str, issued: str, due: str, *, user: str = "U1", book: str = "B1") -> Delivery:
    told: dict[str, Any] = {
        "barcode": "3",
        "title": "T",
        "issue_date": issued,
        "due_date": due,
        "return_date": at,
        "condition": "good",
    }
    return event("LoanReturned", at, event_id=f"{loan}-r", loan_id=loan, user_id=user, book_id=book, **told)


def added(book: str, copies: int, *, title: str = "T", author: str = "A", **more: Any) -> Delivery:
    told: dict[str, Any] = {"book_version": 1, "title": title, "author": author, "total_copies": copies, **more}
    return event("BookAdded", "2026-11-01T08:00:00Z", event_id=f"{book}-a", book_id=book, **told)
