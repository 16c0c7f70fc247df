"""The queue of erased members: who is believed, what is logged, what comes again."""

import json
from typing import Any

import pytest

from library_common.ids import new_id
from loans_service import erasure
from loans_service.application.account_erasure import ErasureResult
from loans_service.domain.loan import Condition, Member
from tests.fakes.lending import Library
from tests.fakes.sqs import SqsInMemory, batch, failed, in_place_of_sqs, message, queue
from tests.support.bus_deliveries import delivery
from tests.support.operator_log import OperatorLog

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def sqs(monkeypatch: pytest.MonkeyPatch) -> SqsInMemory:
    return in_place_of_sqs(monkeypatch)


def event(user_id: object, **more: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "type": "MemberErased",
        "version": 1,
        "occurred_at": "2026-11-21T12:00:00Z",
        "correlation_id": "desk-7",
        "actor": f"user:{user_id}",
        "subject": f"user:{user_id}",
        "data": {"user_id": user_id},
        **more,
    }


def deliver(library: Library, *bodies: str) -> list[str]:
    consumer = erasure.consumer(lambda: library.account_erasure, queue(), library.clock.monotonic)
    records = [{**message(json.loads(body)), "messageId": f"m{n}"} for n, body in enumerate(bodies, 1)]
    return failed(consumer(batch(*records), None))


def reader(library: Library) -> Member:
    member = library.member()
    library.returns.return_copy(library.lend(member, library.title()), condition=Condition.GOOD)
    return member


def naming(library: Library, member: Member) -> int:
    return sum(loan.user_id == member.id for loan in library.loans.loans.values())


def test_a_member_who_was_erased_is_anonymised(library: Library, log: OperatorLog) -> None:
    member = reader(library)

    assert deliver(library, delivery(event(member.id), "library.users")) == []

    assert naming(library, member) == 0
    (line,) = log.invocations
    assert (line["route"], line["status"], line["correlation_id"]) == ("erasures", "member erased", "desk-7")
    assert (line["anonymised"], line["still_open"], line["failed"]) == ("1", "0", "0")
    assert member.id not in log.text


def test_a_replay_does_the_same_once_more(library: Library) -> None:
    member = reader(library)
    again = delivery(event(member.id), "library.users", replay="rebuild-1")
    deliver(library, again)
    before = dict(library.loans.loans)

    assert deliver(library, again, again) == []

    assert naming(library, member) == 0
    assert library.loans.loans == before


def test_an_open_loan_is_told_of_and_does_not_bring_the_message_again(library: Library, log: OperatorLog) -> None:
    member = reader(library)
    library.lend(member, library.title())

    assert deliver(library, delivery(event(member.id), "library.users")) == []

    assert [(line["status"], line["still_open"]) for line in log.invocations] == [("open loans left", "1")]
    assert naming(library, member) == 1


@pytest.mark.parametrize("source", ["library.loans", "library.fines", "somebody"])
def test_nobody_but_users_erases_anybody(library: Library, sqs: SqsInMemory, source: str) -> None:
    member = reader(library)

    assert deliver(library, delivery(event(member.id), source)) == []

    assert naming(library, member) == 1
    assert sqs.reasons == ["MemberErased is accepted from users only"]


@pytest.mark.parametrize("data", [{}, {"user_id": None}, {"user_id": "x"}, {"user_id": 7}, {"user_id": "U" * 26}])
def test_who_has_no_id_is_set_aside_and_holds_up_nobody(
    library: Library, sqs: SqsInMemory, data: dict[str, Any]
) -> None:
    member = reader(library)
    bad = delivery(event(member.id, data=data), "library.users")

    assert deliver(library, bad, delivery(event(member.id), "library.users")) == []

    assert len(sqs.reasons) == 1
    assert "user_id" in sqs.reasons[0]
    assert naming(library, member) == 0


@pytest.mark.parametrize("left", [ErasureResult(anonymised=7, timed_out=True), ErasureResult(anonymised=7, failed=1)])
def test_what_is_left_brings_the_message_again(
    library: Library, monkeypatch: pytest.MonkeyPatch, log: OperatorLog, sqs: SqsInMemory, left: ErasureResult
) -> None:
    monkeypatch.setattr(library.account_erasure, "erase", lambda *_, **__: left)

    assert deliver(library, delivery(event(new_id()), "library.users")) == ["m1"]

    assert [(line["status"], line["anonymised"]) for line in log.invocations] == [("failed", "7")]
    assert sqs.set_aside == []
