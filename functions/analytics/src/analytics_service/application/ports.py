"""What the use cases need from outside."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from analytics_service.domain.counters import CounterKey, Kind, Measures
from analytics_service.domain.days import Span
from analytics_service.domain.facts import Fact, FactKey, MemberMonth, TitleFact
from analytics_service.domain.incoming_events import BookDescribed


@dataclass(frozen=True)
class StoredFact:
    """A fact and its version; 0 if it is not stored."""

    fact: Fact
    version: int


@dataclass(frozen=True)
class FactWrite:
    """The new state of a fact, and the version that is stored now."""

    fact: Fact
    expected_version: int


@dataclass
class Entry:
    """What is written together: facts, and the changes of counters that follow from them."""

    facts: dict[FactKey, FactWrite] = field(default_factory=dict)
    counters: dict[CounterKey, Measures] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.facts) + len(self.counters)


class CountersBusy(Exception):
    """Other transactions were writing these counters (or the facts, if there are none). Nothing was written."""

    def __init__(self, counters: Iterable[CounterKey]) -> None:
        super().__init__("other transactions were writing the same counters")
        self.counters = frozenset(counters)


class Ledger(Protocol):
    """Facts and counters of all generations."""

    def facts(self, generation: int, keys: Collection[FactKey]) -> dict[FactKey, StoredFact]:
        """All these facts, strongly consistent. One that is not stored is empty and has version 0."""
        ...

    def write(self, generation: int, entry: Entry, spread: Collection[CounterKey]) -> None:
        """All or nothing. spread: counters to write to another shard than the first.

        Raises VersionConflict, CountersBusy.
        """
        ...


class MemberAliases(Protocol):
    """The aliases of members. Nothing else says whose an alias is, so an erasure is one write."""

    def of_members(self, user_ids: Collection[str]) -> dict[str, str | None]:
        """An alias for each, made when first asked for; None for an erased member."""
        ...

    def of_member(self, user_id: str) -> str | None:
        """The alias, if there is one. Makes none."""
        ...

    def erase(self, user_id: str) -> bool:
        """Erases whose alias it was, for good. False if that was done before."""
        ...


@dataclass(frozen=True)
class Generations:
    """The sets of facts and counters: which one reports read (live), and which one is being built, if any.

    previous: the one that was live before. Events are counted in it too, so that it can be live again. last: the
    highest number ever used. dropping: numbers that are being deleted; position: where to go on. changed_at: when the
    last begin, finish, revert or abandon was, or the last clean that gave up a previous one.
    """

    live: int = 1
    building: int | None = None
    last: int = 1
    dropping: tuple[int, ...] = ()
    position: Mapping[str, Any] | None = None
    changed_at: datetime | None = None
    previous: int | None = None
    version: int = 0

    @property
    def second(self) -> int | None:
        """The other set in which live events are counted, if any. There is at most one."""
        return self.building if self.building is not None else self.previous


class GenerationsView(Protocol):
    """The generations, at most a few seconds old."""

    def current(self) -> Generations: ...


class GenerationsStore(Protocol):
    """The stored generations."""

    def read(self) -> Generations: ...

    def write(self, generations: Generations) -> None:
        """Writes if the stored version is one less. Raises VersionConflict."""
        ...

    def totals(self, generation: int, last_year: int) -> Mapping[str, int]:
        """The sums of a generation by measure: loans of all months up to the end of `last_year`, and titles."""
        ...

    def delete_some(self, generation: int, position: Mapping[str, Any] | None) -> tuple[int, Mapping[str, Any] | None]:
        """Deletes a page of a generation's items. Returns how many, and where to go on (None at the end)."""
        ...


class CounterReader(Protocol):
    """Reads counters of the live generation, with their shards added up."""

    def of_days(self, kind: Kind, span: Span) -> dict[CounterKey, Measures]:
        """The counters of a kind that has days. Raises PeriodTooBusy."""
        ...

    def of_months(self, kind: Kind, months: Sequence[str]) -> dict[CounterKey, Measures]:
        """The counters of a kind that has months, for consecutive months. Raises PeriodTooBusy."""
        ...

    def all_of(self, kind: Kind) -> dict[CounterKey, Measures]:
        """All counters of a kind that has no period, or of DUE. Raises PeriodTooBusy."""
        ...

    def titles(self, book_ids: Sequence[str]) -> dict[str, TitleFact]: ...

    def member(self, alias: str, months: Sequence[str]) -> dict[str, MemberMonth]: ...

    def all_of_member(self, alias: str) -> dict[str, MemberMonth]:
        """Every stored month, oldest first."""
        ...


class CatalogueUnavailable(Exception):
    """The catalogue does not answer at the moment."""


class Catalogue(Protocol):
    """The descriptions of titles."""

    def describe(self, book_id: str, deadline: float) -> BookDescribed | None:
        """The description of a title; None if there is no such title. deadline: a time of the monotonic clock.

        Raises CatalogueUnavailable.
        """
        ...
