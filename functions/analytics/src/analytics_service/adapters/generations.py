"""The generations: one item, a view of it that is a few seconds old at most, and deleting what a generation left."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from analytics_service.adapters.figures import DynamoFigures
from analytics_service.adapters.layout import prefix
from analytics_service.application.ports import Generations, Stale
from analytics_service.domain import counters as c
from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import ABSENT, PRESENT, ConditionFailed, Expression, Item, Table

VIEW_SECONDS = 3.0
"""How old the view may be."""

FIRST_YEAR = 2000
"""No loan is older."""

_KEY = {"pk": "META", "sk": "GENERATIONS"}


class DynamoGenerations:
    """Implements `application.ports.GenerationsStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def read(self) -> Generations:
        item = self._table.get(_KEY)
        return _generations(item) if item else Generations()

    def write(self, generations: Generations) -> None:
        item: Item = {
            **_KEY,
            "live": generations.live,
            "building": generations.building,
            "previous": generations.previous,
            "last": generations.last,
            "dropping": list(generations.dropping) or None,
            "position": dict(generations.position) if generations.position else None,
            "changed_at": to_rfc3339(generations.changed_at) if generations.changed_at else None,
            "v": generations.version,
        }
        was = generations.version - 1
        try:
            self._table.put(item, Expression("#v = :was", {"v": "v"}, {"was": was}) if was else ABSENT)
        except ConditionFailed as failed:
            raise Stale from failed

    def totals(self, generation: int, last_year: int) -> Mapping[str, int]:
        figures = DynamoFigures(self._table, _Always(Generations(live=generation)), most_items=sys.maxsize)
        months = [f"{year}-{month:02d}" for year in range(FIRST_YEAR, last_year + 1) for month in range(1, 13)]
        lent, held = figures.of_months(c.Kind.GENRE_MONTH, months), figures.all_of(c.Kind.HOLDINGS)
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
                continue  # expired, or deleted by another run
        return len(items), after


@dataclass(frozen=True)
class _Always:
    """Implements `application.ports.GenerationsView` for looking at one generation, live or not."""

    generations: Generations

    def current(self) -> Generations:
        return self.generations


class RememberedGenerations:
    """Implements `application.ports.GenerationsView`."""

    def __init__(self, store: DynamoGenerations, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._lock = Lock()
        self._known: tuple[float, Generations] | None = None

    def current(self) -> Generations:
        with self._lock:
            now = self._monotonic()
            if self._known is None or now - self._known[0] >= VIEW_SECONDS:
                self._known = (now, self._store.read())
            return self._known[1]


def _generations(item: Item) -> Generations:
    return Generations(
        live=item["live"],
        building=item.get("building"),
        previous=item.get("previous"),
        last=item["last"],
        dropping=tuple(item.get("dropping", ())),
        position=item.get("position"),
        changed_at=from_rfc3339(item["changed_at"]) if "changed_at" in item else None,
        version=item["v"],
    )
