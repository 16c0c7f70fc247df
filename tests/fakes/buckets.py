"""Token buckets in memory: the same answers as the table's, and a count of what they would have cost there."""

from dataclasses import dataclass, field

from library_common.limit_buckets import Draw, Exhausted


@dataclass
class FakeBuckets:
    """Implements `library_common.limit_buckets.Buckets`. failure: raised by every call while set."""

    arrivals: dict[str, int] = field(default_factory=dict)
    reads: int = 0
    writes: int = 0
    failure: Exception | None = None

    def read(self, bucket: str) -> int | None:
        self._answer()
        self.reads += 1
        return self.arrivals.get(bucket)

    def take(self, bucket: str, draw: Draw, known: int | None) -> int:
        if not draw.is_full(known) and known is not None and known > draw.latest:
            raise Exhausted(known)
        self._answer()
        self.writes += 1
        arrival = self.arrivals.get(bucket)
        if draw.is_full(arrival):
            if not draw.is_full(known):
                self.writes += 1
            self.arrivals[bucket] = draw.now + draw.cost
        else:
            assert arrival is not None
            if arrival > draw.latest:
                raise Exhausted(arrival)
            if draw.is_full(known):
                self.writes += 1
            self.arrivals[bucket] = arrival + draw.cost
        return self.arrivals[bucket]

    def _answer(self) -> None:
        if self.failure is not None:
            raise self.failure
