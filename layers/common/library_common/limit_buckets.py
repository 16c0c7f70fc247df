"""Token buckets in the gateway's table. One item per bucket, shared by the workers of all services.

    item        pk                              sk       written by
    a bucket    LIMIT#<limit>#<digest of key>   BUCKET   every worker that takes a lease from it

    access                                          how                                        units
    read the bucket                                 get, eventually consistent                 1/2 read
    take any number of tokens                       one conditional update; a second one when
                                                    the worker's picture was outdated          1-2 write

A bucket is one number, its theoretical arrival time in microseconds. This is the generic cell rate algorithm (GCRA)
of ITU-T I.371 and the ATM Forum's Traffic Management Specification, in its virtual scheduling form. With a window
of W and a capacity of C, one token costs W/C. Taking n tokens moves the arrival time by n * W/C, starting from now
if it is in the past. There are enough tokens while it stays within now + W. So a missing item or a time in the past
is a full bucket, refilling needs no write, and taking needs one condition on one attribute.

Size: 0.2 KB, so each write is one unit. Hot keys: each bucket is its own partition, and a partition takes a
thousand writes a second; with a lease of ten that is ten thousand requests a second of one caller. Items expire
some time after the bucket is full again.

The digest of the key keeps IP and e-mail addresses out of the table.
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
"""Two are enough unless the item is deleted in between: the arrival time only grows."""


@dataclass(frozen=True)
class Draw:
    """One attempt to take tokens. All in microseconds: `now` since the epoch, `window` of the bucket.

    need: what the bucket must hold. cost: what is taken: `need`, and more when credit is paid with it.
    """

    now: int
    window: int
    need: int
    cost: int

    @property
    def latest(self) -> int:
        """The latest arrival time at which the bucket holds `need`."""
        return self.now + self.window - self.need

    @property
    def latest_plausible(self) -> int:
        """The latest plausible arrival time. A later one was written by a clock that is far ahead, or under a much
        longer window. It counts as a full bucket: otherwise callers would be refused for that long."""
        return self.now + 2 * self.window

    def is_full(self, arrival: int | None) -> bool:
        """Whether a bucket with this arrival time is full."""
        return arrival is None or arrival <= self.now or arrival > self.latest_plausible


class Exhausted(Exception):
    """The bucket holds too few tokens. arrival: its theoretical arrival time in microseconds."""

    def __init__(self, arrival: int) -> None:
        super().__init__("the bucket holds too few tokens")
        self.arrival = arrival


class Contended(Exception):
    """The bucket changed during every attempt. Nothing was taken."""


class Buckets(Protocol):
    """Storage of buckets."""

    def read(self, bucket: str) -> int | None:
        """The arrival time, perhaps a second old. None for a bucket without an item, which is full."""

    def take(self, bucket: str, draw: Draw, known: int | None) -> int:
        """Takes tokens and returns the new arrival time. Raises Exhausted or Contended; nothing is taken then.

        known: the arrival time that the worker saw last, so that the first attempt usually succeeds.
        """


def bucket_name(limit: str, key: str) -> str:
    """The name of a bucket: the limit and a digest of the key (a user id, an address)."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{limit}#{digest}"


class DynamoBuckets:
    """Implements `Buckets`. Its capacity is counted apart from what the request itself uses."""

    def __init__(self, table_name: str, client: "Callable[[], DynamoDBClient]") -> None:
        self._table = Table(table_name, client, meter=_meter)

    def read(self, bucket: str) -> int | None:
        current().limit_calls += 1
        return _arrival(self._table.get(_key(bucket), consistent=False))

    def take(self, bucket: str, draw: Draw, known: int | None) -> int:
        arrival = known
        for _ in range(_ATTEMPTS):
            if not draw.is_full(arrival) and arrival is not None and arrival > draw.latest:
                raise Exhausted(arrival)
            update, condition = _write(draw, full=draw.is_full(arrival))
            current().limit_calls += 1
            try:
                item = self._table.update(_key(bucket), update, condition)
            except ConditionFailed as failed:
                # DynamoDB charges for a failed write but does not report it.
                _meter(0, 1)
                arrival = _arrival(failed.item)
            else:
                return int(item[_ARRIVAL])
        raise Contended(bucket)


def _write(draw: Draw, *, full: bool) -> tuple[Expression, Expression]:
    """The update and the condition that take tokens from a bucket that is full, or from one that is not."""
    names = {"arrival": _ARRIVAL, "expires": _EXPIRES}
    # The bucket is full again by then. Deleting it later changes nothing.
    expires = (draw.now + 2 * draw.window) // MICROSECONDS + _CLOCK_TOLERANCE_SECONDS
    if full:
        return (
            Expression(
                "SET #arrival = :arrival, #expires = :expires",
                names,
                {"arrival": draw.now + draw.cost, "expires": expires},
            ),
            Expression(
                "attribute_not_exists(#pk) OR #arrival <= :now OR #arrival > :latest_plausible",
                {"pk": "pk"},
                {"now": draw.now, "latest_plausible": draw.latest_plausible},
            ),
        )
    return (
        Expression(
            "SET #arrival = #arrival + :cost, #expires = :expires", names, {"cost": draw.cost, "expires": expires}
        ),
        Expression("#arrival > :now AND #arrival <= :latest", values={"now": draw.now, "latest": draw.latest}),
    )


def _arrival(item: Item | None) -> int | None:
    return int(item[_ARRIVAL]) if item else None


def _key(bucket: str) -> Key:
    return {"pk": f"LIMIT#{bucket}", "sk": "BUCKET"}


def _meter(read_units: float, write_units: float) -> None:
    record = current()
    record.limit_reads += read_units
    record.limit_writes += write_units
