"""The process that runs a saga is killed between two of its steps; the recovery puts everything right.

The kill is real: the fault proxy, standing between loans and books, sends SIGKILL to the Lambda workers
of loans at the moment the request passes. That needs an emulator whose workers are processes here.
"""

import contextlib
import os
import re
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from library_common.ids import new_id
from localstack.embedded.stack import LocalStack
from tests.depth import at_depth
from tests.support.faults import Fault, FaultProxy
from tests.support.invariants import everything, violations
from tests.support.library_client import LibraryClient, at_once, eventually, ok

pytestmark = [
    pytest.mark.integration,
    pytest.mark.resilience,
    pytest.mark.skipif(
        "AWS_ENDPOINT_URL" in os.environ, reason="kills local worker processes, which only an emulator of our own has"
    ),
]

CRASHED = {502, 503}
"""A process that is gone cannot answer. API Gateway says 503 through the template's gateway response; MiniStack
does not apply gateway responses to a crashed function and says 502."""

RECOVERED_WITHIN_SECONDS = 400.0
"""A recovery that finds no other service awake, on a busy machine, comes again after a minute, and then after two."""


def _reserve(book: object) -> str:
    """The path of one title's call: the recovery of another loan must not use up the fault."""
    return rf"^/api/books/{book}/reserve$"


def _release(book: object) -> str:
    return rf"^/api/books/{book}/release$"


type Kill = Callable[[], None]


@pytest.fixture
def kill(stack: LocalStack, emulator_folder: Path) -> Kill:
    """Sends SIGKILL to every running worker process of the stack's loans HTTP function."""
    # The functions of other stacks on this machine have the same names; their code lies elsewhere.
    code = f"{emulator_folder.resolve()}{os.sep}"
    # Its name is the beginning of other functions' names; what follows it in the name of a folder is random.
    worker = re.compile(rf"{re.escape(code)}.*/ministack-lambda-{re.escape(stack.functions['LoansFunction'])}-\w{{8}}/")

    def kill() -> None:
        for process in psutil.process_iter(["cmdline"]):
            if any(worker.match(part) for part in process.info["cmdline"] or ()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)

    return kill


def test_killed_at_every_step(library: LibraryClient, faults: FaultProxy, stack: LocalStack, kill: Kill) -> None:
    """One member and one single-copy title per step; all are left broken, then all must heal by themselves."""
    lent = [(library.add_member()["id"], library.add_book()["id"]) for _ in range(2)]
    after_pending = Fault("POST", _reserve(lent[0][1]), times=1, before=kill, drop=True)
    after_reserve = Fault("POST", _reserve(lent[1][1]), times=1, after=kill, lose=True)
    for fault, (member, book), left in zip((after_pending, after_reserve), lent, (1, 0), strict=True):
        with faults.broken(fault):
            assert library.lend(member, book).status_code in CRASHED
        assert fault.hits == 1
        assert [loan["status"] for loan in _loans_of(stack, member)] == ["PENDING"]
        assert library.available(book) == left

    returned = [(library.add_member()["id"], library.add_book()["id"]) for _ in range(2)]
    loans = [library.lent(member, book)["id"] for member, book in returned]
    after_close = Fault("POST", _release(returned[0][1]), times=1, before=kill, drop=True)
    after_release = Fault("POST", _release(returned[1][1]), times=1, after=kill, lose=True)
    for fault, loan_id, (_, book), left in zip((after_close, after_release), loans, returned, (0, 1), strict=True):
        with faults.broken(fault):
            assert library.give_back(loan_id).status_code in CRASHED
        assert fault.hits == 1
        assert library.loan(loan_id)["status"] == "RETURNED", "the loan is closed first"
        # Nobody leases a return: the recovery may have been there before this look.
        assert library.available(book) in {left, 1}

    eventually(lambda: not violations(stack), "everything recovered", seconds=RECOVERED_WITHIN_SECONDS)
    for member, book in lent:
        assert library.available(book) == 1 - len(library.loans_of(member, "active"))
    for loan_id, (_, book) in zip(loans, returned, strict=True):
        assert library.available(book) == 1
        assert ok(library.give_back(loan_id))["status"] == "RETURNED"


def test_killed_and_repeated_with_the_same_key(
    library: LibraryClient, faults: FaultProxy, stack: LocalStack, kill: Kill
) -> None:
    member, book, key = library.add_member(), library.add_book(copies=2), new_id()
    with faults.broken(Fault("POST", _reserve(book["id"]), times=1, after=kill, lose=True)):
        assert library.lend(member["id"], book["id"], key=key).status_code in CRASHED

    def repeat() -> bool:
        answer = library.lend(member["id"], book["id"], key=key)
        assert answer.status_code in (201, 409), answer.text
        return answer.status_code == 201

    eventually(repeat, "the repeat takes over or finds the loan", seconds=RECOVERED_WITHIN_SECONDS)
    eventually(lambda: not violations(stack), "consistent", seconds=RECOVERED_WITHIN_SECONDS)
    assert library.available(book["id"]) == 1
    assert len(library.loans_of(member["id"])) == 1


def test_killed_again_and_again_under_load(
    library: LibraryClient, faults: FaultProxy, stack: LocalStack, kill: Kill
) -> None:
    """Members lend and return while every fourth call to books kills all workers of loans."""
    book = library.add_book(copies=4)
    members = [library.add_member() for _ in range(at_depth(quick=3, full=6))]
    passed = iter(range(1, 1_000_000))

    def now_and_then() -> None:
        if next(passed) % 4 == 0:
            kill()

    def borrow_and_return(user_id: str) -> set[int]:
        seen = set()
        for _ in range(at_depth(quick=2, full=4)):
            lent = library.lend(user_id, book["id"])
            seen.add(lent.status_code)
            if lent.status_code == 201:
                seen.add(library.give_back(lent.json()["id"]).status_code)
        return seen

    with faults.broken(Fault("POST", r"^/api/books/[^/]+/re(serve|lease)$", after=now_and_then)):
        seen = at_once([partial(borrow_and_return, str(m["id"])) for m in members])

    assert set().union(*seen) <= {200, 201, 409, 422} | CRASHED
    eventually(lambda: not violations(stack), "every invariant", seconds=RECOVERED_WITHIN_SECONDS)
    assert library.available(book["id"]) == 4 - sum(len(library.loans_of(m["id"], "active")) for m in members)


def _loans_of(stack: LocalStack, user_id: str) -> list[dict[str, object]]:
    return [item for item in everything(stack, "loans") if item["sk"] == "LOAN" and item.get("member") == user_id]
