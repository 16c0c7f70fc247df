"""What members may do by themselves: borrow a limited number an hour, return what is whole, and that where the policy
allows it. Without these limits one member could empty the shelves."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from loans_service.domain.loan import Condition, Loan, Member
from loans_service.domain.policy import LoanPolicy, LoanRule
from loans_service.http import build
from tests.fakes.lending import Library
from tests.support.lambda_events import Answer, api_event, call, person
from tests.support.shared_api import api_on

pytestmark = pytest.mark.unit

STAFF = person("01JD7Y3MT5W8Q2R6XKZ4B9CFHN", "librarian")
PER_HOUR = 4

type Ask = Callable[..., Answer]


@pytest.fixture
def ask(library: Library) -> Ask:
    def ask(path: str, body: object, *, by: Member | None) -> Answer:
        caller = person(by.id, by.role) if by else STAFF
        return call(api_on(build, library.lending), api_event("POST", path, body=body, caller=caller))

    return ask


def set_policy(library: Library, **settings: object) -> None:
    library.policies.policy = LoanPolicy.model_validate({**library.policies.policy.model_dump(), **settings})


# -- returns --------------------------------------------------------------------------------------


RETURNS = ("/api/returns", "/api/loans/returns", "/api/loans/{id}/return")


@pytest.mark.parametrize("path", RETURNS)
@pytest.mark.parametrize("condition", [condition.value for condition in Condition if condition is not Condition.GOOD])
def test_only_staff_say_that_a_copy_is_not_good(
    library: Library, ask: Ask, member: Member, loan: Loan, path: str, condition: str
) -> None:
    body = {"condition": condition} | ({} if "{id}" in path else {"loan_id": loan.id})

    refused = ask(path.format(id=loan.id), body, by=member)
    assert (refused.status, refused.json["code"]) == (403, "only_staff_may")
    assert library.history.one(loan.id).is_open

    assert ask(path.format(id=loan.id), body, by=None).status == 200
    assert library.books.damaged == {loan.barcode}


@pytest.mark.parametrize("path", RETURNS)
def test_returns_can_be_left_to_the_desk(library: Library, ask: Ask, member: Member, loan: Loan, path: str) -> None:
    set_policy(library, self_return="desk")
    body = {"condition": "good"} | ({} if "{id}" in path else {"barcode": loan.barcode})

    refused = ask(path.format(id=loan.id), body, by=member)
    assert (refused.status, refused.json["code"]) == (403, "return_at_desk")
    assert library.history.one(loan.id).is_open

    assert ask(path.format(id=loan.id), body, by=None).status == 200


def test_members_close_their_own_loans_unless_the_policy_says_otherwise(ask: Ask, member: Member, loan: Loan) -> None:
    assert ask("/api/returns", {"loan_id": loan.id, "condition": "good"}, by=member).status == 200


def test_a_stranger_learns_nothing_from_what_they_may_not_say(library: Library, ask: Ask, loan: Loan) -> None:
    refused = ask("/api/returns", {"loan_id": loan.id, "condition": "damaged"}, by=library.member())

    assert (refused.status, refused.json["code"]) == (404, "loan_not_found")


# -- loans an hour --------------------------------------------------------------------------------


def borrow(library: Library, ask: Ask, member: Member, *, by: Member | None, after_minutes: int = 1) -> Answer:
    """Borrows a title and brings it back at once."""
    library.clock.advance(timedelta(minutes=after_minutes))
    answer = ask("/api/loans", {"user_id": member.id, "book_id": library.title()}, by=by)
    if answer.status == 201:
        assert ask("/api/returns", {"loan_id": answer.json["id"]}, by=None).status == 200
    return answer


def test_a_member_opens_so_many_loans_in_any_hour(library: Library, ask: Ask, member: Member) -> None:
    set_policy(library, loans_per_hour=PER_HOUR)
    assert [borrow(library, ask, member, by=member).status for _ in range(PER_HOUR)] == [201] * PER_HOUR

    refused = borrow(library, ask, member, by=member)
    assert (refused.status, refused.json["code"]) == (422, "hourly_limit_reached")
    # It is 12:05, and the first was at 12:01. An hour later there is room for one again, and for one only.
    assert "13:02" in refused.json["detail"]
    assert borrow(library, ask, member, by=member, after_minutes=56).status == 422
    assert borrow(library, ask, member, by=member).status == 201
    assert borrow(library, ask, member, by=member, after_minutes=0).status == 422


def test_other_members_and_staff_are_not_held_up_by_it(library: Library, ask: Ask, member: Member) -> None:
    set_policy(library, loans_per_hour=PER_HOUR)
    for _ in range(PER_HOUR):
        borrow(library, ask, member, by=member)

    assert borrow(library, ask, member, by=member).status == 422
    assert borrow(library, ask, member, by=None).status == 201
    other = library.member()
    assert borrow(library, ask, other, by=other).status == 201


def test_thirty_are_allowed_by_default(library: Library, ask: Ask, member: Member) -> None:
    statuses = [borrow(library, ask, member, by=member).status for _ in range(31)]

    assert statuses == [201] * 30 + [422]


def test_the_limit_is_one_of_all_reasons(library: Library, ask: Ask, member: Member) -> None:
    set_policy(library, loans_per_hour=1, loan_rules=[LoanRule(role=None, limit=1, period_days=14).model_dump()])
    assert ask("/api/loans", {"user_id": member.id, "book_id": library.title()}, by=member).status == 201

    refused = ask("/api/loans", {"user_id": member.id, "book_id": library.title()}, by=member)

    assert {reason["code"] for reason in refused.json["reasons"]} == {"loan_limit_reached", "hourly_limit_reached"}
