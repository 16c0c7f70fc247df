"""What loans asks of users and books, and what it makes of their answers."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import pytest

from library_common.ids import new_id
from library_common.service_client import (
    Answered,
    NotFound,
    Refused,
    Result,
    ServiceClient,
    Unavailable,
    UnknownOutcome,
)
from loans_service.adapters.services import HttpBooks, HttpMembers
from loans_service.application.ports import BooksOutcomeUnknown, BooksUnavailable, CopyLocation
from loans_service.domain import errors
from loans_service.domain.loan import LEASE, Condition, Copy, Loan, LoanStatus, Member
from tests.support.clock import NOON

pytestmark = pytest.mark.unit

DEADLINE = 42.0
PENDING = Loan(
    id=new_id(),
    user_id=new_id(),
    role="patron",
    book_id="B/1",
    status=LoanStatus.PENDING,
    requested_at=NOON,
    due_at=NOON,
    lease_until=NOON + LEASE,
)
NO_ANSWER: list[Result] = [Unavailable("x", "circuit open"), UnknownOutcome("x", "timeout"), Refused(400, "odd", "")]


class Client:
    """Records one call and gives one result."""

    def __init__(self, result: Result) -> None:
        self.result = result
        self.asked: tuple[str, str, Mapping[str, Any] | None, bool] | None = None

    def get(self, path: str, *, deadline: float) -> Result:
        assert deadline == DEADLINE
        self.asked = ("GET", path, None, True)
        return self.result

    def post(self, path: str, body: Mapping[str, Any], *, idempotent: bool, deadline: float) -> Result:
        assert deadline == DEADLINE
        self.asked = ("POST", path, body, idempotent)
        return self.result


def members(result: Result) -> tuple[HttpMembers, Client]:
    client = Client(result)
    return HttpMembers(cast("ServiceClient", client)), client


def gateway(result: Result) -> tuple[HttpBooks, Client]:
    client = Client(result)
    return HttpBooks(cast("ServiceClient", client)), client


# -- users ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expires", "expires_at"),
    [(None, None), ("2027-01-01T00:00:00+03:00", datetime.fromisoformat("2026-12-31T21:00:00Z"))],
)
def test_a_member_is_read_as_users_describes_them(expires: str | None, expires_at: datetime | None) -> None:
    body = {"id": "U", "role": "faculty", "status": "active", "expires_at": expires, "email": "ann@example.org"}
    users, client = members(Answered(200, body))

    assert users.find("U/1", DEADLINE) == Member(id="U", role="faculty", status="active", expires_at=expires_at)
    assert client.asked == ("GET", "/api/users/U%2F1", None, True)


def test_a_member_may_have_no_end() -> None:
    users, _ = members(Answered(200, {"id": "U", "role": "patron", "status": "active"}))

    assert users.find("U", DEADLINE).expires_at is None


@pytest.mark.parametrize(
    ("preferences", "keeps"),
    [
        ({"keep_history": True}, True),
        ({"keep_history": False}, False),
        ({"keep_history": None}, None),
        ({"keep_history": "yes"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_preference_is_read_only_where_it_was_stated(preferences: object, keeps: bool | None) -> None:
    body = {"id": "U", "role": "patron", "status": "active", "preferences": preferences}

    assert members(Answered(200, body))[0].find("U", DEADLINE).keeps_history is keeps


def test_an_unknown_member_is_told_as_such() -> None:
    with pytest.raises(errors.MemberNotFound):
        members(NotFound("user_not_found"))[0].find("U", DEADLINE)


@pytest.mark.parametrize("result", NO_ANSWER)
def test_users_that_cannot_be_asked_stop_everything(result: Result) -> None:
    with pytest.raises(errors.DependencyUnavailable):
        members(result)[0].find("U", DEADLINE)


# -- books: taking --------------------------------------------------------------------------------


def test_a_copy_is_taken_for_the_loan_while_its_lease_lasts() -> None:
    books, client = gateway(Answered(200, {"barcode": "C-1", "title": "A title"}))

    assert books.reserve(PENDING, DEADLINE) == Copy(barcode="C-1", title="A title")
    body = {"loan_id": PENDING.id, "valid_until": "2026-11-21T12:00:30Z"}
    assert client.asked == ("POST", "/api/books/B%2F1/reserve", body, True)


def test_a_copy_comes_with_the_genre_of_its_title() -> None:
    books, _ = gateway(Answered(200, {"barcode": "C-1", "title": "A title", "genre": "novel"}))

    assert books.reserve(PENDING, DEADLINE).genre == "novel"


def test_one_very_copy_is_asked_for_by_its_barcode() -> None:
    books, client = gateway(Answered(200, {"barcode": "C-1", "title": None}))

    assert books.reserve(replace(PENDING, wanted_barcode="C-1"), DEADLINE).title == ""
    assert client.asked is not None
    assert client.asked[2] == {"loan_id": PENDING.id, "barcode": "C-1", "valid_until": "2026-11-21T12:00:30Z"}


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (NotFound("book_not_found"), errors.BookNotFound),
        (NotFound("copy_not_found"), errors.CopyNotFound),
        (Refused(409, "no_copies_available", ""), errors.NoCopiesAvailable),
        (Refused(409, "copy_not_available", ""), errors.CopyNotAvailable),
        (Refused(409, "book_archived", ""), errors.BookArchived),
        (Refused(409, "loan_already_released", ""), errors.CheckoutCancelled),
        (Refused(409, "reservation_expired", ""), errors.CheckoutCancelled),
    ],
)
def test_a_refusal_is_final_and_can_be_repeated_to_the_client(
    result: Result, error: type[errors.RefusedByBooks]
) -> None:
    with pytest.raises(error) as refused:
        gateway(result)[0].reserve(PENDING, DEADLINE)

    assert str(refused.value)
    assert errors.REPEATABLE_REFUSALS[refused.value.code] is error


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (Unavailable("books", "throttled"), BooksUnavailable),
        (UnknownOutcome("books", "timeout"), BooksOutcomeUnknown),
        # Refused by whoever stands in front of books, or for a reason that says nothing about copies.
        (Refused(400, "bad_request", ""), BooksOutcomeUnknown),
        (Refused(409, "loan_holds_another_copy", ""), BooksOutcomeUnknown),
    ],
)
def test_no_answer_is_not_a_refusal(result: Result, error: type[Exception]) -> None:
    with pytest.raises(error):
        gateway(result)[0].reserve(PENDING, DEADLINE)


# -- books: giving back ---------------------------------------------------------------------------


@pytest.mark.parametrize(("condition", "told"), [(Condition.GOOD, {}), (Condition.DAMAGED, {"condition": "damaged"})])
def test_a_copy_is_given_back_in_the_condition_it_came(condition: Condition, told: dict[str, str]) -> None:
    books, client = gateway(Answered(200, {}))

    books.release(PENDING.activated(Copy("C-1", ""), NOON).returned(NOON, condition), DEADLINE)

    assert client.asked == ("POST", "/api/books/B%2F1/release", {"loan_id": PENDING.id} | told, True)


def test_a_title_that_is_gone_holds_no_copy() -> None:
    gateway(NotFound("book_not_found"))[0].release(PENDING, DEADLINE)


@pytest.mark.parametrize("result", [*NO_ANSWER, Refused(409, "loan_holds_another_copy", "")])
def test_anything_else_means_the_copy_is_not_back_yet(result: Result) -> None:
    with pytest.raises(BooksUnavailable):
        gateway(result)[0].release(PENDING, DEADLINE)


# -- books: looking up ----------------------------------------------------------------------------


@pytest.mark.parametrize(("loan_id", "told"), [("L", "L"), (None, None)])
def test_a_barcode_is_looked_up(loan_id: str | None, told: str | None) -> None:
    books, client = gateway(Answered(200, {"book_id": "B", "barcode": "C-1", "loan_id": loan_id}))

    assert books.find_copy("C-1", DEADLINE) == CopyLocation(book_id="B", loan_id=told)
    assert client.asked == ("GET", "/api/books/copies/C-1", None, True)


def test_an_unknown_barcode_is_told_as_such() -> None:
    with pytest.raises(errors.CopyNotFound):
        gateway(NotFound("copy_not_found"))[0].find_copy("C-1", DEADLINE)


@pytest.mark.parametrize("result", NO_ANSWER)
def test_books_that_cannot_be_asked_tell_nothing(result: Result) -> None:
    with pytest.raises(errors.DependencyUnavailable):
        gateway(result)[0].find_copy("C-1", DEADLINE)
