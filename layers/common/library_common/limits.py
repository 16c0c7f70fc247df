"""Rate limits: which there are, and the rate limiter of every HTTP function.

A worker is one process of a function. It does not use the token bucket (`limit_buckets`) for every request: it
takes a lease of several tokens and admits that many requests from memory. The first lease from a bucket that is
nearly full is given on credit: one read, no write. The next lease is one write, which pays the credit and takes
new tokens in advance. When the bucket does not hold a lease, the worker refuses from memory until it will. So

* an admitted request costs 1/lease writes, at most 2/lease when other workers use the same bucket; a refused
  request costs almost nothing, and a caller who calls seldom costs no write;
* the number of admitted requests is exact to one lease per worker.

When a worker ends, its unused tokens are lost (the bucket refills), and so is its credit (at most one lease).

When the table cannot be reached, requests are admitted: the rate limiter must not take the library down.
"""

import ipaddress
import math
import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
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
from library_common.limit_buckets import MICROSECONDS, Buckets, Contended, Draw, DynamoBuckets, Exhausted, bucket_name
from library_common.problems import TooManyRequests
from library_common.telemetry import count, emit_metric, logger

PLENTIFUL_LEASES = 8
"""A bucket with this many leases left gives one on credit. So even eight workers at once do not overdraw it."""

MAX_LEASES = 10_000
"""Leases a worker keeps in memory, about 0.4 KB each. The least recently used are dropped first."""

PAUSE_SECONDS = 10
"""After the table could not be reached, it is not tried again for this long."""

UNKNOWN_ADDRESS = "unknown"


class Limit(BaseModel):
    """capacity: requests allowed in `seconds`. lease: tokens that a worker takes from the bucket at a time."""

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
        """Microseconds in which an empty bucket refills."""
        return self.seconds * MICROSECONDS

    def cost(self, tokens: int) -> int:
        """Microseconds in which that many tokens refill."""
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
        "anonymous": _limit(600, 60, lease=10),  # by address, which a whole school may share
        # By address, on routes that declare it, for everybody but staff.
        "login": _limit(60, 300),
        "refresh": _limit(120, 300),
        "register": _limit(30, 3600),
        "reset": _limit(20, 3600),
        "confirm": _limit(60, 3600),
        # By account, counted by use cases.
        "login_account": _limit(20, 900),
        "reset_account": _limit(5, 3600),
        "confirm_account": _limit(10, 3600),
        "contact_account": _limit(10, 3600),
        "notice_account": _limit(5, 3600),
        # By phone number, counted when a text message is sent.
        "text_number": _limit(5, 3600),
        # By member, counted by the sender of notices. Text messages also count by phone number, e-mails to unproved
        # addresses also by address.
        "member_sms": _limit(10, 86_400),
        "member_email": _limit(50, 86_400),
        "unproved_email": _limit(5, 86_400),
        "unproved_warning": _limit(5, 86_400),
        # The share of these limits that messages written by staff may use.
        "by_hand_sms": _limit(3, 86_400),
        "by_hand_email": _limit(10, 86_400),
        "by_hand_unproved": _limit(2, 86_400),
    }
)
"""All limits. docs/rate-limits.md says what each is for."""

ROUTE_LIMITS = frozenset({"login", "refresh", "register", "reset", "confirm"})
"""The limits that a route may declare."""


def configured(text: str) -> Mapping[str, Limit]:
    """The default limits, changed by a JSON document such as `{"member": {"capacity": 600}}`.

    Fields that the document leaves out keep their defaults. Raises ValueError for unknown names and fields, and for
    values out of range.
    """
    changes = from_json(text or "{}")
    if not isinstance(changes, dict) or not all(isinstance(change, dict) for change in changes.values()):
        raise ValueError("must be a JSON object with an object for each limit")
    unknown = changes.keys() - DEFAULTS.keys()
    if unknown:
        raise ValueError(f"unknown limit: {', '.join(sorted(unknown))}")
    return {
        name: Limit.model_validate({**limit.model_dump(), **changes.get(name, {})}) for name, limit in DEFAULTS.items()
    }


def address_key(event: Mapping[str, Any]) -> str:
    """The key for callers without a token: the address that API Gateway saw, or its /64 network for IPv6.

    X-Forwarded-For is ignored, because clients can set it.
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
    # One household or server gets a whole /64 network, so single addresses would not limit anybody.
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


@dataclass(frozen=True)
class RateLimitStatus:
    """What a caller has left, as far as this worker knows. reset: seconds until the bucket is full again."""

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
    """What `ServiceApi` and use cases need."""

    def take(self, limit_name: str, key: str) -> None:
        """Counts one attempt. Raises TooManyRequests, and KeyError for an unknown limit."""

    def count_request(self, caller: Caller, address: str, route_limit: str | None) -> RateLimitStatus | None:
        """Counts one request of a caller; by address when the caller has no token.

        route_limit: a second limit, by address, which does not count staff. Returns the status of the limit with the
        least left, None when nothing is counted. Raises TooManyRequests.
        """


class Unlimited:
    """Counts nothing. Used without a LIMITS_TABLE; every deployment has one."""

    def take(self, limit_name: str, key: str) -> None:  # noqa: ARG002 - part of the protocol
        DEFAULTS[limit_name]  # raises KeyError for an unknown name

    def count_request(self, caller: Caller, address: str, route_limit: str | None) -> RateLimitStatus | None:  # noqa: ARG002 - as above
        return None


@dataclass
class _Lease:
    """A worker's share of one bucket. Times in microseconds.

    since: when it was given. arrival: the bucket's arrival time then, if known. left: requests that can be admitted
    from memory. owed: requests admitted on credit. shared: another worker used the bucket. refused_until: 0 unless
    the bucket did not hold a lease.
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
        self, limits: Mapping[str, Limit], buckets: Buckets, clock: Clock, *, max_leases: int = MAX_LEASES
    ) -> None:
        self._limits = limits
        self._buckets = buckets
        self._clock = clock
        self._max_leases = max_leases
        self._leases: OrderedDict[str, _Lease] = OrderedDict()
        self._paused_at: int | None = None
        # Lambda gives a worker one request at a time; servers in tests and on a developer's machine do not.
        self._lock = Lock()

    def take(self, limit_name: str, key: str) -> None:
        self._take(limit_name, key)

    def count_request(self, caller: Caller, address: str, route_limit: str | None) -> RateLimitStatus | None:
        if caller.kind == "service":
            return None
        if caller.is_staff:
            return self._take("staff", caller.id)
        statuses = [self._take("member", caller.id) if caller.kind == "person" else self._take("anonymous", address)]
        if route_limit is not None:
            # Members count, too: otherwise a token, which is easy to get, would bypass the limit.
            statuses.append(self._take(route_limit, address))
        known = [status for status in statuses if status is not None]
        return min(known, key=lambda status: status.remaining, default=None)

    def _take(self, limit_name: str, key: str) -> RateLimitStatus | None:
        """Returns None when the table cannot be reached."""
        limit = self._limits[limit_name]
        bucket = bucket_name(limit_name, key)
        now = round(self._clock.now().timestamp() * MICROSECONDS)
        with self._lock:
            lease = self._valid_lease(bucket, limit, now)
            if lease is None or (lease.left == 0 and now >= lease.refused_until):
                if self._paused_at is not None and 0 <= now - self._paused_at < PAUSE_SECONDS * MICROSECONDS:
                    return None
                try:
                    lease = self._next_lease(bucket, limit, lease, now)
                except _unreachable() as failure:
                    self._pause(failure, now)
                    return None
                self._store(bucket, lease)
            if lease.left == 0:
                raise _refusal(limit, lease, now)
            lease.left -= 1
            lease.owed += lease.on_credit
            return _status(limit, lease, now)

    def _next_lease(self, bucket: str, limit: Limit, lease: _Lease | None, now: int) -> _Lease:
        """The next lease, or a refusal. One to three calls to the table."""
        arrival, owed, shared = (lease.arrival, lease.owed, lease.shared) if lease else (None, 0, False)
        draw = Draw(now=now, window=limit.window, need=limit.cost(limit.lease), cost=limit.cost(limit.lease + owed))
        if lease is None and limit.gives_credit:
            arrival = self._buckets.read(bucket)
            if limit.room(arrival, now) >= PLENTIFUL_LEASES * limit.lease:
                return _Lease(since=now, arrival=arrival, left=limit.lease, on_credit=True)
        elif lease is not None and (lease.refused_until or (shared and draw.is_full(arrival))):
            # The worker's picture is probably outdated. A read costs a tenth of a failed write.
            seen = self._buckets.read(bucket)
            shared = seen != arrival
            arrival = max(arrival or 0, seen or 0)
        try:
            after = self._buckets.take(bucket, draw, arrival)
        except Exhausted as short:
            return _Lease(
                since=now, arrival=short.arrival, left=0, owed=owed, shared=True,
                refused_until=short.arrival + draw.need - draw.window,
            )  # fmt: skip
        expected = draw.cost + (now if draw.is_full(arrival) else arrival or 0)
        return _Lease(since=now, arrival=after, left=limit.lease, shared=shared or after != expected)

    def _valid_lease(self, bucket: str, limit: Limit, now: int) -> _Lease | None:
        """The lease in memory. None when it is older than the window: its tokens have refilled. None also when it is
        from the future: the clock was set back, and a refusal could last as long as the difference."""
        lease = self._leases.get(bucket)
        if lease is None:
            return None
        self._leases.move_to_end(bucket)
        return lease if 0 <= now - lease.since < limit.window else None

    def _store(self, bucket: str, lease: _Lease) -> None:
        self._leases[bucket] = lease
        self._leases.move_to_end(bucket)
        if len(self._leases) > self._max_leases:
            self._leases.popitem(last=False)

    def _pause(self, failure: Exception, now: int) -> None:
        self._paused_at = now
        emit_metric("LimiterUnavailable", service="gateway")
        logger().warning(
            "rate limits cannot be checked; requests are admitted", extra={"error": type(failure).__name__}
        )


@cache
def limiter() -> RateLimiter:
    """The rate limiter of the process, from LIMITS_TABLE and RATE_LIMITS. `Unlimited` without LIMITS_TABLE."""
    table = os.environ.get("LIMITS_TABLE", "")
    if not table:
        return Unlimited()
    try:
        limits = configured(os.environ.get("RATE_LIMITS", ""))
    except ValueError as wrong:
        # A typing mistake must neither stop the library nor turn the limits off.
        count("LimitsMisconfigured")
        logger().error("RATE_LIMITS is invalid; the default limits apply", extra={"error": _summary(wrong)})
        limits = DEFAULTS
    return LeasingRateLimiter(limits, DynamoBuckets(table, aws.dynamodb_without_retries), SystemClock())


def _summary(wrong: ValueError) -> str:
    if isinstance(wrong, ValidationError):
        return "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in wrong.errors())
    return str(wrong)


def _unreachable() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded already when it matters

    return (BotoCoreError, ClientError, TransactionBusy, Contended)


def _refusal(limit: Limit, lease: _Lease, now: int) -> TooManyRequests:
    seconds = max(1, math.ceil((lease.refused_until - now) / MICROSECONDS))
    status = RateLimitStatus(limit=limit.capacity, remaining=0, reset=seconds)
    return TooManyRequests(
        f"Too many requests: {limit.capacity} in {limit.seconds} seconds are allowed. Try again in {seconds} s.",
        retry_after=seconds,
        headers=status.headers(),
    )


def _status(limit: Limit, lease: _Lease, now: int) -> RateLimitStatus:
    # Tokens taken in advance still belong to the caller; tokens on credit do not.
    arrival = max(lease.arrival or 0, now) + limit.cost(lease.owed) - limit.cost(0 if lease.on_credit else lease.left)
    return RateLimitStatus(
        limit=limit.capacity,
        remaining=limit.room(arrival, now),
        reset=min(limit.seconds, max(0, math.ceil((arrival - now) / MICROSECONDS))),
    )
