"""Applies a batch of events to the facts and counters of a generation, as few transactions as possible.

What makes it right: a fact and what it changes in the counters are written in one transaction, on the version of
the fact that was read. So every event counts once however often it comes, in whatever order, and wherever a process
dies: before the transaction nothing has happened, after it a repeat folds to the same fact and writes nothing.

What makes it cheap: the facts of a whole batch are read at once and folded in memory, and the changes of a counter
that many events touch are added up to one.
"""

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from analytics_service.application.ports import (
    Contended,
    Entry,
    FactWrite,
    GenerationsView,
    Kept,
    Ledger,
    People,
    Stale,
)
from analytics_service.domain import incoming
from analytics_service.domain.contributions import Contribution, contribution
from analytics_service.domain.counters import CounterKey
from analytics_service.domain.days import Calendar
from analytics_service.domain.facts import Fact, FactKey, fold, key_of, member_of, with_amounts
from library_common.consumers import Delivery

SIZES = (100, 100, 60, 30, 12, 1, 1, 1)
"""Items in a transaction, try by try. Smaller ones collide less; at 1, each fact goes alone with its counters."""

COUNTED = "counted"
KNOWN = "known already"
NOTHING = "nothing to count"
NOT_BUILDING = "replayed in vain"
FORGOTTEN = "forgotten"

type Outcome = str | Exception


@dataclass(frozen=True)
class _Known:
    """An event understood. place: in the batch. member: the alias of whose act it was."""

    place: int
    change: incoming.Change
    key: FactKey
    member: str | None


@dataclass
class _Chunk:
    """Events that go into one transaction. facts: as they are to be; before: as the transaction expects them."""

    events: list[_Known] = field(default_factory=list)
    before: dict[FactKey, Kept] = field(default_factory=dict)
    facts: dict[FactKey, Fact] = field(default_factory=dict)
    changed: Contribution = field(default_factory=Contribution)

    def with_more(self, other: "_Chunk") -> "_Chunk":
        changed = Contribution()
        changed.plus(self.changed)
        changed.plus(other.changed)
        return _Chunk(
            [*self.events, *other.events],
            {**other.before, **self.before},
            {**self.facts, **other.facts},
            changed.without_nothing(),
        )

    def entry(self) -> Entry:
        return Entry(
            {
                key: FactWrite(fact, self.before[key].version)
                for key, fact in self.facts.items()
                if fact != self.before[key].fact
            },
            dict(self.changed.counters()),
        )


HOT_SECONDS = 60.0
"""How long a counter that collided is spread from the first try on."""


class HotCounters:
    """Which counters collided lately, as far as this process knows."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until: dict[CounterKey, float] = {}

    def note(self, counters: Iterable[CounterKey]) -> None:
        self._until.update(dict.fromkeys(counters, self._monotonic() + HOT_SECONDS))

    def now(self) -> frozenset[CounterKey]:
        moment = self._monotonic()
        self._until = {key: until for key, until in self._until.items() if until > moment}
        return frozenset(self._until)


@dataclass(frozen=True)
class Applying:
    """Counts events. sleep: takes seconds; jitter: a number from 0 to 1."""

    ledger: Ledger
    people: People
    generations: GenerationsView
    calendar: Calendar
    sleep: Callable[[float], None]
    hot: HotCounters
    jitter: Callable[[], float] = random.random

    def apply(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """One outcome for each, in the same order: a word, or what it failed with."""
        outcomes: dict[int, Outcome] = {}
        changes: dict[int, incoming.Change] = {}
        for place, delivery in enumerate(deliveries):
            try:
                change = _understood(delivery)
            except Exception as failure:  # noqa: BLE001 - whatever is wrong with one event, the others are counted
                outcomes[place] = failure
                continue
            if change is None:
                outcomes[place] = NOTHING
            else:
                changes[place] = change
        # First, so that nothing of the batch is noted under a name that is to be forgotten.
        for place, change in list(changes.items()):
            if isinstance(change, incoming.MemberErased):
                outcomes[place] = FORGOTTEN if self.people.erase(change.user_id) else KNOWN
                del changes[place]
        known = self._with_members(changes)
        current = self.generations.current()
        live = [event for event in known if deliveries[event.place].replay is None]
        replayed = [event for event in known if deliveries[event.place].replay is not None]
        outcomes.update(self._apply(current.live, live))
        if current.building is None:
            outcomes.update({event.place: NOT_BUILDING for event in replayed})
        if current.beside is not None:
            counted = self._apply(current.beside, known if current.building is not None else live)
            # An event that failed in either generation comes again; in the other one it is then known already.
            outcomes.update({place: end for place, end in counted.items() if _matters(outcomes.get(place), end)})
        return [outcomes[place] for place in range(len(deliveries))]

    def describe(self, titles: Sequence[incoming.BookDescribed]) -> list[Outcome]:
        """Notes what the catalogue answered about titles, as if events had said so: in every generation there is."""
        known = self._with_members(dict(enumerate(titles)))
        current = self.generations.current()
        outcomes = self._apply(current.live, known)
        if current.beside is not None:
            counted = self._apply(current.beside, known)
            outcomes.update({place: end for place, end in counted.items() if _matters(outcomes[place], end)})
        return [outcomes[place] for place in range(len(titles))]

    def _with_members(self, changes: Mapping[int, incoming.Change]) -> list[_Known]:
        wanted = {user_id for change in changes.values() if (user_id := member_of(change)) is not None}
        aliases = self.people.aliases(wanted) if wanted else {}
        known = []
        for place, change in changes.items():
            key, user_id = key_of(change), member_of(change)
            if key is not None:
                known.append(_Known(place, change, key, aliases[user_id] if user_id is not None else None))
        return known

    def _apply(self, generation: int, events: Sequence[_Known]) -> dict[int, Outcome]:
        outcomes: dict[int, Outcome] = {}
        waiting = list(events)
        failures: dict[int, Exception] = {}
        for attempt, size in enumerate(SIZES):
            if not waiting:
                break
            if attempt:
                self.sleep(self.jitter() * 0.02 * 2**attempt)
            # At last each event by itself: what is wrong with one must not take others along.
            groups = [waiting] if size > 1 else [[event] for event in waiting]
            failures = {}
            for group in groups:
                self._write(generation, group, size, outcomes, failures)
            waiting = [event for event in waiting if event.place not in outcomes]
        outcomes.update({event.place: failures.get(event.place) or Stale() for event in waiting})
        return outcomes

    def _write(
        self,
        generation: int,
        events: Sequence[_Known],
        size: int,
        outcomes: dict[int, Outcome],
        failures: dict[int, Exception],
    ) -> None:
        """Writes what can be written and notes its outcome, or why not."""
        unwritten: set[FactKey] = set()
        try:
            for chunk in self._chunks(generation, events, size):
                entry = chunk.entry()
                if unwritten & chunk.before.keys():
                    # It builds on what was not written. Its conditions would not tell: somebody else may have brought
                    # a fact to the very version that we wanted to.
                    unwritten.update(chunk.facts)
                    continue
                if not entry.facts:
                    outcomes.update({event.place: KNOWN for event in chunk.events})
                    continue
                try:
                    self.ledger.write(generation, entry, self.hot.now())
                except Exception as failed:  # noqa: BLE001 - the next try is smaller
                    failures.update({event.place: failed for event in chunk.events})
                    self.hot.note(failed.counters if isinstance(failed, Contended) else ())
                    unwritten.update(chunk.facts)
                else:
                    outcomes.update({event.place: COUNTED for event in chunk.events})
        except (ValueError, TypeError, ArithmeticError, LookupError) as failed:
            # Something in an event that nobody thought of. A storage that fails raises something else, and fails all.
            failures.update({event.place: failed for event in events if event.place not in outcomes})

    def _chunks(self, generation: int, events: Sequence[_Known], size: int) -> Iterator[_Chunk]:
        """The events in chunks of at most `size` items; what is alone in its chunk may be more.

        A later chunk expects the facts as an earlier one leaves them: where the earlier one is not written, the later
        one must not be, either.
        """
        state = self.ledger.facts(generation, {event.key for event in events})
        groups = _by_fact(events) if size > 1 else [[event] for event in events]
        # Facts with amounts are known by name only once it is known what the others change.
        follow = {key for group in groups for key, _ in self._alone(state, group).changed.amounts()}
        state.update(self.ledger.facts(generation, follow - state.keys()))
        chunk = _Chunk()
        for group in groups:
            more = self._completed(generation, state, group)
            together = chunk.with_more(more)
            if chunk.events and together.entry().size > size:
                yield chunk
                for key, write in chunk.entry().facts.items():
                    state[key] = Kept(write.fact, write.was + 1)
                together = more = self._completed(generation, state, group)
            chunk = together
            state.update({key: Kept(fact, state[key].version) for key, fact in more.facts.items()})
        if chunk.events:
            yield chunk

    def _alone(self, state: Mapping[FactKey, Kept], events: Sequence[_Known]) -> _Chunk:
        """The events of one fact, without what follows for other facts."""
        key = events[0].key
        fact = state[key].fact
        for event in events:
            fact = fold(fact, event.change, event.member)
        changed = self._difference(key, state[key].fact, fact)
        return _Chunk(list(events), {key: state[key]}, {key: fact}, changed)

    def _completed(self, generation: int, state: dict[FactKey, Kept], events: Sequence[_Known]) -> _Chunk:
        """The events of one fact with what follows for other facts, and for counters from those."""
        chunk = self._alone(state, events)
        total = Contribution({key: dict(measures) for key, measures in chunk.changed.counters()})
        for key, amounts in chunk.changed.amounts():
            if key not in state:
                state.update(self.ledger.facts(generation, [key]))
            old = state[key].fact
            new = with_amounts(old, amounts)
            chunk.before[key], chunk.facts[key] = state[key], new
            total.plus(self._difference(key, old, new))
        chunk.changed = total.without_nothing()
        return chunk

    def _difference(self, key: FactKey, old: Fact, new: Fact) -> Contribution:
        return contribution(key, new, self.calendar).less(contribution(key, old, self.calendar))


def _understood(delivery: Delivery) -> incoming.Change | None:
    envelope = delivery.envelope
    return incoming.understand(envelope.type, envelope.id, envelope.occurred_at, envelope.data, source=delivery.source)


def _by_fact(events: Collection[_Known]) -> list[list[_Known]]:
    """The events fact by fact, those of one member and title side by side: they share counters."""
    grouped: dict[FactKey, list[_Known]] = {}
    for event in events:
        grouped.setdefault(event.key, []).append(event)
    return [grouped[key] for key in sorted(grouped, key=lambda key: (grouped[key][0].member or "", key))]


def _matters(before: Outcome | None, after: Outcome) -> bool:
    return before is None or isinstance(after, Exception) or (before == KNOWN and after == COUNTED)
