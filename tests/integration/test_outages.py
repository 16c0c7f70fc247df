"""Services that are down or slow: documented answers in time, nothing half-done, recovery by itself."""

import httpx
import pytest

from localstack.embedded.stack import LocalStack
from tests.support.faults import Fault, FaultProxy
from tests.support.invariants import violations
from tests.support.invocations import seconds_of_work
from tests.support.library_client import LibraryClient, created, eventually, ok, problem

pytestmark = pytest.mark.integration

ANSWER_WITHIN_SECONDS = 11.0
"""The checkout's own deadline is 10 s; the rest is for a busy machine to notice."""
AT_ONCE_SECONDS = 2.0
"""Less than anybody waits for another service's answer."""

RECOVERED_WITHIN_SECONDS = 400.0
"""A recovery that finds no other service awake, on a busy machine, comes again after a minute, and then after two."""


def worked(stack: LocalStack, answer: httpx.Response) -> float:
    """Seconds between a request to loans and its answer."""
    return seconds_of_work(stack, "LoansFunction", answer.headers["X-Correlation-Id"])


def test_users_down_is_503_and_nothing_happens(library: LibraryClient, faults: FaultProxy, stack: LocalStack) -> None:
    member, book = library.add_member(), library.add_book()
    with faults.broken(Fault("GET", r"^/api/users/", drop=True)):
        document = library.lend(member["id"], book["id"])
    assert worked(stack, document) < ANSWER_WITHIN_SECONDS
    problem(document, 503, "service_unavailable")
    assert int(document.headers["Retry-After"]) > 0
    assert library.available(book["id"]) == 1
    assert library.loans_of(member["id"]) == []
    _until_it_works(library, member["id"], book["id"])


def test_the_breaker_opens_lets_a_probe_through_and_closes(
    library: LibraryClient, faults: FaultProxy, stack: LocalStack
) -> None:
    member, book = library.add_member(), library.add_book()
    with faults.broken(Fault("GET", r"^/api/users/", status=503)) as down:
        for _ in range(4):
            problem(library.lend(member["id"], book["id"]), 503, "service_unavailable")
        asked = down.hits
        unasked = library.lend(member["id"], book["id"])
        problem(unasked, 503, "service_unavailable")
        assert down.hits == asked, "an open breaker does not ask"
        assert worked(stack, unasked) < AT_ONCE_SECONDS
        eventually(
            lambda: library.lend(member["id"], book["id"]).status_code == 503 and down.hits > asked,
            "a probe after the pause",
        )
    _until_it_works(library, member["id"], book["id"])


def test_books_down_refuses_checkouts_and_takes_returns(
    library: LibraryClient, faults: FaultProxy, stack: LocalStack
) -> None:
    member, book = library.add_member(), library.add_book(copies=2)
    loan = library.lent(member["id"], book["id"])

    with faults.broken(Fault("POST", r"^/api/books/[^/]+/(reserve|release)$", drop=True)):
        answer = library.give_back(loan["id"])
        assert ok(answer)["status"] == "RETURNED"
        assert worked(stack, answer) < ANSWER_WITHIN_SECONDS
        assert library.available(book["id"]) == 1, "books does not know yet"
        refused = library.lend(member["id"], book["id"])
        assert refused.status_code == 503
        assert refused.json()["code"] in {"service_unavailable", "checkout_unresolved"}

    eventually(lambda: not violations(stack), "the copy back on the shelf by itself", seconds=RECOVERED_WITHIN_SECONDS)
    open_now = len(library.loans_of(member["id"], "active"))
    assert library.available(book["id"]) == 2 - open_now
    _until_it_works(library, member["id"], book["id"])


def test_both_slow_answers_within_the_deadline_and_leaves_nothing(
    library: LibraryClient, faults: FaultProxy, stack: LocalStack
) -> None:
    member, book = library.add_member(), library.add_book()
    with (
        faults.broken(Fault("GET", r"^/api/users/", delay=2.0)),
        faults.broken(Fault("POST", r"^/api/books/[^/]+/reserve$", delay=6.0)),
    ):
        answer = library.lend(member["id"], book["id"])
        assert worked(stack, answer) < ANSWER_WITHIN_SECONDS
        problem(answer, 503, "checkout_unresolved")
        assert int(answer.headers["Retry-After"]) > 0

    eventually(lambda: not violations(stack), "the checkout finished or undone", seconds=RECOVERED_WITHIN_SECONDS)
    assert library.available(book["id"]) == 1 - len(library.loans_of(member["id"], "active"))
    _close_breakers(library)


def test_a_lost_answer_is_asked_again_within_the_same_checkout(library: LibraryClient, faults: FaultProxy) -> None:
    member, book = library.add_member(), library.add_book(copies=3)
    with faults.broken(Fault("POST", rf"^/api/books/{book['id']}/reserve$", lose=True, times=1)) as lost:
        loan = created(library.lend(member["id"], book["id"]))
    assert lost.hits == 1
    assert library.available(book["id"]) == 2, "one copy, not one per attempt"
    assert loan["status"] == "ACTIVE"


def test_doubled_requests_between_services_have_one_effect(library: LibraryClient, faults: FaultProxy) -> None:
    member, book = library.add_member(), library.add_book(copies=3)
    with faults.broken(Fault("POST", r"^/api/books/[^/]+/(reserve|release)$", double=True)):
        loan = created(library.lend(member["id"], book["id"]))
        assert library.available(book["id"]) == 2
        ok(library.give_back(loan["id"]))
    assert library.available(book["id"]) == 3


def _until_it_works(library: LibraryClient, user_id: str, book_id: str) -> None:
    """Lends and returns once, however long the breaker keeps us waiting."""

    def lend() -> dict[str, object] | None:
        answer = library.lend(user_id, book_id)
        assert answer.status_code in (201, 503), answer.text
        return answer.json() if answer.status_code == 201 else None

    loan = eventually(lend, "lending again after the outage")
    assert loan is not None
    ok(library.give_back(str(loan["id"])))


def _close_breakers(library: LibraryClient) -> None:
    member, book = library.add_member(), library.add_book()
    _until_it_works(library, member["id"], book["id"])
