"""The process that runs a saga is killed between two of its steps; the recovery puts everything right.

The kill is real: the fault proxy, standing between loans and books, sends SIGKILL to the Lambda workers
of loans at the moment the request passes. That needs an emulator whose workers are processes here.
"""

import contextlib
import os
import signal
from collections.abc import Callable

import psutil
import pytest
from localstack.embedded.stack import LocalStack

from tests.support.faults import Fault, FaultProxy
from tests.support.invariants import everything, violations
from tests.support.library_client import LibraryClient, at_once, created, eventually, ok

pytestmark = [
    pytest.mark.integration,
    pytest.mark.resilience,
    pytest.mark.skipif(
        "AWS_ENDPOINT_URL" in os.environ, reason="kills local worker processes, which only an emulator of our own has"
    ),
]

RESERVE = r"^/api/books/[^/]+/reserve$"
RELEASE = r"^/api/books/[^/]+/release$"


def test_killed_after_the_pending_write(library: LibraryClient, faults: FaultProxy, stack: LocalStack) -> None:
    member, book = library.add_member(), library.add_book()
    with faults.broken(Fault("POST", RESERVE, times=1, before=kill_loans(stack), drop=True)) as fault:
        answer = library.lend(member["id"], book["id"])
    assert fault.hits == 1
    assert answer.status_code == 503
    assert [loan["status"] for loan in _loans_of(stack, member["id"])] == ["PENDING"]
    eventually(lambda: not violations(stack), "recovered", seconds=120)
    assert library.available(book["id"]) == 1 - len(library.loans_of(member["id"], "active"))


def test_killed_after_books_took_the_copy(library: LibraryClient, faults: FaultProxy, stack: LocalStack) -> None:
    member, book = library.add_member(), library.add_book()
    with faults.broken(Fault("POST", RESERVE, times=1, after=kill_loans(stack), lose=True)) as fault:
        answer = library.lend(member["id"], book["id"])
    assert fault.hits == 1
    assert answer.status_code == 503
    assert library.available(book["id"]) == 0
    assert [loan["status"] for loan in _loans_of(stack, member["id"])] == ["PENDING"]
    eventually(lambda: not violations(stack), "recovered", seconds=120)
    assert library.available(book["id"]) == 1 - len(library.loans_of(member["id"], "active"))


def test_killed_and_repeated_with_the_same_key(library: LibraryClient, faults: FaultProxy, stack: LocalStack) -> None:
    member, book = library.add_member(), library.add_book(copies=2)
    with faults.broken(Fault("POST", RESERVE, times=1, after=kill_loans(stack), lose=True)):
        assert library.lend(member["id"], book["id"], key="again").status_code == 503

    def repeat() -> bool:
        answer = library.lend(member["id"], book["id"], key="again")
        assert answer.status_code in (201, 409), answer.text
        return answer.status_code == 201

    eventually(repeat, "the repeat takes over or finds the loan", seconds=120)
    eventually(lambda: not violations(stack), "consistent")
    assert library.available(book["id"]) == 1
    assert len(library.loans_of(member["id"])) == 1


def test_killed_after_a_return_was_written(library: LibraryClient, faults: FaultProxy, stack: LocalStack) -> None:
    member, book = library.add_member(), library.add_book()
    loan = created(library.lend(member["id"], book["id"]))
    with faults.broken(Fault("POST", RELEASE, times=1, before=kill_loans(stack), drop=True)) as fault:
        assert library.give_back(loan["id"]).status_code == 503
    assert fault.hits == 1
    assert library.loan(loan["id"])["status"] == "RETURNED", "the loan is closed first"
    eventually(lambda: not violations(stack), "the copy came back by itself", seconds=120)
    assert library.available(book["id"]) == 1


def test_killed_after_books_got_the_copy_back(library: LibraryClient, faults: FaultProxy, stack: LocalStack) -> None:
    member, book = library.add_member(), library.add_book()
    loan = created(library.lend(member["id"], book["id"]))
    with faults.broken(Fault("POST", RELEASE, times=1, after=kill_loans(stack), lose=True)):
        assert library.give_back(loan["id"]).status_code == 503
    eventually(lambda: not violations(stack), "settled", seconds=120)
    assert ok(library.give_back(loan["id"]))["status"] == "RETURNED"
    assert library.available(book["id"]) == 1


def test_killed_again_and_again_under_load(library: LibraryClient, faults: FaultProxy, stack: LocalStack) -> None:
    """Six members lend and return while every fourth call to books kills all workers of loans."""
    book = library.add_book(copies=4)
    members = [library.add_member() for _ in range(6)]
    kill = kill_loans(stack)
    passed = iter(range(1, 1_000_000))

    def now_and_then() -> None:
        if next(passed) % 4 == 0:
            kill()

    def borrow_and_return(user_id: str) -> set[int]:
        seen = set()
        for _ in range(4):
            lent = library.lend(user_id, book["id"])
            seen.add(lent.status_code)
            if lent.status_code == 201:
                seen.add(library.give_back(lent.json()["id"]).status_code)
        return seen

    with faults.broken(Fault("POST", r"^/api/books/[^/]+/re(serve|lease)$", after=now_and_then)):
        seen = at_once([lambda m=m: borrow_and_return(m["id"]) for m in members])

    assert set().union(*seen) <= {200, 201, 409, 422, 503}
    eventually(lambda: not violations(stack), "every invariant", seconds=150)
    assert library.available(book["id"]) == 4 - sum(len(library.loans_of(m["id"], "active")) for m in members)


def kill_loans(stack: LocalStack) -> Callable[[], None]:
    """Sends SIGKILL to every running worker process of the loans HTTP function."""
    name = stack.functions["LoansFunction"]

    def kill() -> None:
        for process in psutil.process_iter(["cmdline"]):
            if any(f"ministack-lambda-{name}-" in part for part in process.info["cmdline"] or ()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)

    return kill


def _loans_of(stack: LocalStack, user_id: str) -> list[dict[str, object]]:
    return [item for item in everything(stack, "loans") if item["sk"] == "LOAN" and item["member"] == user_id]
