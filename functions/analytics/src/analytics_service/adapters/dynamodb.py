"""The analytics table. Every key begins with its generation (`G1#…`), except those of members and generations.

    item                              pk                          sk                   expires
    a loan                            LOAN#<id>                   FACT                 180 days after it is over
    a title                           TITLE#<id>                  FACT
    a hold                            HOLD#<id>                   FACT                 180 days after it is over
    an event that only adds           EVENT#<id>                  FACT                 90 days
    what a member did in a month      MEMBER#<alias>              <month>
    counter of a day                  DAYS#<year>                 <mm-dd>##<shard>
    counter of a month                MONTHS                      <month>##<shard>
    … of a genre by day, month        GENREDAYS#<month>           <dd>#<genre>#<shard>
                                      GENREMONTHS#<year>          <mm>#<genre>#<shard>
    … of a title by day, month        TITLEDAYS#<month>#<bucket>  <dd>#<title>#<shard>
                                      TITLEMONTHS#<year>#<bucket> <mm>#<title>#<shard>
    open loans by due day             DUE                         <day>##<shard>
    titles and copies of a genre      HOLDINGS                    #<genre>#<shard>
    waiting holds of a title, of all  WAITING#<bucket>, NOW       #<title>#<shard>
    a member's alias, or erased       PERSON#<user id>            PERSON               never: an erasure stays
    the generations                   META                        GENERATIONS          (without a generation)

There is no index. A report about a period reads one range of one partition per year (days, months of genres), per
month (days of genres), or per month or year and bucket (titles). Open and overdue loans are counters by due day: a
loan becomes overdue without a write, and one query reads them however many loans are open.

shard: 00, and 01 to 15 for counters on which transactions collided; readers add them up. bucket: 0 to 7, a hash of the
title's id.

Sizes: a loan 0.3 to 0.5 KB, a member's month up to 0.5 KB, a day's counter up to 0.9 KB, the others 0.1 to 0.2 KB: one
write unit each, two in a transaction. docs/analytics.md adds this up for a busy library.

Writers name the attributes they set, and readers ignore the others, so what a newer version of the service added
stays. A fact has its version as `fact_version` (once `v`). The next write of an item with old names renames them.
"""

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from typing import Any

from analytics_service.adapters.keys import SHARDS, counter_key, fact_key
from analytics_service.application.ports import CountersBusy, Entry, FactWrite, StoredFact
from analytics_service.domain.counters import CounterKey, Measures
from analytics_service.domain.facts import Fact, FactKey, FactKind, empty, expires
from library_common.clock import Clock
from library_common.dynamodb import (
    ABSENT,
    ConditionFailed,
    Expression,
    Key,
    Put,
    Table,
    TransactionBusy,
    Update,
    Write,
)
from library_common.versions import VersionConflict

# Additions to a counter need no condition: those on the facts in the same transaction are enough.
_UNCONDITIONAL = Expression("attribute_not_exists(#pk) OR attribute_exists(#pk)", {"pk": "pk"})


class DynamoLedger:
    """Implements `application.ports.Ledger`."""

    def __init__(self, table: Table, clock: Clock, *, jitter: Callable[[], float] = random.random) -> None:
        self._table = table
        self._clock = clock
        self._jitter = jitter

    def facts(self, generation: int, keys: Collection[FactKey]) -> dict[FactKey, StoredFact]:
        wanted = {tuple(fact_key(generation, key).values()): key for key in keys}
        items = self._table.get_many([fact_key(generation, key) for key in keys]) if keys else []
        found = {wanted[item["pk"], item["sk"]]: item for item in items}
        return {
            key: StoredFact(fact_of(key.kind, found[key]), _stored(found[key], _VERSION))
            if key in found
            else StoredFact(empty(key.kind), 0)
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
            # One attempt only: the caller tries again with other shards.
            self._table.transact(writes, attempts=1)
        except ConditionFailed as failed:
            raise VersionConflict from failed
        except TransactionBusy as busy:
            first = len(entry.facts)
            raise CountersBusy(counters[index - first] for index in busy.indexes if index >= first) from busy

    def _fact(self, generation: int, key: FactKey, write: FactWrite) -> Put | Update:
        fact, expected = write.fact, write.expected_version
        attributes = {**_attributes(fact), _VERSION: expected + 1}
        end = expires(fact, self._clock.now())
        attributes["expires_at_epoch"] = int(end.timestamp()) if end else None
        place = fact_key(generation, key)
        if not expected:
            return Put({**place, **attributes}, ABSENT)
        unchanged = Expression(
            "#version = :expected OR #old = :expected",
            {"version": _VERSION, "old": _OLD_NAMES[_VERSION]},
            {"expected": expected},
        )
        removed = {old: None for name, old in _OLD_NAMES.items() if name in attributes}
        return Update(place, assign({**attributes, **removed}), unchanged)


def _addition(key: Key, measures: Measures) -> Update:
    names = {f"m{number}": measure for number, measure in enumerate(measures)}
    values = {f"m{number}": amount for number, amount in enumerate(measures.values())}
    text = "ADD " + ", ".join(f"#{name} :{name}" for name in names)
    return Update(key, Expression(text, names, values), _UNCONDITIONAL)


def _attributes(fact: Fact) -> dict[str, Any]:
    """The attributes of a fact; None for those that are as in an empty fact: they are not stored."""
    nothing = type(fact)()
    return {
        field.name: value if (value := getattr(fact, field.name)) != getattr(nothing, field.name) else None
        for field in fields(fact)
    }


def assign(attributes: Mapping[str, Any]) -> Expression:
    """An update that sets these attributes and removes those that are None."""
    names = {f"n{number}": name for number, name in enumerate(attributes)}
    values = {f"v{number}": value for number, value in enumerate(attributes.values()) if value is not None}
    is_set = [f"#n{number} = :v{number}" for number, value in enumerate(attributes.values()) if value is not None]
    removed = [f"#n{number}" for number, value in enumerate(attributes.values()) if value is None]
    text = f"SET {', '.join(is_set)}" + (f" REMOVE {', '.join(removed)}" if removed else "")
    return Expression(text, names, values)


def fact_of(kind: FactKind, item: Mapping[str, Any]) -> Fact:
    """A fact as stored, under the old names of its attributes or the new ones."""
    made = type(empty(kind))
    stored = {field.name: _stored(item, field.name) for field in fields(made)}
    return made(**{name: value for name, value in stored.items() if value is not None})


def _stored(item: Mapping[str, Any], name: str) -> Any:
    return item[name] if name in item else item.get(_OLD_NAMES.get(name, name))


_VERSION = "fact_version"
_OLD_NAMES = {_VERSION: "v", "archived_version": "shelf_version"}
