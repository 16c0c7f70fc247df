"""The generations: one item, a cache of it for a few seconds, and the deletion of a generation's items."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from analytics_service.adapters.counter_reader import DynamoCounterReader
from analytics_service.adapters.dynamodb import assign
from analytics_service.adapters.keys import prefix
from analytics_service.application.ports import Generations
from analytics_service.domain import counters as c
from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import ABSENT, PRESENT, ConditionFailed, Expression, Item, Table
from library_common.ttl_cache import TtlCache
from library_common.versions import VersionConflict

VIEW_SECONDS = 3.0
"""How old the cached item may be."""

FIRST_YEAR = 2000
"""No loan is older than this year."""

_KEY = {"pk": "META", "sk": "GENERATIONS"}


class DynamoGenerations:
    """Implements `application.ports.GenerationsStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def read(self) -> Generations:
        item = self._table.get(_KEY)
        return _generations(item) if item else Generations()

    def write(self, generations: Generations) -> None:
        attributes = {
            "live": generations.live,
            "building": generations.building,
            "previous": generations.previous,
            "last": generations.last,
            "dropping": list(generations.dropping) or None,
            "position": dict(generations.position) if generations.position else None,
            "changed_at": to_rfc3339(generations.changed_at) if generations.changed_at else None,
            "version": generations.version,
        }
        expected = generations.version - 1
        unchanged = Expression(
            "#version = :expected OR #old = :expected", {"version": "version", "old": "v"}, {"expected": expected}
        )
        try:
            if expected:
                self._table.update(_KEY, assign({**attributes, "v": None}), unchanged)
            else:
                self._table.put({**_KEY, **attributes}, ABSENT)
        except ConditionFailed as failed:
            raise VersionConflict from failed

    def totals(self, generation: int, last_year: int) -> Mapping[str, int]:
        counters = DynamoCounterReader(self._table, _Fixed(Generations(live=generation)), most_items=sys.maxsize)
        months = [f"{year}-{month:02d}" for year in range(FIRST_YEAR, last_year + 1) for month in range(1, 13)]
        lent, held = counters.of_months(c.Kind.GENRE_MONTH, months), counters.all_of(c.Kind.HOLDINGS)
        return {
            c.LOANS: sum(of.get(c.LOANS, 0) for of in lent.values()),
            c.TITLES: sum(of.get(c.TITLES, 0) for of in held.values()),
        }

    def delete_some(self, generation: int, position: Mapping[str, Any] | None) -> tuple[int, Mapping[str, Any] | None]:
        of_it = Expression("begins_with(#pk, :prefix)", {"pk": "pk"}, {"prefix": prefix(generation)})
        items, after = self._table.walk(of_it, start=position)
        for item in items:
            try:
                self._table.delete({"pk": item["pk"], "sk": item["sk"]}, PRESENT)
            except ConditionFailed:
                continue  # It has expired, or another run deleted it.
        return len(items), after


@dataclass(frozen=True)
class _Fixed:
    """Implements `application.ports.GenerationsView` to read one generation, live or not."""

    generations: Generations

    def current(self) -> Generations:
        return self.generations


class CachedGenerations:
    """Implements `application.ports.GenerationsView`. The item is read again after VIEW_SECONDS."""

    def __init__(self, store: DynamoGenerations, monotonic: Callable[[], float]) -> None:
        self._cache = TtlCache(store.read, seconds=VIEW_SECONDS, monotonic=monotonic)

    def current(self) -> Generations:
        return self._cache.get()


def _generations(item: Item) -> Generations:
    return Generations(
        live=item["live"],
        building=item.get("building"),
        previous=item.get("previous"),
        last=item["last"],
        dropping=tuple(item.get("dropping", ())),
        position=item.get("position"),
        changed_at=from_rfc3339(item["changed_at"]) if "changed_at" in item else None,
        # `version` was called `v`. The next write of the item renames it.
        version=item["version"] if "version" in item else item["v"],
    )
