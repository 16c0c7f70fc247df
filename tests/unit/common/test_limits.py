"""The limiter: what it lets through, what it costs, and what it does when it cannot ask."""

import json
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import example, given
from hypothesis import strategies as st

from library_common import limits
from library_common.access import ANONYMOUS, Caller, Role
from library_common.context import invocation
from library_common.limits import DEFAULTS, LeasingRateLimiter, Limit, Unlimited, address_key, configured
from library_common.problems import TooManyRequests
from localstack.embedded.layout import ROOT
from tests.fakes.buckets import FakeBuckets
from tests.support.clock import FixedClock
from tests.support.lambda_events import api_event
from tests.support.operator_log import OperatorLog

pytestmark = pytest.mark.unit

SECOND = timedelta(seconds=1)


def with_limit(capacity: int, seconds: int = 60, lease: int = 1) -> dict[str, Limit]:
    return {**DEFAULTS, "member": Limit(capacity=capacity, seconds=seconds, lease=lease)}


class Workers:
    """Several workers on the same buckets and clock."""

    def __init__(self, number: int, known: Mapping[str, Limit]) -> None:
        self.clock = FixedClock()
        self.buckets = FakeBuckets()
        self.each = [LeasingRateLimiter(known, self.buckets, self.clock) for _ in range(number)]

    def ask(self, worker: int = 0, key: str = "ann", limit: str = "member") -> TooManyRequests | None:
        """The refusal, None when it goes through."""
        try:
            self.each[worker].take(limit, key)
        except TooManyRequests as refusal:
            return refusal
        return None

    def admitted(self, times: int, worker: int = 0, key: str = "ann", limit: str = "member") -> int:
        return sum(self.ask(worker, key, limit) is None for _ in range(times))

    @property
    def calls(self) -> int:
        return self.buckets.reads + self.buckets.writes


# -- how many -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("capacity", "lease"), [(7, 1), (30, 10), (300, 10), (300, 7), (3000, 20), (1, 1)])
def test_one_worker_lets_through_what_is_configured(capacity: int, lease: int) -> None:
    workers = Workers(1, with_limit(capacity, lease=lease))

    through = workers.admitted(2 * capacity)

    assert capacity - lease < through <= capacity + lease
    if lease == 1:
        assert through == capacity


@pytest.mark.parametrize("number", [2, 5, 20])
def test_several_workers_let_through_what_is_configured_give_or_take_a_lease_each(number: int) -> None:
    workers = Workers(number, with_limit(300, lease=10))

    through = sum(workers.ask(turn % number) is None for turn in range(2000))

    assert 300 - 10 * number <= through <= 300 + 10 * number


def test_strict_limits_are_exact_over_all_workers() -> None:
    workers = Workers(10, DEFAULTS)

    assert sum(workers.ask(turn % 10, "198.51.100.7", "login") is None for turn in range(200)) == 60


def test_somebody_else_is_not_affected() -> None:
    workers = Workers(1, with_limit(10))
    workers.admitted(20)

    assert workers.ask(key="ann") is not None
    assert workers.ask(key="ben") is None
    assert workers.ask(key="ann", limit="staff") is None


def test_whoever_waits_as_long_as_told_gets_through_at_any_worker() -> None:
    workers = Workers(4, with_limit(300, lease=10))
    refusals = [refusal for turn in range(800) if (refusal := workers.ask(turn % 4))]
    assert refusals

    workers.clock.advance(SECOND * refusals[-1].retry_after)

    for worker in range(4):
        assert workers.ask(worker) is None or worker > 0, "the first to come back gets the lease"
    assert refusals[-1].retry_after == 2, "a lease of ten out of five a second"


def test_the_rate_goes_on_after_the_burst() -> None:
    workers = Workers(1, with_limit(300, lease=10))
    workers.admitted(400)

    later = 0
    for _ in range(600):
        workers.clock.advance(timedelta(milliseconds=100))
        later += workers.admitted(3)

    assert later == pytest.approx(300, abs=10)


SLACK_LEASES = 2
"""For each worker: one that it held before, or was let off, and one that it owes in the end."""

EVENTS = st.lists(
    st.tuples(
        st.integers(0, 3), st.sampled_from([1, 5, 9, 10, 11, 300]), st.sampled_from([0, 0, 1, 40, 1000, 59_999, 70_000])
    ),
    min_size=1,
    max_size=40,
)


@given(
    events=EVENTS,
    shape=st.sampled_from([(20, 1), (20, 2), (24, 3), (80, 10), (100, 10), (40, 5), (300, 10)]),
    seconds=st.sampled_from([1, 10, 60]),
)
@example(events=[(worker, 9, 0) for worker in (0, 1, 2, 3)] + [(0, 300, 0)] * 2, shape=(300, 10), seconds=60)
@example(
    events=[(w, 9, 0) for w in (0, 1, 2, 3)] + [(0, 300, 0)] + [(w, 9, 60_000 * (w < 1)) for w in (0, 1, 2, 3)] * 9,
    shape=(300, 10),
    seconds=60,
)
def test_no_interleaving_lets_through_more_than_the_bucket_and_the_leases(
    events: list[tuple[int, int, int]], shape: tuple[int, int], seconds: int
) -> None:
    """Any workers in any order with any pauses (milliseconds): in no stretch of a window more than a full bucket,
    what comes back meanwhile, and two leases for each worker."""
    capacity, lease = shape
    workers = Workers(4, with_limit(capacity, seconds, lease))
    moments: list[float] = []
    refused = 0
    for worker, requests, pause in events:
        workers.clock.advance(timedelta(milliseconds=pause))
        through = workers.admitted(requests, worker)
        refused += requests - through
        moments += [workers.clock.monotonic()] * through

    slack = 0 if lease == 1 else SLACK_LEASES * 4 * lease
    for start, first in enumerate(moments):
        if start and moments[start - 1] == first:
            continue
        for end in range(bisect_right(moments, first), bisect_left(moments, first + seconds) + 1):
            assert end - start <= capacity + (moments[end - 1] - first) * capacity / seconds + 1 + slack
    # At most two per lease; a refusal costs a worker two at most until it knows, then a look.
    assert workers.buckets.writes <= 2 * len(moments) / lease + 2 * 4 + refused


# -- what it costs --------------------------------------------------------------------------------


def test_a_caller_who_comes_seldom_costs_a_look_and_no_write() -> None:
    workers = Workers(1, DEFAULTS)

    for _ in range(5):
        assert workers.admitted(10) == 10
        workers.clock.advance(timedelta(minutes=2))

    assert (workers.buckets.reads, workers.buckets.writes) == (5, 0)


@pytest.mark.parametrize("name", ["member", "staff", "anonymous"])
@pytest.mark.parametrize("pause", [0, 50, 210, 900])
def test_one_worker_writes_once_per_lease(name: str, pause: int) -> None:
    workers = Workers(1, DEFAULTS)
    for _ in range(250):
        assert workers.ask(limit=name) is None
        workers.clock.advance(timedelta(milliseconds=pause))

    assert workers.buckets.writes <= 250 / DEFAULTS[name].lease
    assert workers.buckets.reads <= 2


@given(
    lease=st.integers(5, 20),
    turns=st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0, 20, 200, 700, 3000])), min_size=50, max_size=400),
)
def test_requests_that_go_through_never_cost_more_than_two_writes_per_lease(
    lease: int, turns: list[tuple[int, int]]
) -> None:
    workers = Workers(6, with_limit(100_000, 100, lease))
    through: Counter[int] = Counter()
    for worker, pause in turns:
        assert workers.ask(worker) is None
        through[worker] += 1
        workers.clock.advance(timedelta(milliseconds=pause))

    # The first lease is on credit, the next one's write comes with its first request.
    assert workers.buckets.writes <= sum(2 * (number // lease) for number in through.values())


def test_many_busy_workers_write_once_per_lease_too() -> None:
    """At a rate at which each finds another's mark every time: a look then, in place of a write that fails."""
    workers = Workers(3, DEFAULTS)
    for turn in range(1200):
        assert workers.ask(turn % 3) is None
        workers.clock.advance(timedelta(milliseconds=250))

    assert workers.buckets.writes <= 1200 * 0.11
    assert workers.buckets.reads <= 1200 * 0.11


def test_refusals_cost_next_to_nothing() -> None:
    workers = Workers(4, with_limit(300, lease=10))
    for worker in range(4):
        workers.admitted(400, worker)
    before = workers.calls

    for _ in range(1000):
        for worker in range(4):
            workers.ask(worker)
        workers.clock.advance(timedelta(milliseconds=1))

    assert workers.calls == before, "until there is a lease again nobody asks"


def test_when_a_lease_is_there_again_one_worker_writes_and_the_others_look() -> None:
    workers = Workers(4, with_limit(300, lease=10))
    refusals = [refusal for turn in range(1600) if (refusal := workers.ask(turn % 4))]
    before = workers.buckets.writes

    workers.clock.advance(SECOND * refusals[-1].retry_after)
    through = sum(workers.ask(turn % 4) is None for turn in range(100))

    assert through == 10
    assert workers.buckets.writes - before == 1


def test_nothing_is_given_on_credit_out_of_a_bucket_that_runs_low() -> None:
    workers = Workers(3, DEFAULTS)
    workers.admitted(200)
    before = workers.buckets.writes

    workers.admitted(1, worker=1)
    assert workers.buckets.writes == before, "plenty"
    workers.admitted(30)
    before = workers.buckets.writes
    workers.admitted(1, worker=2)
    assert workers.buckets.writes == before + 1


def test_a_worker_remembers_only_so_many() -> None:
    buckets = FakeBuckets()
    worker = LeasingRateLimiter(DEFAULTS, buckets, FixedClock(), max_leases=100)
    for number in range(1000):
        worker.take("anonymous", f"address {number}")

    assert len(worker._leases) == 100
    worker.take("anonymous", "address 950")
    assert buckets.reads == 1000, "still known"
    worker.take("anonymous", "address 1")
    assert buckets.reads == 1001, "long forgotten"


def test_who_keeps_coming_is_not_forgotten() -> None:
    buckets = FakeBuckets()
    worker = LeasingRateLimiter(DEFAULTS, buckets, FixedClock(), max_leases=10)
    for number in range(100):
        worker.take("staff", "lena")
        worker.take("anonymous", f"address {number}")

    assert buckets.reads == 101


# -- clocks ---------------------------------------------------------------------------------------


def test_a_clock_that_goes_back_shuts_nobody_out() -> None:
    workers = Workers(1, with_limit(10))
    workers.admitted(20)

    workers.clock.advance(timedelta(hours=-1))

    assert workers.admitted(20) == 10


def test_a_clock_that_goes_back_does_not_lengthen_the_pause() -> None:
    workers = Workers(1, with_limit(10))
    workers.buckets.failure = FAILURES[0]
    workers.admitted(1)
    workers.buckets.failure = None

    workers.clock.advance(timedelta(hours=-1))

    assert workers.admitted(100) == 10


def test_a_clock_that_goes_back_a_little_gives_nothing_away() -> None:
    workers = Workers(1, with_limit(10))
    workers.admitted(20)

    workers.clock.advance(timedelta(seconds=-3))

    assert workers.admitted(20) == 0


# -- what callers are told ------------------------------------------------------------------------


def test_a_refusal_says_when_to_come_back() -> None:
    workers = Workers(1, with_limit(10, 600))
    workers.admitted(10)

    refusal = workers.ask()

    assert refusal is not None
    assert refusal.retry_after == 60
    assert refusal.headers == {
        "Retry-After": "60",
        "RateLimit-Limit": "10",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "60",
    }


def test_what_is_left_is_counted_down() -> None:
    worker = Workers(1, DEFAULTS).each[0]
    told = [status for _ in range(25) if (status := worker._take("member", "ann"))]

    assert [status.remaining for status in told] == list(range(299, 274, -1))
    assert {status.limit for status in told} == {300}
    assert told[-1].reset == 5


# -- who is counted as whom -----------------------------------------------------------------------

ANN = Caller(kind="person", id="01ANN", role=Role.STUDENT)
LENA = Caller(kind="person", id="01LENA", role=Role.LIBRARIAN)
LOANS = Caller(kind="service", id="loans", scopes=frozenset({"users:read"}))


def charged(caller: Caller, also: str | None = None) -> set[str]:
    workers = Workers(1, {name: Limit(capacity=5, seconds=60) for name in DEFAULTS})
    workers.each[0].count_request(caller, "198.51.100.7", also)
    return {bucket.split("#")[0] for bucket in workers.buckets.arrivals}


@pytest.mark.parametrize(
    ("caller", "also", "counted"),
    [
        (ANN, None, {"member"}),
        (ANN, "register", {"member", "register"}),
        (LENA, "register", {"staff"}),
        (LOANS, "register", set()),
        (ANONYMOUS, None, {"anonymous"}),
        (ANONYMOUS, "login", {"anonymous", "login"}),
    ],
)
def test_a_caller_counts_under(caller: Caller, also: str | None, counted: set[str]) -> None:
    assert charged(caller, also) == counted


def test_the_tightest_limit_is_told() -> None:
    status = Workers(1, DEFAULTS).each[0].count_request(ANONYMOUS, "198.51.100.7", "register")

    assert status is not None
    assert (status.limit, status.remaining) == (30, 29)


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("test-invoke-source-ip", "unknown"),
        (None, "unknown"),
    ],
)
def test_addresses(source: str | None, key: str) -> None:
    event = api_event("GET", "/api/books", headers={"X-Forwarded-For": "203.0.113.9"})
    event["requestContext"]["identity"]["sourceIp"] = source

    assert address_key(event) == key


@pytest.mark.parametrize("event", [{}, {"requestContext": None}, {"requestContext": {"identity": None}}])
def test_an_event_without_an_address_is_counted_too(event: dict[str, Any]) -> None:
    assert address_key(event) == "unknown"


# -- when the table cannot be reached --------------------------------------------------------------

FAILURES = [
    EndpointConnectionError(endpoint_url="http://nowhere"),
    ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "UpdateItem"),
    ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetItem"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("limit", ["member", "login"])
def test_without_the_table_requests_go_through(
    failure: Exception, limit: str, log: OperatorLog, capsys: pytest.CaptureFixture[str]
) -> None:
    workers = Workers(1, DEFAULTS)
    workers.buckets.failure = failure

    assert workers.admitted(1000, limit=limit) == 1000

    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert [(metric["LimiterUnavailable"], metric["service"]) for metric in metrics] == [([1.0], "gateway")]
    assert [line["error"] for line in log.lines] == [type(failure).__name__]


def test_the_table_is_asked_again_after_a_pause() -> None:
    workers = Workers(1, with_limit(10))
    workers.buckets.failure = FAILURES[0]
    workers.admitted(100)
    workers.buckets.failure = None

    workers.clock.advance(9 * SECOND)
    assert workers.admitted(100) == 100
    workers.clock.advance(1 * SECOND)
    assert workers.admitted(100) == 10


def test_a_defect_of_ours_is_not_taken_for_an_outage() -> None:
    workers = Workers(1, DEFAULTS)
    workers.buckets.failure = TypeError("a defect")

    with pytest.raises(TypeError):
        workers.ask()


# -- configuration --------------------------------------------------------------------------------


def test_the_defaults_are_sane() -> None:
    for name, limit in DEFAULTS.items():
        assert limit.lease == 1 or limit.gives_credit, name
    assert DEFAULTS.keys() > limits.ROUTE_LIMITS


def test_the_page_tells_of_the_limits_there_are() -> None:
    page = (ROOT / "docs" / "rate-limits.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) s \| (\d+) \|", page, re.MULTILINE)

    assert {name: [int(n) for n in numbers] for name, *numbers in rows} == {
        name: [limit.capacity, limit.seconds, limit.lease] for name, limit in DEFAULTS.items()
    }


def test_any_part_of_any_limit_can_be_changed() -> None:
    changed = configured('{"member": {"capacity": 600}, "login": {"capacity": 5, "seconds": 10}}')

    assert changed["member"] == Limit(capacity=600, seconds=60, lease=10)
    assert changed["login"] == Limit(capacity=5, seconds=10)
    assert {**changed, "member": DEFAULTS["member"], "login": DEFAULTS["login"]} == DEFAULTS
    assert configured("") == configured("{}") == DEFAULTS


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "null",
        "{",
        '{"members": {"capacity": 5}}',
        '{"member": 5}',
        '{"member": {"capacity": 0}}',
        '{"member": {"capacity": -1}}',
        '{"member": {"capacity": 1.5}}',
        '{"member": {"capacity": "5"}}',
        '{"member": {"burst": 5}}',
        '{"member": {"seconds": 0}}',
        '{"member": {"capacity": 5}}',  # below the lease
        '{"login": {"lease": 0}}',
    ],
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - pydantic's and ours; which one does not matter
        configured(text)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    limits.limiter.cache_clear()
    monkeypatch.delenv("LIMITS_TABLE", raising=False)
    monkeypatch.delenv("RATE_LIMITS", raising=False)
    yield monkeypatch
    limits.limiter.cache_clear()


def test_without_a_table_nothing_is_limited(environment: pytest.MonkeyPatch) -> None:
    unlimited = limits.limiter()

    assert isinstance(unlimited, Unlimited)
    for _ in range(1000):
        unlimited.take("reset_account", "ann")
    assert unlimited.count_request(ANONYMOUS, "198.51.100.7", "login") is None
    with pytest.raises(KeyError):
        unlimited.take("no such limit", "ann")


def test_a_process_has_one_limiter(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LIMITS_TABLE", "gateway")

    assert isinstance(limits.limiter(), LeasingRateLimiter)
    assert limits.limiter() is limits.limiter()


def test_a_mistyped_configuration_leaves_the_defaults(environment: pytest.MonkeyPatch, log: OperatorLog) -> None:
    environment.setenv("LIMITS_TABLE", "gateway")
    environment.setenv("RATE_LIMITS", '{"member": {"capacity": 0}}')

    with invocation() as running:
        built = limits.limiter()

    assert isinstance(built, LeasingRateLimiter)
    assert built._limits == DEFAULTS
    assert "capacity" in log.lines[0]["error"]
    assert running.counts == {"LimitsMisconfigured": 1}
