"""Reads counters for the reports: ranges of partitions, with the shards of each counter added up."""

from collections.abc import Mapping, Sequence

from analytics_service.adapters import keys
from analytics_service.adapters.dynamodb import fact_of
from analytics_service.application.ports import GenerationsView
from analytics_service.domain.counters import CounterKey, Kind, Measures
from analytics_service.domain.days import Span
from analytics_service.domain.errors import PeriodTooBusy
from analytics_service.domain.facts import FactKey, FactKind, MemberMonth, TitleFact
from library_common.dynamodb import Expression, Table

MOST_ITEMS = 50_000
"""Counters that one call may read: about 7 MB, 850 read units, one to two seconds."""

_KEYS = frozenset({"pk", "sk"})


class DynamoCounterReader:
    """Implements `application.ports.CounterReader`. Reads are eventually consistent, which costs half."""

    def __init__(self, table: Table, generations: GenerationsView, *, most_items: int = MOST_ITEMS) -> None:
        self._table = table
        self._generations = generations
        self._most_items = most_items

    def of_days(self, kind: Kind, span: Span) -> dict[CounterKey, Measures]:
        return self._sums(kind, keys.of_periods(self._live, kind, map(str, span.each_day())))

    def of_months(self, kind: Kind, months: Sequence[str]) -> dict[CounterKey, Measures]:
        return self._sums(kind, keys.of_periods(self._live, kind, months))

    def all_of(self, kind: Kind) -> dict[CounterKey, Measures]:
        return self._sums(kind, keys.whole(self._live, kind))

    def titles(self, book_ids: Sequence[str]) -> dict[str, TitleFact]:
        wanted = [keys.fact_key(self._live, FactKey(FactKind.TITLE, book_id)) for book_id in book_ids]
        found: dict[str, TitleFact] = {}
        for item in self._table.get_many(wanted, consistent=False) if wanted else []:
            fact = fact_of(FactKind.TITLE, item)
            if isinstance(fact, TitleFact):
                found[item["pk"].split("#", 2)[2]] = fact
        return found

    def member(self, alias: str, months: Sequence[str]) -> dict[str, MemberMonth]:
        return self._months(alias, months[0], months[-1]) if months else {}

    def all_of_member(self, alias: str) -> dict[str, MemberMonth]:
        return self._months(alias, *keys.ALL_MONTHS)

    def _months(self, alias: str, first: str, last: str) -> dict[str, MemberMonth]:
        pk = keys.fact_key(self._live, FactKey(FactKind.MEMBER_MONTH, alias))["pk"]
        found: dict[str, MemberMonth] = {}
        for item in self._table.query_all(_between(keys.Partition(pk, first, last))):
            fact = fact_of(FactKind.MEMBER_MONTH, item)
            if isinstance(fact, MemberMonth):
                found[item["sk"]] = fact
        return found

    @property
    def _live(self) -> int:
        return self._generations.current().live

    def _sums(self, kind: Kind, partitions: Sequence[keys.Partition]) -> dict[CounterKey, Measures]:
        sums: dict[CounterKey, dict[str, int]] = {}
        read = 0
        for partition in partitions:
            for item in self._table.query_all(_between(partition)):
                read += 1
                if read > self._most_items:
                    raise PeriodTooBusy
                _add(sums.setdefault(keys.counter_of(kind, item["pk"], item["sk"]), {}), item)
        return dict(sums)


def _add(sums: dict[str, int], item: Mapping[str, int | str]) -> None:
    for measure, amount in item.items():
        if measure not in _KEYS and isinstance(amount, int):
            sums[measure] = sums.get(measure, 0) + amount


def _between(partition: keys.Partition) -> Expression:
    return Expression(
        "#pk = :pk AND #sk BETWEEN :first AND :last",
        {"pk": "pk", "sk": "sk"},
        {"pk": partition.pk, "first": partition.first, "last": partition.last},
    )
