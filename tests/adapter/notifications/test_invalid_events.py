"""Events that are odd, old, replayed or another's: they tell nothing, and nothing else suffers."""

from datetime import timedelta
from typing import Any

import pytest

from notifications_service.application.event_handling import InvalidEvent
from notifications_service.application.ports import ServiceUnavailable
from notifications_service.domain.kinds import Channel
from tests.fakes.post_office import Post, event, lent
from tests.support.clock import NOON
from tests.support.operator_log import OperatorLog

pytestmark = pytest.mark.adapter

ODD = ["", "2026-12-20", "2026-12-20T10:00:00", "soon", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", 20261220]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    ("type_", "name"),
    [
        ("LoanCreated", "due_date"),
        ("LoanOverdue", "due_date"),
        ("LoanReturned", "return_date"),
        ("ReservationReady", "pickup_until"),
        ("MemberStatusChanged", "until"),
    ],
)
def test_a_moment_that_is_none_is_not_understood(post: Post, type_: str, name: str, odd: Any) -> None:
    ann = post.services.join()

    with pytest.raises(InvalidEvent):
        post.handle_event(event(type_, ann.id, loan_id="L1", title="Dune", **{name: odd}), "c-1")

    assert post.items(ann.id) == []


@pytest.mark.parametrize("amount", ["1e999999999", "NaN", "2,50", "1" * 10])
def test_an_amount_that_is_none_is_not_understood_and_nothing_else_suffers(post: Post, amount: str) -> None:
    ann = post.services.join()
    post.handle_event(event("MemberRegistered", ann.id, role="patron", status="active"), "c-1")

    with pytest.raises(InvalidEvent):
        post.handle_event(event("FineCalculated", ann.id, amount={"amount": amount, "currency": "USD"}), "c-1")
    post.minute(2)

    assert (post.listed(ann.id), post.lines(ann.id)) == (["welcome"], ["welcome -"])


@pytest.mark.parametrize("odd", ["", "yesterday", "1969-07-20T20:17:40Z", "0001-01-01T00:00:00+10:00"])
def test_an_event_of_no_time_is_not_understood(post: Post, odd: str) -> None:
    ann = post.services.join()

    with pytest.raises(InvalidEvent):
        post.handle_event(lent(ann.id).model_copy(update={"occurred_at": odd}), "c-1")


@pytest.mark.parametrize("type_", ["LoanReturned", "MemberErased"])
@pytest.mark.parametrize("source", [None, "library.fines", "aws.s3"])
def test_an_event_of_another_source_does_nothing(post: Post, type_: str, source: str | None) -> None:
    ann = post.services.join()
    post.handle_event(lent(ann.id), "c-1")

    with pytest.raises(InvalidEvent):
        post.handle_event(event(type_, ann.id, title="Dune").model_copy(update={"source": source}), "c-2")

    assert post.listed(ann.id) == ["loan_issued"]


def test_one_that_cannot_be_judged_holds_up_no_other_and_is_given_up(post: Post, log: OperatorLog) -> None:
    ann = post.services.join()
    loan = lent(ann.id, days=-1)
    post.services.due_dates["L1"] = loan.data["due_date"]
    post.handle_event(event("LoanOverdue", ann.id, title="Dune", loan_id="L1", due_date=loan.data["due_date"]), "c-1")
    post.services.odd.add("L1")
    post.handle_event(event("MemberStatusChanged", ann.id, old="active", new="suspended"), "c-1")

    post.minute(2)
    assert post.lines(ann.id) == ["membership_changed -"]
    for _ in range(30):
        post.until(post.clock.now() + timedelta(hours=1))

    assert [failed.error for failed in post.failures.list(10, None)[0]] == ["not_judged"]
    assert "notice not judged" in log.text
    assert post.providers[Channel.EMAIL].tries == 1


def test_a_replay_of_the_archive_tells_nothing(post: Post) -> None:
    ann = post.services.join()
    loan = lent(ann.id).model_copy(update={"replayed": True})

    assert post.handle_event(loan, "c-1") == "replayed"

    assert post.items(ann.id) == []
    assert (
        post.handle_event(event("MemberErased", ann.id).model_copy(update={"replayed": True}), "c-1") == "member_erased"
    )


@pytest.mark.parametrize(("days", "outcome"), [(14, "planned"), (16, "too_old")])
def test_what_is_long_past_is_no_news(post: Post, days: int, outcome: str) -> None:
    ann = post.services.join()

    assert post.handle_event(lent(ann.id, days=30, at=NOON - timedelta(days=days)), "c-1") == outcome
    assert post.handle_event(event("MemberErased", ann.id, at=NOON - timedelta(days=days)), "c-1") == "member_erased"


def overdue(post: Post, user_id: str) -> str:
    due_date = lent(user_id, days=-1).data["due_date"]
    return post.handle_event(event("LoanOverdue", user_id, title="Dune", loan_id="L1", due_date=due_date), "c-1")


def test_a_book_that_is_back_is_not_overdue_in_the_list_either(post: Post) -> None:
    ann = post.services.join()

    assert overdue(post, ann.id) == "not_applicable"
    assert post.items(ann.id) == []

    post.services.due_dates["L1"] = lent(ann.id, days=-1).data["due_date"]
    assert overdue(post, ann.id) == "planned"
    assert post.listed(ann.id) == ["loan_overdue"]


def test_while_loans_is_down_the_event_comes_again(post: Post) -> None:
    ann = post.services.join()
    post.services.loans_down = True

    with pytest.raises(ServiceUnavailable):
        overdue(post, ann.id)

    assert post.items(ann.id) == []
