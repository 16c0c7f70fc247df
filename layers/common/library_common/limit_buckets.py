"""Token buckets in the gateway's table, one item per bucket, shared by the workers of all services.

    item        pk                              sk       written by
    a bucket    LIMIT#<limit>#<digest of key>   BUCKET   every worker that takes a lease from it

    access                                          how                                        units
    how full is it                                  get, eventually consistent                 1/2 read
    take a lease (any number of tokens)             one conditional update; a second one when
                                                    the worker's picture of it was outdated    1-2 write

A bucket is one number, its theoretical arrival time in microseconds: the generic cell rate algorithm (GCRA) of
ITU-T I.371 and the ATM Forum's Traffic Management Specification, in its virtual scheduling form. With a window
of W and a capacity of C, a token costs W/C; taking n moves the time by n * W/C, from now if it lies behind; there
are enough as long as it stays within now + W. So no item and a time in the past are a full bucket, refilling needs
no write, and taking is one condition on one attribute: no read-modify-write, no counter to reset.

Size: 0.2 KB, so each write is one unit. Hot keys: a bucket is a partition of its own, and DynamoDB gives a partition
a thousand writes a second; with a lease of ten that is ten thousand requests a second of one caller. Items expire
when the bucket has been full again for a while.

The key's digest keeps addresses and e-mail addresses out of the table, and keys of any length and alphabet short.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from library_common.context import current
from library_common.dynamodb import ConditionFailed, Expression, Item, Key, Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MICROSECONDS = 1_000_000
_ARRIVAL = "arrival_us"
_EXPIRES = "expires_at_epoch"
_CLOCK_TOLERANCE_SECONDS = 60
_ATTEMPTS = 3
"""Two are enough unless the table loses the item in between: the time in a bucket only ever grows."""


@dataclass(frozen=True)
class Draw:
    """Taking tokens at a moment. All in microseconds: `now` since the epoch, `window` the bucket's length.

    need: what must be in the bucket. cost: what is taken, at least `need`; more when an earlier debt is paid with it.
    """

    now: int
    window: int
    need: int
    cost: int

    @property
    def latest(self) -> int:
        """The latest arrival time at which the need is still met."""
        return self.now + self.window - self.need

    @property
    def absurd(self) -> int:
        """No arrival time honestly gets past this. What does was written by a clock far ahead of
        ours, or under a much longer window; it counts as a full bucket, or callers would be shut out for as long."""
        return self.now + 2 * self.window

    def is_full(self, arrival: int | None) -> bool:
        """Whether the bucket with this arrival time has all its tokens."""
        return arrival is None or arrival <= self.now or arrival > self.absurd


class Exhausted(Exception):
    """The bucket holds less than is needed. arrival: its theoretical arrival time, in microseconds."""

    def __init__(self, arrival: int) -> None:
        super().__init__("the bucket holds too little")
        self.arrival = arrival


class Contended(Exception):
    """The bucket changed under every attempt. Nothing was taken."""


class Buckets(Protocol):
    """Where buckets are kept."""

    def look(self, bucket: str) -> int | None:
        """The arrival time, perhaps a second old; None for a full bucket nobody has written."""

    def spend(self, bucket: str, draw: Draw, known: int | None) -> int:
        """Takes tokens and returns the new arrival time. known: the last one this worker saw, so that the
        first attempt is the right one. Raises Exhausted or Contended; nothing was taken then."""


def bucket_name(limit: str, key: str) -> str:
    """One bucket's name: the limit's name and a digest of whatever is counted (a user id, an address)."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{limit}#{digest}"


class DynamoBuckets:
    """Implements `Buckets`. What it consumes counts as the limiter's on the invocation, not as the request's."""

    def __init__(self, table_name: str, client: "Callable[[], DynamoDBClient]") -> None:
        self._table = Table(table_name, client, meter=_meter)

    def look(self, bucket: str) -> int | None:
        current().limit_calls += 1
        return _arrival(self._table.get(_key(bucket), consistent=False))

    def spend(self, bucket: str, draw: Draw, known: int | None) -> int:
        arrival = known
        for _ in range(_ATTEMPTS):
            if not draw.is_full(arrival) and arrival is not None and arrival > draw.latest:
                raise Exhausted(arrival)
            update, condition = _from_now(draw) if draw.is_full(arrival) else _from_before(draw)
            current().limit_calls += 1
            try:
                item = self._table.update(_key(bucket), update, condition)
            except ConditionFailed as failed:
                # DynamoDB charges for it and does not say so in the answer.
                _meter(0, 1)
                arrival = _arrival(failed.item)
            else:
                return int(item[_ARRIVAL])
        raise Contended(bucket)


def _from_now(draw: Draw) -> tuple[Expression, Expression]:
    """Taking from a full bucket."""
    return (
        Expression(
            "SET #arrival = :arrival, #expires = :expires",
            names={"arrival": _ARRIVAL, "expires": _EXPIRES},
            values={"arrival": draw.now + draw.cost, "expires": _expiry(draw)},
        ),
        Expression(
            "attribute_not_exists(#pk) OR #arrival <= :now OR #arrival > :absurd",
            names={"pk": "pk"},
            values={"now": draw.now, "absurd": draw.absurd},
        ),
    )


def _from_before(draw: Draw) -> tuple[Expression, Expression]:
    """Taking from a bucket that something has been taken from."""
    return (
        Expression(
            "SET #arrival = #arrival + :cost, #expires = :expires",
            names={"arrival": _ARRIVAL, "expires": _EXPIRES},
            values={"cost": draw.cost, "expires": _expiry(draw)},
        ),
        Expression(
            "#arrival > :now AND #arrival <= :latest",
            values={"now": draw.now, "latest": draw.latest},
        ),
    )


def _expiry(draw: Draw) -> int:
    # Nothing taken now arrives later than this; a bucket deleted too late is a full bucket anyway.
    return (draw.now + 2 * draw.window) // MICROSECONDS + _CLOCK_TOLERANCE_SECONDS


def _arrival(item: Item | None) -> int | None:
    return int(item[_ARRIVAL]) if item else None


def _key(bucket: str) -> Key:
    return {"pk": f"LIMIT#{bucket}", "sk": "BUCKET"}


def _meter(read_units: float, write_units: float) -> None:
    record = current()
    record.limit_reads += read_units
    record.limit_writes += write_units
