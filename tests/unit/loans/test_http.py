"""The HTTP API of loans, through the events API Gateway sends: who may, what is answered, what is refused."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from library_common.ids import is_id, new_id
from library_common.paging import Cursors
from loans_service.application.ports import BooksOutcomeUnknown, BooksUnavailable
from loans_service.domain.errors import PolicyMissing
from loans_service.domain.loan import LEASE, Condition, Loan, Member
from loans_service.http import build
from tests.fakes.lending import Library
from tests.support.clock import NOON
from tests.support.lambda_events import Answer, api_event, call, person, service
from tests.support.operator_log import OperatorLog

pytestmark = pytest.mark.unit

STAFF = person(new_id(), "librarian")
ADMIN = person(new_id(), "admin")
SERVICE = service("fines", "loans:read")
UNKNOWN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
"""The id of nobody and nothing."""
ODD_IDS = [
    "x",
    "0" * 25,
    "0" * 27,
    "01arz3ndektsv4rrffq69g5fav",
    "%20",
    "a%2Fb",
    "%00",
    "..",
    "%F0%9F%93%9A",
    "x" * 100,
]

type Caller = Mapping[str, str]
type Ask = Callable[..., Answer]


class Desk:
    """The API, built once; each test puts a library of its own behind it."""

    def __init__(self) -> None:
        self.library = Library()
        self.api = build(lambda: self.library.lending)


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


@pytest.fixture
def ask(desk: Desk, library: Library) -> Ask:
    desk.library = library

    def ask(method: str, url: str, body: object = None, *, as_: Caller | None = None, **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return call(desk.api, api_event(method, url, body=body, caller=as_, headers=sent))

    return ask


@pytest.fixture
def me(member: Member) -> Caller:
    return person(member.id, member.role)


@pytest.fixture
def somebody_else(library: Library) -> Caller:
    return person(library.member().id)


def assert_problem(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json["code"]) == (status, code), answer.json
    assert answer.headers["content-type"] == "application/problem+json"


# -- checking out ---------------------------------------------------------------------------------


def test_a_member_borrows_a_title(library: Library, ask: Ask, member: Member, me: Caller) -> None:
    book = library.title()

    answer = ask("POST", "/api/loans", {"user_id": member.id, "book_id": book}, as_=me)

    assert answer.status == 201
    assert is_id(answer.json.pop("id"))
    assert answer.json == {
        "user_id": member.id,
        "book_id": book,
        "barcode": next(iter(library.books.copies[book])),
        "title": f"Title of {book}",
        "status": "ACTIVE",
        "issue_date": "2026-11-21T12:00:00Z",
        "due_date": "2026-12-05T23:59:59Z",
        "return_date": None,
        "extensions_count": 0,
        "version": 2,
    }
    assert answer.headers["etag"] == 'W/"2"'
    (loan,) = library.loans.loans
    assert answer.headers["location"] == f"/api/loans/{loan}"
    assert "idempotency-replayed" not in answer.headers


@pytest.mark.parametrize("staff", [STAFF, ADMIN])
def test_staff_lend_to_others_by_barcode(library: Library, ask: Ask, member: Member, staff: Caller) -> None:
    wanted = list(library.books.copies[library.title(3)])[1]

    answer = ask("POST", "/api/loans", {"user_id": member.id, "barcode": f" {wanted} "}, as_=staff)

    assert (answer.status, answer.json["barcode"]) == (201, wanted)


def test_who_may_check_out(library: Library, ask: Ask, member: Member, somebody_else: Caller) -> None:
    body = {"user_id": member.id, "book_id": library.title()}

    assert_problem(ask("POST", "/api/loans", body), 401, "not_authenticated")
    assert_problem(ask("POST", "/api/loans", body, as_=SERVICE), 403, "not_allowed")
    assert_problem(ask("POST", "/api/loans", body, as_=somebody_else), 403, "not_allowed")
    assert library.loans.loans == {}


def test_the_same_key_is_the_same_loan(library: Library, ask: Ask, member: Member, me: Caller) -> None:
    body = {"user_id": member.id, "book_id": library.title(2)}
    first = ask("POST", "/api/loans", body, as_=me, Idempotency_Key="k")
    ask("PUT", f"/api/loans/{first.json['id']}/extend", as_=me)
    ask("POST", f"/api/loans/{first.json['id']}/return", as_=me)

    again = ask("POST", "/api/loans", body, as_=me, Idempotency_Key="k")

    assert (again.status, again.json) == (first.status, first.json)
    assert again.headers["idempotency-replayed"] == "true"
    for header in ("etag", "location"):
        assert again.headers[header] == first.headers[header]
    assert len(library.loans.loans) == 1


def test_a_key_belongs_to_who_sent_it(library: Library, ask: Ask, member: Member, me: Caller) -> None:
    body = {"user_id": member.id, "book_id": library.title(2)}

    loans = {ask("POST", "/api/loans", body, as_=who, Idempotency_Key="k").json["id"] for who in (me, STAFF)}

    assert len(loans) == 2


def test_a_key_with_another_request_is_refused(library: Library, ask: Ask, member: Member, me: Caller) -> None:
    ask("POST", "/api/loans", {"user_id": member.id, "book_id": library.title()}, as_=me, Idempotency_Key="k")
    other = {"user_id": member.id, "book_id": library.title()}

    assert_problem(ask("POST", "/api/loans", other, as_=me, Idempotency_Key="k"), 422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "user_id"),
        ({"book_id": "B" * 26, "barcode": "C-1"}, "body"),
        ({}, "body"),
        ({"book_id": 7}, "book_id"),
        ({"book_id": ""}, "book_id"),
        ({"book_id": "B" * 41}, "book_id"),
        ({"barcode": "C 1"}, "barcode"),
        ({"barcode": "C1"}, "barcode"),
        ({"barcode": "C" * 31}, "barcode"),
        ({"barcode": "C-\u0661\u0662"}, "barcode"),
        ({"book_id": "B" * 26, "due_date": "2030-01-01T00:00:00Z"}, "due_date"),
    ],
)
def test_a_checkout_that_makes_no_sense_is_422(
    ask: Ask, member: Member, me: Caller, body: dict[str, object], field: str
) -> None:
    sent = body if field == "user_id" else {"user_id": member.id, **body}

    answer = ask("POST", "/api/loans", sent, as_=me)

    assert_problem(answer, 422, "invalid_request")
    assert field in {error["field"] for error in answer.json["errors"]}


@pytest.mark.parametrize("odd", ["x", "0" * 25, "01arz3ndektsv4rrffq69g5fav", "📚"])
def test_an_id_that_is_none_names_nothing(library: Library, ask: Ask, member: Member, odd: str) -> None:
    to_nobody = {"user_id": odd, "book_id": library.title()}
    of_nothing = {"user_id": member.id, "book_id": odd}

    assert_problem(ask("POST", "/api/loans", to_nobody, as_=STAFF), 404, "user_not_found")
    assert_problem(ask("POST", "/api/loans", of_nothing, as_=STAFF), 404, "book_not_found")


def test_what_is_not_there_is_404(library: Library, ask: Ask, member: Member) -> None:
    for body, code in (
        ({"user_id": new_id(), "book_id": library.title()}, "user_not_found"),
        ({"user_id": member.id, "book_id": new_id()}, "book_not_found"),
        ({"user_id": member.id, "barcode": "nobody-knows"}, "copy_not_found"),
    ):
        assert_problem(ask("POST", "/api/loans", body, as_=STAFF), 404, code)


def test_every_refusing_rule_is_named(library: Library, ask: Ask, member: Member, me: Caller) -> None:
    book = library.title(6)
    for _ in range(5):
        library.lend(member, book)
    library.members.add(replace(member, status="suspended"))

    answer = ask("POST", "/api/loans", {"user_id": member.id, "book_id": book}, as_=me)

    assert_problem(answer, 422, "policy_refused")
    assert {reason["code"] for reason in answer.json["reasons"]} == {"member_not_active", "loan_limit_reached"}
    assert all(reason["detail"] for reason in answer.json["reasons"])


def test_a_single_refusing_rule_is_the_code(library: Library, ask: Ask, member: Member, me: Caller) -> None:
    library.members.add(replace(member, status="suspended"))

    answer = ask("POST", "/api/loans", {"user_id": member.id, "book_id": library.title()}, as_=me)

    assert_problem(answer, 422, "member_not_active")


def test_a_copy_the_member_has_already_is_named(ask: Ask, member: Member, me: Caller, loan: Loan) -> None:
    answer = ask("POST", "/api/loans", {"user_id": member.id, "barcode": loan.barcode}, as_=me)

    assert_problem(answer, 409, "already_borrowed")
    assert answer.json["loan_id"] == loan.id


def test_a_copy_just_issued_is_told_too_though_the_index_lags(
    library: Library, ask: Ask, member: Member, me: Caller, loan: Loan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library.loans, "open_loan_of_copy", lambda barcode: None)

    answer = ask("POST", "/api/loans", {"user_id": member.id, "barcode": loan.barcode}, as_=me)

    assert_problem(answer, 409, "already_borrowed")


def test_a_copy_somebody_else_has_is_not_available_and_no_word_of_whom(
    ask: Ask, loan: Loan, somebody_else: Caller
) -> None:
    answer = ask(
        "POST", "/api/loans", {"user_id": somebody_else["subject"], "barcode": loan.barcode}, as_=somebody_else
    )

    assert answer.status == 409
    assert loan.id not in json.dumps(answer.json)
    assert loan.borrower not in json.dumps(answer.json)


def test_services_that_are_down_are_503_with_a_time_to_come_back(
    library: Library, ask: Ask, member: Member, me: Caller
) -> None:
    body = {"user_id": member.id, "book_id": library.title()}

    library.books.failures.append((BooksUnavailable("down"), False))
    books_down = ask("POST", "/api/loans", body, as_=me)
    assert_problem(books_down, 503, "service_unavailable")
    assert books_down.headers["retry-after"] == "5"

    library.books.failures.append((BooksOutcomeUnknown("timeout"), True))
    unresolved = ask("POST", "/api/loans", body, as_=me, Idempotency_Key="k")
    assert_problem(unresolved, 503, "checkout_unresolved")
    assert unresolved.headers["retry-after"] == "10"

    still = ask("POST", "/api/loans", body, as_=me, Idempotency_Key="k")
    assert_problem(still, 409, "checkout_in_progress")
    assert still.headers["retry-after"] == "2"

    library.clock.advance(LEASE)
    assert ask("POST", "/api/loans", body, as_=me, Idempotency_Key="k").status == 201

    library.members.down = True
    assert_problem(ask("POST", "/api/loans", body, as_=me), 503, "service_unavailable")


def test_without_a_usable_policy_nothing_is_lent(
    library: Library, ask: Ask, member: Member, me: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise PolicyMissing("The library's loan policy is not usable.")

    monkeypatch.setattr(library.policies, "current", missing)

    answer = ask("POST", "/api/loans", {"user_id": member.id, "book_id": library.title()}, as_=me)

    assert_problem(answer, 503, "policy_missing")


# -- returning ------------------------------------------------------------------------------------

type Return = Callable[[Loan, dict[str, object]], tuple[str, dict[str, object] | None]]

WAYS: dict[str, Return] = {
    "by loan": lambda loan, more: ("/api/returns", {"loan_id": loan.id, **more}),
    "by barcode": lambda loan, more: ("/api/returns", {"barcode": loan.barcode, **more}),
    "by loan, other path": lambda loan, more: ("/api/loans/returns", {"loan_id": loan.id, **more}),
    "by barcode, other path": lambda loan, more: ("/api/loans/returns", {"barcode": loan.barcode, **more}),
    "under the loan": lambda loan, more: (f"/api/loans/{loan.id}/return", more or None),
}


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> Return:
    return WAYS[request.param]


@pytest.fixture
def give_back(ask: Ask, way: Return) -> Callable[..., Answer]:
    def give_back(loan: Loan, as_: Caller | None, **more: object) -> Answer:
        url, body = way(loan, more)
        return ask("POST", url, body, as_=as_)

    return give_back


def test_a_loan_is_returned(library: Library, give_back: Callable[..., Answer], loan: Loan, me: Caller) -> None:
    library.clock.advance(timedelta(days=20))

    answer = give_back(loan, me)

    assert (answer.status, answer.json["status"]) == (200, "RETURNED")
    assert answer.json["return_date"] == "2026-12-11T12:00:00Z"
    assert answer.headers["etag"] == f'W/"{answer.json["version"]}"' == 'W/"3"'
    library.assert_nothing_left_behind()


def test_who_may_return(library: Library, give_back: Callable[..., Answer], loan: Loan, somebody_else: Caller) -> None:
    assert_problem(give_back(loan, None), 401, "not_authenticated")
    assert_problem(give_back(loan, SERVICE), 403, "not_allowed")
    # Not even that there is such a loan is said.
    assert_problem(give_back(loan, somebody_else), 404, "loan_not_found")
    assert library.history.one(loan.id).is_open
    assert give_back(loan, STAFF).status == 200


def test_a_member_may_not_say_when_but_staff_may(
    library: Library, give_back: Callable[..., Answer], loan: Loan, me: Caller
) -> None:
    library.clock.advance(timedelta(days=5))
    moment = "2026-11-23T15:00:00.75+03:00"

    assert_problem(give_back(loan, me, returned_at=moment), 403, "only_staff_may")
    answer = give_back(loan, STAFF, returned_at=moment)

    assert (answer.status, answer.json["return_date"]) == (200, "2026-11-23T12:00:00Z")


@pytest.mark.parametrize(
    "moment",
    [
        "2026-11-21T11:59:59Z",
        "2026-11-21T12:00:01Z",
        "1999-01-01T00:00:00Z",
    ],
)
def test_a_moment_at_which_it_cannot_have_come_back_is_422(
    library: Library, give_back: Callable[..., Answer], loan: Loan, moment: str
) -> None:
    assert_problem(give_back(loan, STAFF, returned_at=moment), 422, "invalid_moment")
    assert library.history.one(loan.id).is_open


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"returned_at": "2026-11-21T12:00:00"}, "returned_at"),
        ({"returned_at": "yesterday"}, "returned_at"),
        ({"returned_at": 0}, "returned_at"),
        ({"returned_at": "9999-12-31T23:59:59-14:00"}, "returned_at"),
        ({"returned_at": "0001-01-01T00:00:00+14:00"}, "returned_at"),
        ({"condition": "eaten"}, "condition"),
        ({"condition": None}, "condition"),
        ({"fine": 0}, "fine"),
    ],
)
def test_a_return_that_makes_no_sense_is_422(
    give_back: Callable[..., Answer], loan: Loan, more: dict[str, object], field: str
) -> None:
    answer = give_back(loan, STAFF, **more)

    assert_problem(answer, 422, "invalid_request")
    assert [error["field"] for error in answer.json["errors"]] == [field]


def test_a_damaged_copy_is_passed_on(library: Library, give_back: Callable[..., Answer], loan: Loan) -> None:
    give_back(loan, STAFF, condition="damaged")

    assert library.books.damaged == {loan.barcode}


def test_a_return_is_accepted_while_books_is_down(
    library: Library, give_back: Callable[..., Answer], loan: Loan, me: Caller
) -> None:
    library.books.failures.append((BooksUnavailable("down"), False))

    assert (answer := give_back(loan, me)).status == 200
    assert answer.json["status"] == "RETURNED"


@pytest.mark.parametrize("name", ["by loan", "by loan, other path", "under the loan"])
def test_a_second_return_answers_the_same(ask: Ask, loan: Loan, me: Caller, name: str) -> None:
    url, body = WAYS[name](loan, {})
    first = ask("POST", url, body, as_=me)

    again = ask("POST", url, body, as_=me)

    assert (again.status, again.json, again.headers["etag"]) == (200, first.json, first.headers["etag"])


@pytest.mark.parametrize("typed", ["{}\r\n", "\t{} ", "\u00a0{}"])
@pytest.mark.parametrize("change_case", [str.upper, str.lower])
def test_a_barcode_is_read_however_it_was_scanned(
    library: Library, ask: Ask, member: Member, typed: str, change_case: Callable[[str], str]
) -> None:
    library.books.add("01JD7Y6P0GS4V1N8DAHX3E7KQW", "SHELF-7A")
    scanned = change_case(typed.format("Shelf-7a"))

    lent = ask("POST", "/api/loans", {"user_id": member.id, "barcode": scanned}, as_=STAFF)
    back = ask("POST", "/api/returns", {"barcode": scanned}, as_=STAFF)

    assert (lent.status, lent.json["barcode"]) == (201, "SHELF-7A")
    assert (back.status, back.json["id"]) == (200, lent.json["id"])


@pytest.mark.parametrize("path", ["/api/returns", "/api/loans/returns"])
def test_a_copy_that_is_not_out_is_told_as_such(ask: Ask, loan: Loan, me: Caller, path: str) -> None:
    ask("POST", path, {"barcode": loan.barcode}, as_=me)

    assert_problem(ask("POST", path, {"barcode": loan.barcode}, as_=me), 409, "copy_not_on_loan")
    assert_problem(ask("POST", path, {"barcode": "nobody-knows"}, as_=me), 404, "copy_not_found")


@pytest.mark.parametrize("path", ["/api/returns", "/api/loans/returns"])
@pytest.mark.parametrize("body", [{}, {"loan_id": "L" * 26, "barcode": "C-1"}, {"loan_id": None, "barcode": None}])
def test_a_return_names_one_thing(ask: Ask, path: str, body: dict[str, object]) -> None:
    assert_problem(ask("POST", path, body, as_=STAFF), 422, "invalid_request")


@pytest.mark.parametrize("odd", ["x", "01arz3ndektsv4rrffq69g5fav", UNKNOWN])
def test_a_loan_that_is_none_cannot_be_returned(ask: Ask, odd: str) -> None:
    assert_problem(ask("POST", "/api/returns", {"loan_id": odd}, as_=STAFF), 404, "loan_not_found")
    assert_problem(ask("POST", f"/api/loans/{odd}/return", as_=STAFF), 404, "loan_not_found")


# -- reading --------------------------------------------------------------------------------------


def test_a_member_reads_their_own_loan(library: Library, ask: Ask, loan: Loan, me: Caller) -> None:
    answer = ask("GET", f"/api/loans/{loan.id}", as_=me)

    assert (answer.status, answer.json["status"], answer.headers["etag"]) == (200, "ACTIVE", 'W/"2"')
    library.clock.advance(loan.due_at - NOON)
    assert ask("GET", f"/api/loans/{loan.id}", as_=me).json["status"] == "ACTIVE"
    library.clock.advance(timedelta(seconds=1))
    assert ask("GET", f"/api/loans/{loan.id}", as_=me).json["status"] == "OVERDUE"


def test_who_may_read_a_loan(ask: Ask, loan: Loan, somebody_else: Caller) -> None:
    assert_problem(ask("GET", f"/api/loans/{loan.id}"), 401, "not_authenticated")
    assert_problem(ask("GET", f"/api/loans/{loan.id}", as_=service("fines", "users:read")), 403, "not_allowed")
    assert_problem(ask("GET", f"/api/loans/{loan.id}", as_=somebody_else), 404, "loan_not_found")
    assert ask("GET", f"/api/loans/{loan.id}", as_=STAFF).status == 200
    assert ask("GET", f"/api/loans/{loan.id}", as_=SERVICE).json["user_id"] == loan.user_id


@pytest.mark.parametrize("odd", ODD_IDS)
@pytest.mark.parametrize("as_", [STAFF, person(new_id())])
def test_an_odd_id_is_no_loan(ask: Ask, odd: str, as_: Caller) -> None:
    answer = ask("GET", f"/api/loans/{odd}", as_=as_)

    assert answer.status == 404
    assert answer.json["code"] in {"loan_not_found", "no_such_route"}


def test_a_checkout_that_is_still_going_on_is_no_loan_yet(
    library: Library, ask: Ask, member: Member, me: Caller
) -> None:
    library.books.failures.append((BooksOutcomeUnknown("timeout"), True))
    ask("POST", "/api/loans", {"user_id": member.id, "book_id": library.title()}, as_=me)
    (pending,) = library.loans.loans

    assert_problem(ask("GET", f"/api/loans/{pending}", as_=me), 404, "loan_not_found")
    assert_problem(ask("PUT", f"/api/loans/{pending}/extend", as_=me), 404, "loan_not_found")
    assert_problem(ask("POST", f"/api/loans/{pending}/return", as_=me), 404, "loan_not_found")
    assert ask("GET", "/api/loans", as_=me).json["items"] == []


# -- renewing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), [("PUT", "extend"), ("POST", "renew")])
def test_a_loan_is_renewed(ask: Ask, loan: Loan, me: Caller, method: str, path: str) -> None:
    answer = ask(method, f"/api/loans/{loan.id}/{path}", as_=me, If_Match='W/"2"')

    assert answer.status == 200
    assert (answer.json["due_date"], answer.json["extensions_count"]) == ("2026-12-19T23:59:59Z", 1)
    assert answer.headers["etag"] == 'W/"3"'
    assert_problem(ask(method, f"/api/loans/{loan.id}/{path}", as_=me, If_Match='W/"2"'), 412, "stale_version")
    assert ask(method, f"/api/loans/{loan.id}/{path}", as_=me).json["extensions_count"] == 2


@pytest.mark.parametrize("if_match", ["3", "W/", '"x"'])
def test_a_malformed_version_is_400(ask: Ask, loan: Loan, me: Caller, if_match: str) -> None:
    assert_problem(ask("PUT", f"/api/loans/{loan.id}/extend", as_=me, If_Match=if_match), 400, "malformed_header")


def test_who_may_renew(ask: Ask, loan: Loan, somebody_else: Caller) -> None:
    url = f"/api/loans/{loan.id}/extend"
    assert_problem(ask("PUT", url), 401, "not_authenticated")
    assert_problem(ask("PUT", url, as_=SERVICE), 403, "not_allowed")
    assert_problem(ask("PUT", url, as_=somebody_else), 404, "loan_not_found")
    assert ask("PUT", url, as_=STAFF).status == 200


def test_a_renewal_that_is_refused_says_why(library: Library, ask: Ask, loan: Loan, me: Caller) -> None:
    url = f"/api/loans/{loan.id}/extend"
    for _ in range(2):
        ask("PUT", url, as_=me)

    answer = ask("PUT", url, as_=me)
    assert_problem(answer, 422, "renewal_limit_reached")
    assert [reason["code"] for reason in answer.json["reasons"]] == ["renewal_limit_reached"]

    library.returns.return_copy(library.history.one(loan.id), condition=Condition.GOOD)
    assert_problem(ask("PUT", url, as_=me), 409, "loan_not_open")


@pytest.mark.parametrize("odd", ["x", UNKNOWN])
def test_a_loan_that_is_none_cannot_be_renewed(ask: Ask, odd: str) -> None:
    assert_problem(ask("PUT", f"/api/loans/{odd}/extend", as_=STAFF), 404, "loan_not_found")


# -- lists ----------------------------------------------------------------------------------------


@pytest.fixture
def several(library: Library, member: Member) -> list[str]:
    """Five loans, newest first: active, returned, active, returned, overdue."""
    loans = []
    for days in (17, 3, 3, 3, 0):
        loans.append(library.lend(member, library.title()))
        library.clock.advance(timedelta(days=days))
        if len(loans) in {2, 4}:
            library.returns.return_copy(loans[-1], condition=Condition.GOOD)
    return [loan.id for loan in reversed(loans)]


def pages(ask: Ask, url: str, as_: Caller) -> list[str]:
    listed: list[str] = []
    cursor = ""
    while True:
        answer = ask("GET", url + (f"&cursor={cursor}" if cursor else ""), as_=as_)
        assert answer.status == 200, answer.json
        listed += [item["id"] for item in answer.json["items"]]
        cursor = answer.json["next_cursor"]
        if cursor is None:
            return listed


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ("", [0, 1, 2, 3, 4]),
        ("&status=active", [0, 2, 4]),
        ("&status=ACTIVE", [0, 2, 4]),
        ("&status=overdue", [4]),
        ("&status=Overdue", [4]),
        ("&status=returned", [1, 3]),
        ("&status=RETURNED", [1, 3]),
    ],
)
def test_a_members_loans_are_listed_in_pages(
    ask: Ask, member: Member, me: Caller, several: list[str], limit: int, status: str, wanted: list[int]
) -> None:
    expected = [several[n] for n in wanted]

    assert pages(ask, f"/api/loans?limit={limit}{status}", me) == expected
    assert pages(ask, f"/api/loans/user/{member.id}?limit={limit}{status}", me) == expected
    assert pages(ask, f"/api/loans?user_id={member.id}&limit={limit}{status}", STAFF) == expected


def test_who_may_list_whose_loans(ask: Ask, member: Member, me: Caller, somebody_else: Caller) -> None:
    mine, by_path = f"/api/loans?user_id={member.id}", f"/api/loans/user/{member.id}"

    for url in (mine, by_path):
        assert_problem(ask("GET", url), 401, "not_authenticated")
        assert_problem(ask("GET", url, as_=service("users", "inventory:write")), 403, "not_allowed")
        assert ask("GET", url, as_=me).status == 200
        assert ask("GET", url, as_=STAFF).status == 200
    assert_problem(ask("GET", mine, as_=SERVICE), 403, "not_allowed")
    assert ask("GET", by_path, as_=SERVICE).status == 200
    assert_problem(ask("GET", mine, as_=somebody_else), 404, "not_found")
    assert_problem(ask("GET", by_path, as_=somebody_else), 404, "not_found")


def test_staff_say_whose(ask: Ask) -> None:
    answer = ask("GET", "/api/loans", as_=STAFF)

    assert_problem(answer, 422, "invalid_request")
    assert answer.json["errors"][0]["field"] == "user_id"


@pytest.mark.parametrize("odd", ["x", "0" * 26, UNKNOWN])
def test_nobody_has_no_loans(ask: Ask, odd: str) -> None:
    for url in (f"/api/loans?user_id={odd}", f"/api/loans/user/{odd}"):
        assert ask("GET", url, as_=STAFF).json == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=PENDING", "status"),
        ("status=lost", "status"),
        ("status=", "status"),
        ("limit=0", "limit"),
        ("stauts=active", "stauts"),
    ],
)
def test_a_list_that_makes_no_sense_is_422(ask: Ask, me: Caller, query: str, field: str) -> None:
    answer = ask("GET", f"/api/loans?{query}", as_=me)

    assert_problem(answer, 422, "invalid_request")
    assert [error["field"] for error in answer.json["errors"]] == [field]


def test_a_cursor_is_good_for_its_own_list_only(
    ask: Ask, member: Member, me: Caller, several: list[str], library: Library
) -> None:
    cursor = ask("GET", "/api/loans?limit=1", as_=me).json["next_cursor"]
    assert cursor

    assert ask("GET", f"/api/loans/user/{member.id}?limit=3&cursor={cursor}", as_=me).status == 200
    open_loans = ask("GET", "/api/loans?limit=1&status=active", as_=me).json["next_cursor"]
    assert ask("GET", f"/api/loans?limit=1&status=ACTIVE&cursor={open_loans}", as_=me).status == 200, "the same list"
    other = library.member()
    for url, who in (
        (f"/api/loans?limit=1&status=active&cursor={cursor}", me),
        (f"/api/loans?user_id={other.id}&cursor={cursor}", STAFF),
        (f"/api/loans?cursor={cursor[:-3]}", me),
        ("/api/loans?cursor=garbage", me),
        ("/api/loans?cursor=", me),
    ):
        answer = ask("GET", url, as_=who)
        assert_problem(answer, 422, "invalid_request")
        assert answer.json["errors"][0]["field"] == "cursor"


MADE_UP = [
    {},
    {"issued": "2026-11-21T12:00:00Z"},
    {"id": new_id()},
    {"issued": None, "id": new_id()},
    {"issued": 7, "id": new_id()},
    {"issued": "", "id": new_id()},
    {"issued": "\ud800", "id": new_id()},
    {"issued": "now", "id": new_id()},
    {"issued": "2026-11-21T12:00:00+03:00", "id": new_id()},
    {"issued": "2026-11-21T12:00:00Z", "id": 7},
    {"issued": "2026-11-21T12:00:00Z", "id": ""},
    {"issued": "2026-11-21T12:00:00Z", "id": "x" * 1000},
]


@pytest.mark.parametrize("position", MADE_UP)
@pytest.mark.parametrize("status", [None, "active", "returned"])
def test_a_cursor_made_up_for_the_right_list_is_refused_before_it_reaches_the_table(
    ask: Ask, member: Member, me: Caller, position: dict[str, object], status: str | None
) -> None:
    cursor = Cursors({"loans_of": member.id, "status": status}).encode(position)

    answer = ask("GET", f"/api/loans?cursor={cursor}" + (f"&status={status}" if status else ""), as_=me)

    assert_problem(answer, 422, "invalid_request")


def test_a_made_up_cursor_that_could_be_one_shows_no_more_than_the_list(
    ask: Ask, member: Member, me: Caller, several: list[str]
) -> None:
    position = {"issued": "2999-01-01T00:00:00Z", "id": "7" + "Z" * 25}
    cursor = Cursors({"loans_of": member.id, "status": None}).encode(position)

    items = ask("GET", f"/api/loans?cursor={cursor}", as_=me).json["items"]

    assert {item["id"] for item in items} <= set(several)


# -- besides --------------------------------------------------------------------------------------


def test_the_api_describes_itself_to_anybody(ask: Ask) -> None:
    document = ask("GET", "/api/loans/openapi.json").json

    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {
        "/api/loans",
        "/api/loans/openapi.json",
        "/api/loans/obligations/{user_id}",
        "/api/loans/returns",
        "/api/loans/user/{user_id}",
        "/api/loans/{loan_id}",
        "/api/loans/{loan_id}/extend",
        "/api/loans/{loan_id}/renew",
        "/api/loans/{loan_id}/return",
        "/api/returns",
    }
    operations = [entry["operationId"] for path in document["paths"].values() for entry in path.values()]
    assert len(operations) == len(set(operations))


def test_an_invocation_leaves_one_line_with_its_route(ask: Ask, loan: Loan, me: Caller, log: OperatorLog) -> None:
    ask("GET", f"/api/loans/{loan.id}", as_=me)

    assert [line["route"] for line in log.lines] == ["GET /api/loans/{loan_id}"]
    assert loan.title is not None
    assert loan.title not in log.text


@pytest.mark.parametrize("body", [{"days": 7}, [], 0, "text"])
def test_a_renewal_takes_no_body(ask: Ask, library: Library, loan: Loan, me: Caller, body: object) -> None:
    for method, act in (("PUT", "extend"), ("POST", "renew")):
        assert_problem(ask(method, f"/api/loans/{loan.id}/{act}", body, as_=me), 422, "invalid_request")
    assert library.history.one(loan.id).extensions == 0
    assert ask("PUT", f"/api/loans/{loan.id}/extend", {}, as_=me).status == 200


# -- what nobody's any more -----------------------------------------------------------------------


@pytest.fixture
def anonymous(library: Library, loan: Loan) -> Loan:
    library.returns.return_copy(loan, condition=Condition.GOOD)
    library.anonymisation.anonymise(library.loans.loans[loan.id])
    return library.loans.loans[loan.id]


@pytest.mark.parametrize("caller", [STAFF, ADMIN, SERVICE])
def test_an_anonymised_loan_is_shown_without_a_member(
    ask: Ask, member: Member, loan: Loan, anonymous: Loan, caller: Caller
) -> None:
    answer = ask("GET", f"/api/loans/{anonymous.id}", as_=caller)

    assert answer.status == 200
    assert (answer.json["user_id"], answer.json["status"]) == (None, "RETURNED")
    assert (answer.json["title"], answer.json["barcode"]) == (loan.title, loan.barcode)
    assert answer.headers["etag"] == f'W/"{anonymous.version}"'
    assert member.id not in json.dumps(answer.json)


def test_whose_it_was_is_told_no_more_of_it_than_anybody(
    ask: Ask, me: Caller, somebody_else: Caller, anonymous: Loan
) -> None:
    path = f"/api/loans/{anonymous.id}"
    for caller in (me, somebody_else):
        assert_problem(ask("GET", path, as_=caller), 404, "loan_not_found")
        assert_problem(ask("POST", f"{path}/return", as_=caller), 404, "loan_not_found")
        assert_problem(ask("PUT", f"{path}/extend", as_=caller), 404, "loan_not_found")
    for url in ("/api/loans", f"/api/loans/user/{me['subject']}", "/api/loans?status=returned"):
        assert ask("GET", url, as_=me).json == {"items": [], "next_cursor": None}
    assert ask("GET", f"/api/loans/user/{me['subject']}", as_=STAFF).json["items"] == []


def test_the_desk_may_hand_it_in_once_more_which_changes_nothing(library: Library, ask: Ask, anonymous: Loan) -> None:
    for url, body in ((f"/api/loans/{anonymous.id}/return", None), ("/api/returns", {"loan_id": anonymous.id})):
        answer = ask("POST", url, body, as_=STAFF)
        assert (answer.status, answer.json["user_id"], answer.json["status"]) == (200, None, "RETURNED")
    assert_problem(ask("PUT", f"/api/loans/{anonymous.id}/extend", as_=STAFF), 409, "loan_not_open")
    assert library.loans.loans[anonymous.id] == anonymous
