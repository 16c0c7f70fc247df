"""Rate limits on a deployed stack, with small numbers: several workers, one bucket."""

import json
import math
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from library_common.ids import new_id
from localstack.embedded.stack import LocalStack
from tests.depth import at_depth
from tests.integration.conftest import CHEAP_HASHES
from tests.support.invocations import invocations
from tests.support.library_client import LibraryClient, at_once, created, eventually, problem, statuses

pytestmark = pytest.mark.integration

CAPACITY, REQUESTS = at_depth(quick=(40, 100), full=(80, 200))
LEASE, SECONDS = 5, 600
RATE_LIMITS = {
    "member": {"capacity": CAPACITY, "seconds": SECONDS, "lease": LEASE},
    "staff": {"capacity": 4, "seconds": 12, "lease": 1},
    "register": {"capacity": 3},
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    work = tmp_path_factory.mktemp("limits")
    limits = {"RateLimits": json.dumps(RATE_LIMITS)}
    with LocalStack.start(work, parameters=limits, environment=CHEAP_HASHES) as stack:
        yield stack


@pytest.fixture(scope="module")
def library(stack: LocalStack) -> Iterator[LibraryClient]:
    client = LibraryClient(base_url=stack.base_url, mint=stack.mint_token)
    with client.http:
        yield client


def ask_for_a_loan(library: LibraryClient, member: str) -> httpx.Response:
    """A request that every member may make, answered by one function: there is no such loan."""
    return library.http.get(f"/api/loans/{new_id()}", headers=library.bearer(member, "patron"))


def test_more_requests_at_once_than_are_allowed(stack: LocalStack, library: LibraryClient) -> None:
    ann, ben = new_id(), new_id()
    started = time.monotonic()

    answers = at_once([partial(ask_for_a_loan, library, ann)] * REQUESTS, workers=at_depth(quick=4, full=REQUESTS))

    came_back = math.ceil((time.monotonic() - started) * CAPACITY / SECONDS)
    through = statuses(answers)[404]
    assert statuses(answers) == {404: through, 429: REQUESTS - through}

    def all_logged() -> list[dict[str, Any]]:
        lines = invocations(stack, "LoansFunction", f"user:{ann}")
        return lines if len(lines) == REQUESTS else []

    lines = eventually(all_logged, "a line for every request")
    # A worker looks once into the bucket of a caller it does not know.
    workers = sum(line["limit_reads"] > 0 for line in lines)
    assert workers > 1
    assert CAPACITY - workers * LEASE <= through <= CAPACITY + came_back + workers * LEASE
    # One write per lease; and each worker may have missed the others' first one and, in the end, that it is empty.
    assert sum(line["limit_writes"] for line in lines) <= through / LEASE + 2 * workers
    assert {line["write_units"] for line in lines} == {0}

    refused = next(answer for answer in answers if answer.status_code == 429)
    problem(refused, 429, "too_many_requests")
    assert refused.headers["RateLimit-Limit"] == str(CAPACITY)
    assert refused.headers["RateLimit-Remaining"] == "0"
    # What a lease takes to come back, and what the others were ahead.
    assert 1 <= int(refused.headers["Retry-After"]) <= 2 * LEASE * SECONDS / CAPACITY

    other = ask_for_a_loan(library, ben)
    assert other.status_code == 404
    assert other.headers["RateLimit-Remaining"] == str(CAPACITY - 1)


def test_whoever_waits_as_long_as_told_goes_on(library: LibraryClient) -> None:
    def ask() -> httpx.Response:
        return library.http.get("/api/users", headers=library.as_librarian())

    answer = ask()
    while answer.status_code == 200:
        answer = ask()
    problem(answer, 429, "too_many_requests")
    retry_after = int(answer.headers["Retry-After"])
    assert 1 <= retry_after <= 3

    time.sleep(retry_after)

    assert ask().status_code == 200


def test_registering_is_limited_by_address(stack: LocalStack, library: LibraryClient) -> None:
    def register(base_url: str, source: str) -> int:
        body = {"name": "Ann", "email": f"{new_id()}@example.org"}
        # The emulator takes a caller's address from this header, as long as nobody in front of it overwrites it.
        return httpx.post(f"{base_url}/api/users", json=body, headers={"X-Forwarded-For": source}).status_code

    home = [register(stack.stage_url, "198.51.100.7") for _ in range(4)]
    network = [register(stack.stage_url, f"2001:db8:0:1::{number}") for number in range(4)]
    assert (home, network) == ([201, 201, 201, 429],) * 2

    # The proxy tells who really called, whatever the caller says.
    claimed = [register(stack.base_url, f"203.0.113.{number}") for number in range(4)]
    assert claimed == [201, 201, 201, 429]
    # Whoever has signed in is not held up: the desk registers a class.
    body = {"name": "Ben", "email": f"{new_id()}@example.org"}
    assert created(library.http.post("/api/users", json=body, headers=library.bearer(new_id(), "librarian")))["id"]
