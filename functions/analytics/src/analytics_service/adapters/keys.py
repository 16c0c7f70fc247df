"""The keys of facts and counters, and the partitions that hold a period. `adapters.dynamodb` explains the design."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from analytics_service.domain.counters import CounterKey, Kind
from analytics_service.domain.facts import FactKey, FactKind

BUCKETS = 8
"""Partitions over which the counters of titles are spread."""
SHARDS = 16
"""Items that a counter may have. The others than the first exist only where transactions collided."""

ALL_MONTHS = ("0000-00", "9999-99")
"""Below the first and above the last possible month."""

# Sort keys begin with a digit or a `#`.
_BEFORE_ALL = "!"
_AFTER_ALL = "\U0010ffff"
PARTITION_NAMES = {
    Kind.DAY: "DAYS",
    Kind.MONTH: "MONTHS",
    Kind.GENRE_DAY: "GENREDAYS",
    Kind.GENRE_MONTH: "GENREMONTHS",
    Kind.TITLE_DAY: "TITLEDAYS",
    Kind.TITLE_MONTH: "TITLEMONTHS",
    Kind.DUE: "DUE",
    Kind.HOLDINGS: "HOLDINGS",
    Kind.WAITING: "WAITING",
    Kind.NOW: "NOW",
}
_OF_TITLES = frozenset({Kind.TITLE_DAY, Kind.TITLE_MONTH, Kind.WAITING})
# How much of a period is in the partition key; the rest is in the sort key.
_PARTITION = {Kind.DAY: 4, Kind.GENRE_DAY: 7, Kind.GENRE_MONTH: 4, Kind.TITLE_DAY: 7, Kind.TITLE_MONTH: 4}


@dataclass(frozen=True)
class Partition:
    """A range of a partition: sort keys from `first` to `last`."""

    pk: str
    first: str
    last: str


def prefix(generation: int) -> str:
    """What the partition keys of a generation begin with."""
    return f"G{generation}#"


def fact_key(generation: int, key: FactKey) -> dict[str, str]:
    sk = key.part if key.kind is FactKind.MEMBER_MONTH else "FACT"
    return {"pk": f"{prefix(generation)}{key.kind.value}#{key.id}", "sk": sk}


def counter_key(generation: int, key: CounterKey, shard: int) -> dict[str, str]:
    head, rest = _split(key.kind, key.period)
    bucket = str(zlib.crc32(key.of.encode()) % BUCKETS) if key.kind in _OF_TITLES else ""
    return {"pk": _pk(generation, key.kind, head, bucket), "sk": "#".join((rest, key.of, f"{shard:02d}"))}


def counter_of(kind: Kind, pk: str, sk: str) -> CounterKey:
    """The counter that an item is a shard of."""
    rest, _, tail = sk.partition("#")
    of = tail.rpartition("#")[0]
    in_partition = _PARTITION.get(kind, 0)
    head = pk.split("#")[2] if in_partition else ""
    return CounterKey(kind, f"{head}-{rest}" if in_partition else rest, of)


def of_periods(generation: int, kind: Kind, periods: Iterable[str]) -> list[Partition]:
    """The ranges with the counters of these consecutive days or months."""
    heads: dict[str, tuple[str, str]] = {}
    for period in periods:
        head, rest = _split(kind, period)
        heads[head] = (heads.get(head, (rest, rest))[0], rest)
    return _parts(generation, kind, heads)


def whole(generation: int, kind: Kind) -> list[Partition]:
    """The ranges with all counters of a kind that has no period."""
    return _parts(generation, kind, {"": (_BEFORE_ALL, _AFTER_ALL)})


def _parts(generation: int, kind: Kind, heads: dict[str, tuple[str, str]]) -> list[Partition]:
    buckets = [str(number) for number in range(BUCKETS)] if kind in _OF_TITLES else [""]
    return [
        Partition(_pk(generation, kind, head, bucket), first, f"{last}#{_AFTER_ALL}")
        for head, (first, last) in heads.items()
        for bucket in buckets
    ]


def _split(kind: Kind, period: str) -> tuple[str, str]:
    """What of a period is in the partition key and in the sort key."""
    in_partition = _PARTITION.get(kind, 0)
    return period[:in_partition], period[in_partition:].lstrip("-")


def _pk(generation: int, kind: Kind, head: str, bucket: str) -> str:
    return prefix(generation) + "#".join(filter(None, (PARTITION_NAMES[kind], head, bucket)))
