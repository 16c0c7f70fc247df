"""What the use cases need from outside, as Protocols."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from analytics_service.domain.counters import CounterKey, Kind, Measures
from analytics_service.domain.days import Span
from analytics_service.domain.facts import Fact, FactKey, MemberMonth, TitleFact
from analytics_service.domain.incoming import BookDescribed


@dataclass(frozen=True)
class Kept:
    """A fact as stored. version: 0 for one that is not stored yet."""

    fact: Fact
    version: int


@dataclass(frozen=True)
class FactWrite:
    """The fact as it is to be, and the version it starts from."""

    fact: Fact
    was: int


@dataclass
class Entry:
    """What is written together: facts, and what the counters change with them."""

    facts: dict[FactKey, FactWrite] = field(default_factory=dict)
    counters: dict[CounterKey, Measures] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.facts) + len(self.counters)


class Stale(Exception):
    """A fact is not what it was when it was read. Nothing was written."""


class Contended(Exception):
    """Other transactions were writing some of the counters (or facts, when there are none). Nothing was written."""

    def __init__(self, counters: Iterable[CounterKey]) -> None:
        super().__init__("other transactions were faster")
        self.counters = frozenset(counters)


class Ledger(Protocol):
    """Facts and counters of all generations."""

    def facts(self, generation: int, keys: Collection[FactKey]) -> dict[FactKey, Kept]:
        """Fresh, of all keys: what is not stored is empty and has version 0."""
        ...

    def write(self, generation: int, entry: Entry, spread: Collection[CounterKey]) -> None:
        """All or nothing. spread: counters to add to in another place than their first. Raises Stale, Contended."""
        ...


class People(Protocol):
    """Who is behind which alias. The one place that knows, so forgetting somebody is one write."""

    def aliases(self, user_ids: Collection[str]) -> dict[str, str | None]:
        """An alias for each, made at the first asking; None for who is erased."""
        ...

    def alias(self, user_id: str) -> str | None:
        """The alias there is. Makes none."""
        ...

    def erase(self, user_id: str) -> bool:
        """Forgets whose alias it was, for good. False when that was done before."""
        ...


@dataclass(frozen=True)
class Generations:
    """Which set of facts and counters is read (live), and which one is being built, if one is.

    previous: what was live before, kept and counted in as well, so that it can be live again. last: the highest number
    ever given. dropping: numbers that are being deleted, with a position to go on from. changed_at: the last begin,
    finish, revert, abandon or giving up of the previous one.
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
    def beside(self) -> int | None:
        """The other set that live events are counted in, if there is one: there is never more than one."""
        return self.building if self.building is not None else self.previous


class GenerationsView(Protocol):
    """The generations, at most a few seconds old."""

    def current(self) -> Generations: ...


class GenerationsStore(Protocol):
    """The generations themselves."""

    def read(self) -> Generations: ...

    def write(self, generations: Generations) -> None:
        """Conditional on `version`, the one before. Raises Stale."""
        ...

    def totals(self, generation: int, last_year: int) -> Mapping[str, int]:
        """What a generation holds in all, by measure: loans of all months up to that year's end, and titles."""
        ...

    def delete_some(self, generation: int, position: Mapping[str, Any] | None) -> tuple[int, Mapping[str, Any] | None]:
        """Deletes a page of a generation's items; answers how many, and the position to go on from or None."""
        ...


class TooMuch(Exception):
    """The answer would take reading more counters than one request may."""


class Figures(Protocol):
    """Counters as reports read them, of the live generation. Sums over all places a counter is kept in."""

    def of_days(self, kind: Kind, span: Span) -> dict[CounterKey, Measures]:
        """Counters of a kind that has days. Raises TooMuch."""
        ...

    def of_months(self, kind: Kind, months: Sequence[str]) -> dict[CounterKey, Measures]:
        """Counters of a kind that has months, which follow one another. Raises TooMuch."""
        ...

    def all_of(self, kind: Kind) -> dict[CounterKey, Measures]:
        """Counters of a kind that has no period, and those of DUE. Raises TooMuch."""
        ...

    def titles(self, book_ids: Sequence[str]) -> dict[str, TitleFact]: ...

    def member(self, alias: str, months: Sequence[str]) -> dict[str, MemberMonth]: ...

    def all_of_member(self, alias: str) -> dict[str, MemberMonth]:
        """Every month there is, oldest first."""
        ...


class CatalogueUnavailable(Exception):
    """The catalogue does not answer at the moment."""


class Catalogue(Protocol):
    """Where titles are described."""

    def describe(self, book_id: str, deadline: float) -> BookDescribed | None:
        """What a title is called now; None for one that is not there. deadline: a moment on the monotonic clock.

        Raises CatalogueUnavailable.
        """
        ...


type Days = Mapping[date, Measures]
