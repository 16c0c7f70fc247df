"""The analytics table. Every key but those of people and generations begins with its generation (`G1#…`).

    item                              pk                          sk                   expires
    a loan                            LOAN#<id>                   FACT                 180 days after it is over
    a title                           TITLE#<id>                  FACT
    a hold                            HOLD#<id>                   FACT                 180 days after it is over
    an event that only adds           EVENT#<id>                  FACT                 90 days
    what a member did in a month      MEMBER#<alias>              <month>
    counter of a day                  DAYS#<year>                 <mm-dd>##<place>
    counter of a month                MONTHS                      <month>##<place>
    ... of a genre by day, month      GENREDAYS#<month>           <dd>#<genre>#<place>
                                      GENREMONTHS#<year>          <mm>#<genre>#<place>
    ... of a title by day, month      TITLEDAYS#<month>#<bucket>  <dd>#<title>#<place>
                                      TITLEMONTHS#<year>#<bucket> <mm>#<title>#<place>
    loans out now by the day due      DUE                         <day>##<place>
    titles and copies of a genre      HOLDINGS                    #<genre>#<place>
    holds waiting of a title, of all  WAITING#<bucket>, NOW       #<title>#<place>
    whose alias it is                 PERSON#<user id>            PERSON               never: an erasure must stay
    the generations                   META                        GENERATIONS          (without a generation)

There is no index. Who asks for a period reads one range of one partition per year (days, months of genres), per month
(days of genres) or per month or year and bucket (titles). What is out or overdue now are counters by due day, so that
time passing writes nothing, and reading it is one query however many loans are open.

place: 00, and 01 to 15 where transactions collided; a reader adds them up. bucket: 0 to 7, a hash of the title's id.

Sizes: a loan 0.3 to 0.5 KB, a member's month up to 0.5 KB, a day's counter up to 0.9 KB, the others 0.1 to 0.2 KB: one
write unit each, two in a transaction. docs/analytics.md does the sums for a busy library.
"""

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from analytics_service.adapters.layout import SHARDS, counter_key, fact_key
from analytics_service.application.ports import Contended, Entry, FactWrite, Kept, Stale
from analytics_service.domain.counters import CounterKey, Measures
from analytics_service.domain.facts import (
    Fact,
    FactKey,
    FactKind,
    HoldFact,
    LoanFact,
    MemberMonth,
    OnceFact,
    TitleFact,
    empty,
    expires,
)
from library_common.clock import Clock
from library_common.dynamodb import (
    ABSENT,
    ConditionFailed,
    Expression,
    Item,
    Key,
    Put,
    Table,
    TransactionBusy,
    Update,
    Write,
)

_TYPES: dict[FactKind, type[Fact]] = {
    FactKind.LOAN: LoanFact,
    FactKind.TITLE: TitleFact,
    FactKind.HOLD: HoldFact,
    FactKind.ONCE: OnceFact,
    FactKind.MEMBER_MONTH: MemberMonth,
}

# A counter takes additions in any state. What they depend on are the facts of the same transaction.
_ANY_STATE = Expression("attribute_not_exists(#pk) OR attribute_exists(#pk)", {"pk": "pk"})


class DynamoLedger:
    """Implements `application.ports.Ledger`."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._table = table
        self._clock = clock
        self._jitter = jitter

    def facts(self, generation: int, keys: Collection[FactKey]) -> dict[FactKey, Kept]:
        wanted = {tuple(fact_key(generation, key).values()): key for key in keys}
        items = self._table.get_many([fact_key(generation, key) for key in keys]) if keys else []
        found = {wanted[item["pk"], item["sk"]]: item for item in items}
        return {
            key: Kept(fact_of(key.kind, found[key]), found[key]["v"]) if key in found else Kept(empty(key.kind), 0)
            for key in keys
        }

    def write(self, generation: int, entry: Entry, spread: Collection[CounterKey]) -> None:
        writes: list[Write] = [self._fact(generation, key, write) for key, write in entry.facts.items()]
        counters = list(entry.counters)
        writes += [
            _addition(
                counter_key(generation, key, 1 + int(self._jitter() * (SHARDS - 1)) if key in spread else 0),
                entry.counters[key],
            )
            for key in counters
        ]
        try:
            # One attempt: the next one is to go elsewhere.
            self._table.transact(writes, attempts=1)
        except ConditionFailed as failed:
            raise Stale from failed
        except TransactionBusy as busy:
            first = len(entry.facts)
            raise Contended(counters[index - first] for index in busy.indexes if index >= first) from busy

    def _fact(self, generation: int, key: FactKey, write: FactWrite) -> Put:
        item = _item(write.fact, expires(write.fact, self._clock.now()))
        was = Expression("#v = :was", {"v": "v"}, {"was": write.was}) if write.was else ABSENT
        return Put({**fact_key(generation, key), **item, "v": write.was + 1}, was)


def _addition(key: Key, measures: Measures) -> Update:
    names = {f"m{number}": measure for number, measure in enumerate(measures)}
    values = {f"m{number}": amount for number, amount in enumerate(measures.values())}
    text = "ADD " + ", ".join(f"#{name} :{name}" for name in names)
    return Update(key, Expression(text, names, values), _ANY_STATE)


def _item(fact: Fact, end: datetime | None) -> Item:
    """What is as in a fact of which nothing is known is left out."""
    nothing = type(fact)()
    item: Item = {
        field.name: value
        for field in fields(fact)
        if (value := getattr(fact, field.name)) != getattr(nothing, field.name)
    }
    return item if end is None else {**item, "expires_at_epoch": int(end.timestamp())}


def fact_of(kind: FactKind, item: Mapping[str, Any]) -> Fact:
    """A fact as stored."""
    made = _TYPES[kind]
    return made(**{field.name: item[field.name] for field in fields(made) if field.name in item})
