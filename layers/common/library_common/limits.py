"""How often a caller may call: the limits there are, and the limiter that every HTTP function asks.

A worker (one process of a function) does not ask the bucket (`limit_buckets`) for every request but takes a lease of
several tokens and admits that many requests out of its memory. While a bucket is plentiful the first lease is
given on credit: one read, no write. The next one is one write that pays for the last and takes another in
advance. When the bucket holds no lease, the worker refuses until the moment when there will be one, from memory too. So

* an admitted request costs 1/lease writes (at most 2/lease, while other workers' leases go unseen), a refused one
  nearly none, and a caller who comes seldom none at all;
* what is let through is the configured number give or take one lease per worker.

A worker that ends takes with it what it had in advance (the bucket refills) and what it owed (at most a lease).

When the table cannot be reached, requests go through: a limiter must not take the library down.
"""

import ipaddress
import math
import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from threading import Lock
from types import MappingProxyType
from typing import Annotated, Any, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from library_common import aws
from library_common.access import Caller
from library_common.clock import Clock, SystemClock
from library_common.dynamodb import TransactionBusy
from library_common.limit_buckets import (
    MICROSECONDS,
    Buckets,
    Contended,
    Draw,
    DynamoBuckets,
    Exhausted,
    bucket_name,
)
from library_common.problems import TooManyRequests
from library_common.telemetry import count, logger

PLENTIFUL_LEASES = 8
"""A bucket with this many leases left gives one on credit: even eight workers at once do not overdraw it then."""

REMEMBERED_KEYS = 10_000
"""Leases a worker keeps, about 0.4 KB each; the longest unused go first."""

PAUSE_SECONDS = 10
"""How long a table that could not be reached is left alone."""

UNKNOWN_ADDRESS = "unknown"

_TABLE_OWNER = "gateway"
"""Whichever function notices: one metric to watch. The log line beside it names the function's service."""


class Limit(BaseModel):
    """capacity: requests in `seconds`, at once or spread. lease: how many a worker takes from the bucket at a time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    capacity: Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
    seconds: Annotated[int, Field(strict=True, ge=1, le=86_400)]
    lease: Annotated[int, Field(strict=True, ge=1, le=1_000)] = 1

    @model_validator(mode="after")
    def _a_lease_fits(self) -> Self:
        if self.lease > self.capacity:
            raise ValueError("lease must not be larger than capacity")
        return self

    @property
    def window(self) -> int:
        """Microseconds in which an empty bucket becomes full."""
        return self.seconds * MICROSECONDS

    def cost(self, tokens: int) -> int:
        """Microseconds in which that many tokens come back."""
        return tokens * max(1, self.window // self.capacity)

    def room(self, arrival: int | None, now: int) -> int:
        """Tokens in a bucket with this arrival time."""
        if arrival is None or arrival > now + 2 * self.window:
            return self.capacity
        return max(0, min(self.capacity, (now + self.window - max(arrival, now)) // self.cost(1)))

    @property
    def gives_credit(self) -> bool:
        return self.lease > 1 and self.capacity >= PLENTIFUL_LEASES * self.lease


def _limit(capacity: int, seconds: int, lease: int = 1) -> Limit:
    return Limit(capacity=capacity, seconds=seconds, lease=lease)


DEFAULTS: Mapping[str, Limit] = MappingProxyType(
    {
        # By caller, on every route.
        "member": _limit(300, 60, lease=10),
        "staff": _limit(3000, 60, lease=20),
        "anonymous": _limit(600, 60, lease=10),  # by address: a whole school may be behind one
        # By address, on routes that say so, for everybody but staff.
        "login": _limit(60, 300),
        "refresh": _limit(120, 300),
        "register": _limit(30, 3600),
        "reset": _limit(20, 3600),
        "confirm": _limit(60, 3600),
        # By account, counted by the use case.
        "login_account": _limit(20, 900),
        "reset_account": _limit(5, 3600),
        "confirm_account": _limit(10, 3600),
        "contact_account": _limit(10, 3600),
        "notice_account": _limit(5, 3600),
        # By phone number, counted by whoever sends text messages.
        "text_number": _limit(5, 3600),
        # By member, counted by the sender of notices; those on text messages by phone number as well, those on
        # addresses that nobody has proved by address.
        "member_sms": _limit(10, 86_400),
        "member_email": _limit(50, 86_400),
        "unproved_email": _limit(5, 86_400),
        "unproved_warning": _limit(5, 86_400),
        # Of these the part that messages sent by hand may have.
        "by_hand_sms": _limit(3, 86_400),
        "by_hand_email": _limit(10, 86_400),
        "by_hand_unproved": _limit(2, 86_400),
    }
)
"""Every limit there is. docs/rate-limits.md says what each is for."""

ROUTE_LIMITS = frozenset({"login", "refresh", "register", "reset", "confirm"})
"""What a route may name as `limit`."""


def configured(text: str) -> Mapping[str, Limit]:
    """The default limits with a JSON document's changes: `{"member": {"capacity": 600}}`.

    What the document leaves out of a limit stays as it is. Raises ValueError for unknown names, fields and values.
    """
    changes = from_json(text or "{}")
    if not isinstance(changes, dict) or not all(isinstance(change, dict) for change in changes.values()):
        raise ValueError("rate limits are a JSON object with an object for each limit")
    unknown = changes.keys() - DEFAULTS.keys()
    if unknown:
        raise ValueError(f"there is no limit {', '.join(sorted(unknown))}")
    return {
        name: Limit.model_validate({**limit.model_dump(), **changes.get(name, {})}) for name, limit in DEFAULTS.items()
    }


def address_key(event: Mapping[str, Any]) -> str:
    """Who calls, for those without a token: the address API Gateway saw, an IPv6 one by its /64 network.

    Never from X-Forwarded-For, which a client writes as it likes.
    """
    text = ((event.get("requestContext") or {}).get("identity") or {}).get("sourceIp")
    try:
        address = ipaddress.ip_address(str(text))
    except ValueError:
        return UNKNOWN_ADDRESS
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    # A household or a server is given a /64 whole, with more addresses than any table has room for.
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


@dataclass(frozen=True)
class RateLimitStatus:
    """What a caller has left, as one worker knows it. reset: seconds until all of it is there again."""

    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


class RateLimiter(Protocol):
    """What `ServiceApi` and use cases ask."""

    def take(self, limit_name: str, key: str) -> None:
        """Counts one attempt. Raises TooManyRequests."""

    def count_request(self, caller: Caller, address: str, also: str | None) -> RateLimitStatus | None:
        """Counts one request of a caller; of one without a token by address. Under `also`, too, unless it is staff.

        Returns the tightest standing, None when nothing is counted. Raises TooManyRequests.
        """


class Unlimited:
    """No limits: what there is where no LIMITS_TABLE is, which no deployment leaves out."""

    def take(self, limit_name: str, key: str) -> None:  # noqa: ARG002 - the protocol's
        DEFAULTS[limit_name]  # a name that is none is a mistake here, too

    def count_request(self, caller: Caller, address: str, also: str | None) -> RateLimitStatus | None:  # noqa: ARG002 - as above
        return None


@dataclass
class _Lease:
    """A worker's part of one bucket. Times in microseconds.

    since: when it was given. arrival: the bucket's arrival time then, as far as known. left: requests to admit without
    asking. owed: requests admitted on credit. shared: another worker was noticed. refused_until: 0 unless refused.
    """

    since: int
    arrival: int | None
    left: int
    owed: int = 0
    on_credit: bool = False
    shared: bool = False
    refused_until: int = 0


class LeasingRateLimiter:
    """Implements `RateLimiter` for one worker."""

    def __init__(
        self,
        limits: Mapping[str, Limit],
        buckets: Buckets,
        clock: Clock,
        *,
        remembered_keys: int = REMEMBERED_KEYS,
    ) -> None:
        self._limits = limits
        self._buckets = buckets
        self._clock = clock
        self._remembered_keys = remembered_keys
        self._leases: OrderedDict[str, _Lease] = OrderedDict()
        self._paused_at: int | None = None
        # Lambda gives a worker one request at a time; servers in tests and on a developer's machine do not.
        self._lock = Lock()

    def take(self, limit_name: str, key: str) -> None:
        self.admit(limit_name, key)

    def count_request(self, caller: Caller, address: str, also: str | None) -> RateLimitStatus | None:
        if caller.kind == "service":
            return None
        if caller.is_staff:
            return self.admit("staff", caller.id)
        standings = [self.admit("member", caller.id) if caller.kind == "person" else self.admit("anonymous", address)]
        if also is not None:
            # Members, too: a token of one's own is quickly got, and would be the way around the limit.
            standings.append(self.admit(also, address))
        known = [standing for standing in standings if standing is not None]
        return min(known, key=lambda standing: standing.remaining, default=None)

    def admit(self, limit_name: str, key: str) -> RateLimitStatus | None:
        """Counts one request under a limit. None when the table cannot be reached.

        Raises TooManyRequests, and KeyError for a limit there is none of.
        """
        limit = self._limits[limit_name]
        bucket = bucket_name(limit_name, key)
        now = _microseconds(self._clock.now())
        with self._lock:
            lease = self._held(bucket, limit, now)
            if lease is None or (lease.left == 0 and now >= lease.refused_until):
                if self._pausing(now):
                    return None
                try:
                    lease = self._asked(bucket, limit, lease, now)
                except _unreachable() as failure:
                    self._pause(failure, now)
                    return None
                self._remember(bucket, lease)
            if lease.left == 0:
                raise _refusal(limit, lease, now)
            lease.left -= 1
            lease.owed += lease.on_credit
            return _standing(limit, lease, now)

    def _asked(self, bucket: str, limit: Limit, lease: _Lease | None, now: int) -> _Lease:
        """The next lease, or a refusal. Between one and three calls."""
        arrival, owed, shared = (lease.arrival, lease.owed, lease.shared) if lease else (None, 0, False)
        draw = Draw(now=now, window=limit.window, need=limit.cost(limit.lease), cost=limit.cost(limit.lease + owed))
        if lease is None and limit.gives_credit:
            arrival = self._buckets.look(bucket)
            if limit.room(arrival, now) >= PLENTIFUL_LEASES * limit.lease:
                return _Lease(since=now, arrival=arrival, left=limit.lease, on_credit=True)
        elif lease is not None and (lease.refused_until or (shared and draw.is_full(arrival))):
            # What this worker knows is likely outdated, and a look costs a tenth of a write that fails.
            seen = self._buckets.look(bucket)
            shared = seen != arrival
            arrival = max(arrival or 0, seen or 0)
        try:
            after = self._buckets.spend(bucket, draw, arrival)
        except Exhausted as short:
            return _Lease(
                since=now, arrival=short.arrival, left=0, owed=owed, shared=True,
                refused_until=short.arrival + draw.need - draw.window,
            )  # fmt: skip
        expected = draw.cost + (now if draw.is_full(arrival) else arrival or 0)
        return _Lease(since=now, arrival=after, left=limit.lease, shared=shared or after != expected)

    def _held(self, bucket: str, limit: Limit, now: int) -> _Lease | None:
        """The lease in memory, unless it is a window old: what it owes would be back in the bucket by now, had it
        been paid. Nor one from the future: the clock went back, and a refusal could last as long as it is off."""
        lease = self._leases.get(bucket)
        if lease is None:
            return None
        self._leases.move_to_end(bucket)
        return lease if 0 <= now - lease.since < limit.window else None

    def _remember(self, bucket: str, lease: _Lease) -> None:
        self._leases[bucket] = lease
        self._leases.move_to_end(bucket)
        if len(self._leases) > self._remembered_keys:
            self._leases.popitem(last=False)

    def _pausing(self, now: int) -> bool:
        return self._paused_at is not None and 0 <= now - self._paused_at < PAUSE_SECONDS * MICROSECONDS

    def _pause(self, failure: Exception, now: int) -> None:
        self._paused_at = now
        count("LimiterUnavailable", service=_TABLE_OWNER)
        logger().warning("the limits cannot be checked; requests go through", extra={"error": type(failure).__name__})


@cache
def limiter() -> RateLimiter:
    """The process's limiter, from LIMITS_TABLE and RATE_LIMITS. `Unlimited` without a LIMITS_TABLE."""
    table = os.environ.get("LIMITS_TABLE", "")
    if not table:
        return Unlimited()
    try:
        limits = configured(os.environ.get("RATE_LIMITS", ""))
    except ValueError as wrong:
        # Nobody gets a library that is down because a limit was mistyped, and nobody one without limits.
        count("LimitsMisconfigured", service=_TABLE_OWNER)
        logger().error("RATE_LIMITS is refused; the default limits hold", extra={"error": _told(wrong)})
        limits = DEFAULTS
    return LeasingRateLimiter(limits, DynamoBuckets(table, aws.dynamodb_without_retries), SystemClock())


def _told(wrong: ValueError) -> str:
    if isinstance(wrong, ValidationError):
        return "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in wrong.errors())
    return str(wrong)


def _unreachable() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded already when it matters

    return (BotoCoreError, ClientError, TransactionBusy, Contended)


def _refusal(limit: Limit, lease: _Lease, now: int) -> TooManyRequests:
    seconds = max(1, math.ceil((lease.refused_until - now) / MICROSECONDS))
    standing = RateLimitStatus(limit=limit.capacity, remaining=0, reset=seconds)
    return TooManyRequests(
        f"Too many requests: {limit.capacity} in {limit.seconds} seconds are allowed. Try again in {seconds} s.",
        retry_after=seconds,
        headers=standing.headers(),
    )


def _standing(limit: Limit, lease: _Lease, now: int) -> RateLimitStatus:
    # What was taken in advance is still the caller's; what is owed is not.
    arrival = max(lease.arrival or 0, now) + limit.cost(lease.owed) - limit.cost(0 if lease.on_credit else lease.left)
    return RateLimitStatus(
        limit=limit.capacity,
        remaining=limit.room(arrival, now),
        reset=min(limit.seconds, max(0, math.ceil((arrival - now) / MICROSECONDS))),
    )


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * MICROSECONDS)
