"""Applies a batch of events to the facts and counters of a generation, in as few transactions as possible.

Correct: a fact and its changes of counters are written in one transaction, on the version of the fact that was read.
So every event counts once, however often and in whatever order events arrive, and wherever a process dies. Before the
transaction nothing has happened; after it, a repeat folds to the same fact and writes nothing.

Cheap: the facts of a whole batch are read at once and folded in memory, and the changes that many events make to one
counter are added up.
"""

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from analytics_service.application.ports import (
    CountersBusy,
    Entry,
    FactWrite,
    GenerationsView,
    Ledger,
    MemberAliases,
    StoredFact,
)
from analytics_service.domain import incoming_events as incoming
from analytics_service.domain.contributions import Contribution, contribution
from analytics_service.domain.counters import CounterKey
from analytics_service.domain.days import Calendar
from analytics_service.domain.facts import Fact, FactKey, fold, key_of, member_of, with_amounts
from library_common.consumers import Delivery
from library_common.versions import VersionConflict

SIZES = (100, 100, 60, 30, 12, 1, 1, 1)
"""Items in a transaction, by attempt. Smaller ones collide less; at 1, each event is written alone."""

COUNTED = "counted"
ALREADY_COUNTED = "already_counted"
NOT_APPLICABLE = "not_applicable"
NO_REBUILD = "no_rebuild"
ERASED = "erased"

type Outcome = str | Exception


@dataclass(frozen=True)
class _Event:
    """An event of the batch. place: its index in the batch. member: the alias of the member it is about."""

    place: int
    change: incoming.Change
    key: FactKey
    member: str | None


@dataclass
class _Chunk:
    """Events that go into one transaction. before: the facts as stored; facts: as they will be."""

    events: list[_Event] = field(default_factory=list)
    before: dict[FactKey, StoredFact] = field(default_factory=dict)
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
            changed.without_zeros(),
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
"""How long a counter that collided is written to other shards from the first attempt on."""


class HotCounters:
    """The counters that collided lately in this process."""

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
class ApplyEvents:
    """Applies events. sleep: takes seconds. jitter: returns a number from 0 to 1."""

    ledger: Ledger
    aliases: MemberAliases
    generations: GenerationsView
    calendar: Calendar
    sleep: Callable[[float], None]
    hot: HotCounters
    jitter: Callable[[], float] = random.random

    def apply(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """The outcome of each event, in the same order: a word, or the exception it failed with."""
        outcomes: dict[int, Outcome] = {}
        changes: dict[int, incoming.Change] = {}
        for place, delivery in enumerate(deliveries):
            try:
                event = delivery.envelope
                change = incoming.parse_event(
                    event.type, event.id, event.occurred_at, event.data, source=delivery.source
                )
            except Exception as failure:  # noqa: BLE001 - one wrong event must not stop the others
                outcomes[place] = failure
                continue
            if change is None:
                outcomes[place] = NOT_APPLICABLE
            else:
                changes[place] = change
        # First, so that nothing of the batch is counted for a member who is to be erased.
        for place, change in list(changes.items()):
            if isinstance(change, incoming.MemberErased):
                outcomes[place] = ERASED if self.aliases.erase(change.user_id) else ALREADY_COUNTED
                del changes[place]
        known = self._with_members(changes)
        current = self.generations.current()
        live = [event for event in known if deliveries[event.place].replay is None]
        replayed = [event for event in known if deliveries[event.place].replay is not None]
        outcomes.update(self._apply(current.live, live))
        if current.building is None:
            outcomes.update({event.place: NO_REBUILD for event in replayed})
        if current.second is not None:
            counted = self._apply(current.second, known if current.building is not None else live)
            # An event that failed in one generation comes again; in the other it is already counted then.
            outcomes.update({place: end for place, end in counted.items() if _replaces(outcomes.get(place), end)})
        return [outcomes[place] for place in range(len(deliveries))]

    def describe(self, titles: Sequence[incoming.BookDescribed]) -> list[Outcome]:
        """Applies descriptions from the catalogue as if they were events, in every generation."""
        known = self._with_members(dict(enumerate(titles)))
        current = self.generations.current()
        outcomes = self._apply(current.live, known)
        if current.second is not None:
            counted = self._apply(current.second, known)
            outcomes.update({place: end for place, end in counted.items() if _replaces(outcomes[place], end)})
        return [outcomes[place] for place in range(len(titles))]

    def _with_members(self, changes: Mapping[int, incoming.Change]) -> list[_Event]:
        wanted = {user_id for change in changes.values() if (user_id := member_of(change)) is not None}
        aliases = self.aliases.of_members(wanted) if wanted else {}
        known = []
        for place, change in changes.items():
            key, user_id = key_of(change), member_of(change)
            if key is not None:
                known.append(_Event(place, change, key, aliases[user_id] if user_id is not None else None))
        return known

    def _apply(self, generation: int, events: Sequence[_Event]) -> dict[int, Outcome]:
        outcomes: dict[int, Outcome] = {}
        waiting = list(events)
        failures: dict[int, Exception] = {}
        for attempt, size in enumerate(SIZES):
            if not waiting:
                break
            if attempt:
                self.sleep(self.jitter() * 0.02 * 2**attempt)
            # At last each event alone: one that fails must not fail others.
            groups = [waiting] if size > 1 else [[event] for event in waiting]
            failures = {}
            for group in groups:
                self._write(generation, group, size, outcomes, failures)
            waiting = [event for event in waiting if event.place not in outcomes]
        outcomes.update({event.place: failures.get(event.place) or VersionConflict() for event in waiting})
        return outcomes

    def _write(
        self,
        generation: int,
        events: Sequence[_Event],
        size: int,
        outcomes: dict[int, Outcome],
        failures: dict[int, Exception],
    ) -> None:
        """Writes what can be written. Adds to `outcomes`, or to `failures`."""
        unwritten: set[FactKey] = set()
        try:
            for chunk in self._chunks(generation, events, size):
                entry = chunk.entry()
                if unwritten & chunk.before.keys():
                    # It builds on a fact that was not written. Its conditions need not fail: another process may have
                    # written the version that was expected.
                    unwritten.update(chunk.facts)
                    continue
                if not entry.facts:
                    outcomes.update({event.place: ALREADY_COUNTED for event in chunk.events})
                    continue
                try:
                    self.ledger.write(generation, entry, self.hot.now())
                except Exception as failed:  # noqa: BLE001 - the next attempt is smaller
                    failures.update({event.place: failed for event in chunk.events})
                    self.hot.note(failed.counters if isinstance(failed, CountersBusy) else ())
                    unwritten.update(chunk.facts)
                else:
                    outcomes.update({event.place: COUNTED for event in chunk.events})
        except (ValueError, TypeError, ArithmeticError, LookupError) as failed:
            # An unforeseen value in an event. A failing table raises other exceptions, which fail the whole batch.
            failures.update({event.place: failed for event in events if event.place not in outcomes})

    def _chunks(self, generation: int, events: Sequence[_Event], size: int) -> Iterator[_Chunk]:
        """The events in chunks of at most `size` items; the events of a single fact may be more.

        A chunk expects the facts as the earlier ones leave them. If an earlier one is not written, it must not be
        written either.
        """
        state = self.ledger.facts(generation, {event.key for event in events})
        groups = _by_fact(events) if size > 1 else [[event] for event in events]
        # Which facts with amounts change follows from the others.
        follow = {key for group in groups for key, _ in self._alone(state, group).changed.amounts()}
        state.update(self.ledger.facts(generation, follow - state.keys()))
        chunk = _Chunk()
        for group in groups:
            more = self._completed(generation, state, group)
            together = chunk.with_more(more)
            if chunk.events and together.entry().size > size:
                yield chunk
                for key, write in chunk.entry().facts.items():
                    state[key] = StoredFact(write.fact, write.expected_version + 1)
                together = more = self._completed(generation, state, group)
            chunk = together
            state.update({key: StoredFact(fact, state[key].version) for key, fact in more.facts.items()})
        if chunk.events:
            yield chunk

    def _alone(self, state: Mapping[FactKey, StoredFact], events: Sequence[_Event]) -> _Chunk:
        """The events of one fact, without their changes of other facts."""
        key = events[0].key
        fact = state[key].fact
        for event in events:
            fact = fold(fact, event.change, event.member)
        changed = self._difference(key, state[key].fact, fact)
        return _Chunk(list(events), {key: state[key]}, {key: fact}, changed)

    def _completed(self, generation: int, state: dict[FactKey, StoredFact], events: Sequence[_Event]) -> _Chunk:
        """The events of one fact, with their changes of other facts and of the counters of those."""
        chunk = self._alone(state, events)
        total = Contribution({key: dict(measures) for key, measures in chunk.changed.counters()})
        for key, amounts in chunk.changed.amounts():
            if key not in state:
                state.update(self.ledger.facts(generation, [key]))
            old = state[key].fact
            new = with_amounts(old, amounts)
            chunk.before[key], chunk.facts[key] = state[key], new
            total.plus(self._difference(key, old, new))
        chunk.changed = total.without_zeros()
        return chunk

    def _difference(self, key: FactKey, old: Fact, new: Fact) -> Contribution:
        return contribution(key, new, self.calendar).less(contribution(key, old, self.calendar))


def _by_fact(events: Collection[_Event]) -> list[list[_Event]]:
    """The events by fact. Facts of one member are next to each other, because they share counters."""
    grouped: dict[FactKey, list[_Event]] = {}
    for event in events:
        grouped.setdefault(event.key, []).append(event)
    return [grouped[key] for key in sorted(grouped, key=lambda key: (grouped[key][0].member or "", key))]


def _replaces(before: Outcome | None, after: Outcome) -> bool:
    return before is None or isinstance(after, Exception) or (before == ALREADY_COUNTED and after == COUNTED)
