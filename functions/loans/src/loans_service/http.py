"""The HTTP API of loans: translation only."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Self

from fastapi import Query, Response
from pydantic import BaseModel, Field, model_validator

from library_common.access import Access, Caller
from library_common.clock import is_rfc3339, to_rfc3339
from library_common.http import (
    CurrentCaller,
    IdempotencyKey,
    IfMatch,
    ListQuery,
    RequestBody,
    ServiceApi,
    mark_replayed,
    require_version,
    set_etag,
    with_examples,
)
from library_common.ids import is_id
from library_common.paging import Cursors, Page
from library_common.problems import FieldError, InvalidRequest, StaleVersion
from library_common.text import IN_ANY_CASE, Line
from library_common.timestamps import Timestamp
from loans_service import bootstrap
from loans_service.application.checkout import CheckoutRequest, IdempotencyMismatch
from loans_service.application.history import Shown
from loans_service.bootstrap import Lending
from loans_service.domain import errors
from loans_service.domain.loan import Condition, Loan, LoanStatus

DESCRIPTION = "Lending: checkout, return and renewal by the library's loan policy, and what members have borrowed."
PROBLEMS: dict[type[Exception], int] = {
    errors.LoanNotFound: 404,
    errors.MemberNotFound: 404,
    errors.BookNotFound: 404,
    errors.CopyNotFound: 404,
    errors.NoCopiesAvailable: 409,
    errors.CopyNotAvailable: 409,
    errors.BookArchived: 409,
    errors.AlreadyBorrowed: 409,
    errors.CheckoutCancelled: 409,
    errors.StillInProgress: 409,
    errors.CopyNotOnLoan: 409,
    errors.LoanNotOpen: 409,
    errors.LoanChanged: 409,
    errors.OnlyStaffMay: 403,
    errors.PolicyRefused: 422,
    errors.InvalidMoment: 422,
    IdempotencyMismatch: 422,
    errors.PolicyMissing: 503,
    errors.DependencyUnavailable: 503,
    errors.CheckoutUnresolved: 503,
}

Id = Annotated[Line, Field(min_length=1, max_length=40)]
Barcode = Annotated[Line, Field(min_length=3, max_length=30, pattern=r"^[A-Za-z0-9-]+$")]


class CheckoutBody(RequestBody):
    """Lend a title, or one very copy by its barcode, to a member."""

    model_config = with_examples(
        {"user_id": "01JD7Y3MT5W8Q2R6XKZ4B9CFHN", "book_id": "01JD7Y6P0GS4V1N8DAHX3E7KQW"},
        {"user_id": "01JD7Y3MT5W8Q2R6XKZ4B9CFHN", "barcode": "30001000000002"},
    )

    user_id: Id
    book_id: Id | None = None
    barcode: Barcode | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.book_id is None) == (self.barcode is None):
            raise ValueError("give either book_id or barcode")
        return self


class ReturnDetails(RequestBody):
    """How and when a copy came back. `returned_at` takes a librarian."""

    model_config = with_examples(
        {"condition": "damaged"}, {"condition": "good", "returned_at": "2026-11-20T17:30:00+03:00"}
    )

    returned_at: Timestamp | None = None
    condition: Condition = Condition.GOOD


class ReturnBody(ReturnDetails):
    """Which loan, by its id or by the barcode of its copy."""

    model_config = with_examples(
        {"barcode": "30001000000002"}, {"loan_id": "01JD7YC1R2ZK5T9M8WQH4XF6BE", "condition": "damaged"}
    )

    loan_id: Id | None = None
    barcode: Barcode | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.loan_id is None) == (self.barcode is None):
            raise ValueError("give either loan_id or barcode")
        return self


class LoanView(BaseModel):
    """One loan. Dates are RFC 3339 UTC; `return_date` is null while the copy is out."""

    id: str
    user_id: Annotated[
        str | None,
        Field(description="Null once the loan is anonymised; only staff and services can read it then, by its id."),
    ]
    book_id: str
    barcode: str
    title: str
    status: LoanStatus
    issue_date: str
    due_date: str
    return_date: str | None
    extensions_count: int
    version: int


class ObligationsView(BaseModel):
    """What still binds a member to the library."""

    open_loans: Annotated[int, Field(description="Copies the member has, and checkouts that are not finished yet.")]


_STATUS = "In lower case or, as loans answer it, in capitals. `active` includes what is overdue."


class LoansQuery(ListQuery):
    """Whose loans, and which."""

    user_id: Annotated[Line | None, Field(max_length=40, description="Members may leave it out: their own.")] = None
    status: Annotated[Shown | None, IN_ANY_CASE, Field(description=_STATUS)] = None


class MemberLoansQuery(ListQuery):
    """Which of the member's loans."""

    status: Annotated[Shown | None, IN_ANY_CASE, Field(description=_STATUS)] = None


_OWN_LOAN_OR_STAFF = Access(member=True, own="loan", librarian=True)
_RENEWAL_REFUSALS = (
    errors.LoanNotFound,
    errors.LoanNotOpen,
    errors.LoanChanged,
    errors.PolicyRefused,
    errors.MemberNotFound,
    errors.PolicyMissing,
    errors.DependencyUnavailable,
    StaleVersion,
)
_RETURN_REFUSALS = (
    errors.LoanNotFound,
    errors.CopyNotFound,
    errors.CopyNotOnLoan,
    errors.LoanNotOpen,
    errors.InvalidMoment,
    errors.OnlyStaffMay,
    errors.DependencyUnavailable,
)


def build(lending: Callable[[], Lending]) -> ServiceApi:  # noqa: PLR0915 - a list of routes, read as one
    """The API on top of the given use cases; `lending` is called per request and builds lazily."""
    api = ServiceApi(name="loans", title="Smart Library: loans", description=DESCRIPTION, problems=PROBLEMS)
    api.publish_openapi("/api/loans/openapi.json")

    @api.post(
        "/api/loans",
        access=Access(member=True, own="body:user_id", librarian=True),
        status=201,
        raises=[
            errors.PolicyRefused,
            errors.MemberNotFound,
            errors.BookNotFound,
            errors.CopyNotFound,
            errors.NoCopiesAvailable,
            errors.CopyNotAvailable,
            errors.BookArchived,
            errors.AlreadyBorrowed,
            errors.CheckoutCancelled,
            errors.StillInProgress,
            IdempotencyMismatch,
            errors.PolicyMissing,
            errors.DependencyUnavailable,
            errors.CheckoutUnresolved,
        ],
    )
    def check_out(body: CheckoutBody, caller: CurrentCaller, key: IdempotencyKey, response: Response) -> LoanView:
        """Lend a copy. Repeating it with the same Idempotency-Key gives the same loan."""
        request = CheckoutRequest(
            user_id=_known_id(body.user_id, errors.MemberNotFound("There is no such member.")),
            book_id=body.book_id and _known_id(body.book_id, errors.BookNotFound("There is no such title.")),
            barcode=body.barcode,
            key=f"{caller.actor}\x1f{key}" if key else None,
            digest=hashlib.sha256(body.model_dump_json().encode()).hexdigest()[:32] if key else None,
        )
        done = lending().checkout.lend(request)
        mark_replayed(response, done.replayed)
        set_etag(response, done.loan.version)
        response.headers["Location"] = f"/api/loans/{done.loan.id}"
        return _view(done.loan, LoanStatus.ACTIVE)

    def return_loan(caller: Caller, loan: Loan, details: ReturnDetails) -> LoanView:
        _require_own(caller, loan)
        if details.returned_at is not None and not caller.is_staff:
            raise errors.OnlyStaffMay("Only a librarian may say when a copy came back.")
        done = lending().returning.give_back(loan, condition=details.condition, returned_at=details.returned_at)
        return _view(done, done.status)

    def return_by_reference(body: ReturnBody, caller: CurrentCaller, response: Response) -> LoanView:
        """Take a copy back. A second return of the same loan changes nothing."""
        if body.loan_id is not None:
            _known_id(body.loan_id, errors.LoanNotFound())
        view = return_loan(caller, lending().returning.find(body.loan_id, body.barcode), body)
        set_etag(response, view.version)
        return view

    # Two descriptions of this system name this act differently; both are served by the same code.
    api.post("/api/returns", access=_OWN_LOAN_OR_STAFF, raises=_RETURN_REFUSALS)(return_by_reference)
    api.post(
        "/api/loans/returns", access=_OWN_LOAN_OR_STAFF, raises=_RETURN_REFUSALS, operation="return_by_reference_2"
    )(return_by_reference)

    @api.post("/api/loans/{loan_id}/return", access=_OWN_LOAN_OR_STAFF, raises=_RETURN_REFUSALS)
    def return_one(
        loan_id: str, caller: CurrentCaller, response: Response, body: ReturnDetails | None = None
    ) -> LoanView:
        """Take the copy of this loan back."""
        loan = lending().returning.find(_known_id(loan_id, errors.LoanNotFound()), None)
        view = return_loan(caller, loan, body or ReturnDetails())
        set_etag(response, view.version)
        return view

    @api.get("/api/loans", access=Access(member=True, own="query:user_id", librarian=True))
    def list_loans(query: Annotated[LoansQuery, Query()], caller: CurrentCaller) -> Page[LoanView]:
        """A member's loans, newest first."""
        user_id = query.user_id or (None if caller.is_staff else caller.id)
        if user_id is None:
            raise InvalidRequest("Say whose loans.", errors=[FieldError("user_id", "is needed")])
        return _page(user_id, query.status, query.limit, query.cursor)

    @api.get("/api/loans/obligations/{user_id}", access=Access(librarian=True, scope="loans:read"))
    def read_obligations(user_id: str) -> ObligationsView:
        """What still binds a member to the library. Counts checkouts under way, so that nobody leaves in between."""
        return ObligationsView(open_loans=lending().history.places_taken(user_id) if is_id(user_id) else 0)

    @api.get(
        "/api/loans/user/{user_id}",
        access=Access(member=True, own="path:user_id", librarian=True, scope="loans:read"),
    )
    def list_member_loans(user_id: str, query: Annotated[MemberLoansQuery, Query()]) -> Page[LoanView]:
        """A member's loans, newest first."""
        return _page(user_id, query.status, query.limit, query.cursor)

    def _page(user_id: str, status: Shown | None, limit: int, cursor: str | None) -> Page[LoanView]:
        if not is_id(user_id):
            return Page(items=[])
        cursors = Cursors({"loans_of": user_id, "status": status})
        position = cursors.decode(cursor)
        if position is not None and not _is_position(position):
            raise InvalidRequest("The cursor is damaged.", errors=[FieldError("cursor", "damaged")])
        loans, after = lending().history.of_member(user_id, status, limit, position)
        now = lending().history.clock.now()
        return Page(items=[_view(loan, loan.status_at(now)) for loan in loans], next_cursor=cursors.encode(after))

    @api.get(
        "/api/loans/{loan_id}",
        access=Access(member=True, own="loan", librarian=True, scope="loans:read"),
        raises=[errors.LoanNotFound],
    )
    def read_loan(loan_id: str, caller: CurrentCaller, response: Response) -> LoanView:
        """One loan."""
        loan = lending().history.one(_known_id(loan_id, errors.LoanNotFound()))
        if caller.kind != "service":
            _require_own(caller, loan)
        set_etag(response, loan.version)
        return _view(loan, loan.status_at(lending().history.clock.now()))

    def extend(loan_id: str, caller: CurrentCaller, if_match: IfMatch, response: Response) -> LoanView:
        """Renew the loan: a later due date."""
        loan = lending().history.one(_known_id(loan_id, errors.LoanNotFound()))
        _require_own(caller, loan)
        require_version(if_match, loan.version)
        extended = lending().renewing.extend(loan)
        set_etag(response, extended.version)
        return _view(extended, extended.status_at(lending().history.clock.now()))

    api.put("/api/loans/{loan_id}/extend", access=_OWN_LOAN_OR_STAFF, raises=_RENEWAL_REFUSALS)(extend)
    api.post("/api/loans/{loan_id}/renew", access=_OWN_LOAN_OR_STAFF, raises=_RENEWAL_REFUSALS, operation="renew")(
        extend
    )
    return api


def _known_id(text: str, unknown: errors.LendingError) -> str:
    """A malformed id names nothing."""
    if not is_id(text):
        raise unknown
    return text


def _is_position(position: Mapping[str, Any]) -> bool:
    """Whether it can be where a page of a member's loans ended; anybody can make up a cursor."""
    issued, loan_id = position.get("issued"), position.get("id")
    return isinstance(issued, str) and isinstance(loan_id, str) and is_rfc3339(issued) and is_id(loan_id)


def _require_own(caller: Caller, loan: Loan) -> None:
    if not caller.is_staff and (loan.user_id is None or not caller.is_person(loan.user_id)):
        # Another member's loan is not theirs to know of, and an anonymised one is nobody's.
        raise errors.LoanNotFound


def _view(loan: Loan, status: LoanStatus) -> LoanView:
    return LoanView(
        id=loan.id,
        user_id=loan.user_id,
        book_id=loan.book_id,
        barcode=loan.barcode or "",
        title=loan.title or "",
        status=status,
        issue_date=to_rfc3339(loan.issued_at or loan.requested_at),
        due_date=to_rfc3339(loan.due_at),
        return_date=to_rfc3339(loan.returned_at) if loan.returned_at else None,
        extensions_count=loan.extensions,
        version=loan.version,
    )


api = build(bootstrap.lending)
handler = api
