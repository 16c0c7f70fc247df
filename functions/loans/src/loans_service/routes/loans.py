"""The routes of loans: checkout, return and renewal; one loan, and the loans of a member."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Query, Response

from library_common.access import Access, Caller
from library_common.clock import from_rfc3339, is_rfc3339, to_rfc3339
from library_common.http import (
    CurrentCaller,
    IdempotencyKey,
    IfMatch,
    ServiceApi,
    mark_replayed,
    require_version,
    set_etag,
)
from library_common.ids import is_id
from library_common.paging import Cursors, Page
from library_common.problems import FieldError, IdempotencyKeyReused, InvalidRequest, StaleVersion
from loans_service.application.checkout import CheckoutRequest
from loans_service.application.history import StatusFilter
from loans_service.application.ports import IssuedLoan
from loans_service.bootstrap import Lending
from loans_service.domain import errors
from loans_service.domain.loan import Loan, LoanStatus
from loans_service.schemas import (
    CheckoutBody,
    LoansQuery,
    LoanView,
    MemberLoansQuery,
    ObligationsView,
    ReturnBody,
    ReturnDetails,
)

_OWN_LOAN_OR_STAFF = Access(member=True, own="loan", librarian=True)
_RENEWAL_REFUSALS = (
    errors.LoanNotFound,
    errors.LoanNotOpen,
    errors.LoanStatusUnknown,
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
    errors.LoanStatusUnknown,
    errors.InvalidReturnDate,
    errors.StaffOnly,
    errors.ReturnAtDesk,
    errors.PolicyMissing,
    errors.DependencyUnavailable,
)


def declare_circulation(api: ServiceApi, lending: Callable[[], Lending]) -> None:
    """Adds checkout, return and renewal to the API, on the use cases that `lending` returns."""

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
            errors.LoanStatusUnknown,
            IdempotencyKeyReused,
            errors.PolicyMissing,
            errors.DependencyUnavailable,
            errors.CheckoutUnresolved,
        ],
    )
    def check_out(body: CheckoutBody, caller: CurrentCaller, key: IdempotencyKey, response: Response) -> LoanView:
        """Lend a copy. Repeating it with the same Idempotency-Key gives the same loan."""
        request = CheckoutRequest(
            user_id=_require_id(body.user_id, errors.MemberNotFound),
            book_id=body.book_id and _require_id(body.book_id, errors.BookNotFound),
            barcode=body.barcode,
            by_member=not caller.is_staff,
            key=f"{caller.actor}\x1f{key}" if key else None,
            digest=hashlib.sha256(body.model_dump_json().encode()).hexdigest()[:32] if key else None,
        )
        done = lending().checkout.lend(request)
        mark_replayed(response, done.replayed)
        set_etag(response, done.loan.version)
        response.headers["Location"] = f"/api/loans/{done.loan.id}"
        return LoanView.of(done.loan, LoanStatus.ACTIVE)

    def return_loan(caller: Caller, loan: Loan, details: ReturnDetails, response: Response) -> LoanView:
        _require_own(caller, loan)
        if not caller.is_staff:
            lending().returns.require_allowed_to_members(details.condition, details.returned_at)
        done = lending().returns.return_copy(loan, condition=details.condition, returned_at=details.returned_at)
        set_etag(response, done.version)
        return LoanView.of(done, done.status)

    def return_by_reference(body: ReturnBody, caller: CurrentCaller, response: Response) -> LoanView:
        """Take a copy back. A second return of the same loan changes nothing."""
        if body.loan_id is not None:
            _require_id(body.loan_id, errors.LoanNotFound)
        return return_loan(caller, lending().returns.find(body.loan_id, body.barcode), body, response)

    # Two descriptions of this system name this route differently; both are served by the same code.
    api.post("/api/returns", access=_OWN_LOAN_OR_STAFF, raises=_RETURN_REFUSALS)(return_by_reference)
    api.post(
        "/api/loans/returns", access=_OWN_LOAN_OR_STAFF, raises=_RETURN_REFUSALS, operation="return_by_reference_2"
    )(return_by_reference)

    @api.post("/api/loans/{loan_id}/return", access=_OWN_LOAN_OR_STAFF, raises=_RETURN_REFUSALS)
    def return_one(
        loan_id: str, caller: CurrentCaller, response: Response, body: ReturnDetails | None = None
    ) -> LoanView:
        """Take the copy of this loan back."""
        loan = lending().returns.find(_require_id(loan_id, errors.LoanNotFound), None)
        return return_loan(caller, loan, body or ReturnDetails(), response)

    def extend(loan_id: str, caller: CurrentCaller, if_match: IfMatch, response: Response) -> LoanView:
        """Renew the loan: a later due date."""
        loan = lending().history.one(_require_id(loan_id, errors.LoanNotFound))
        _require_own(caller, loan)
        require_version(if_match, loan.version)
        renewed = lending().renewal.renew(loan)
        set_etag(response, renewed.version)
        return LoanView.of(renewed, renewed.status_at(lending().history.clock.now()))

    api.put("/api/loans/{loan_id}/extend", access=_OWN_LOAN_OR_STAFF, raises=_RENEWAL_REFUSALS)(extend)
    api.post("/api/loans/{loan_id}/renew", access=_OWN_LOAN_OR_STAFF, raises=_RENEWAL_REFUSALS, operation="renew")(
        extend
    )


def declare_reading(api: ServiceApi, lending: Callable[[], Lending]) -> None:
    """Adds the reading routes. The lists come first: the first route that matches a path answers."""

    @api.get("/api/loans", access=Access(member=True, own="query:user_id", librarian=True))
    def list_loans(query: Annotated[LoansQuery, Query()], caller: CurrentCaller) -> Page[LoanView]:
        """A member's loans, newest first."""
        user_id = query.user_id or (None if caller.is_staff else caller.id)
        if user_id is None:
            raise InvalidRequest("user_id is required.", errors=[FieldError("user_id", "is required")])
        return page(user_id, query.status, query.limit, query.cursor)

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
        return page(user_id, query.status, query.limit, query.cursor)

    def page(user_id: str, status: StatusFilter | None, limit: int, cursor: str | None) -> Page[LoanView]:
        if not is_id(user_id):
            return Page(items=[])
        cursors = Cursors({"loans_of": user_id, "status": status})
        position = cursors.decode(cursor)
        history = lending().history
        loans, end = history.of_member(user_id, status, limit, _position(position) if position is not None else None)
        now = history.clock.now()
        return Page(
            items=[LoanView.of(loan, loan.status_at(now)) for loan in loans],
            next_cursor=cursors.encode({"issued": to_rfc3339(end.issued_at), "id": end.loan_id} if end else None),
        )

    @api.get(
        "/api/loans/{loan_id}",
        access=Access(member=True, own="loan", librarian=True, scope="loans:read"),
        raises=[errors.LoanNotFound],
    )
    def read_loan(loan_id: str, caller: CurrentCaller, response: Response) -> LoanView:
        """One loan."""
        loan = lending().history.one(_require_id(loan_id, errors.LoanNotFound))
        if caller.kind != "service":
            _require_own(caller, loan)
        set_etag(response, loan.version)
        return LoanView.of(loan, loan.status_at(lending().history.clock.now()))


def _position(position: Mapping[str, Any]) -> IssuedLoan:
    """Where a page of a member's loans ended. A client can make up any cursor: raises InvalidRequest."""
    issued, loan_id = position.get("issued"), position.get("id")
    if isinstance(issued, str) and isinstance(loan_id, str) and is_rfc3339(issued) and is_id(loan_id):
        return IssuedLoan(from_rfc3339(issued), loan_id)
    raise InvalidRequest("The cursor is damaged.", errors=[FieldError("cursor", "damaged")])


def _require_id(text: str, unknown: type[errors.LendingError]) -> str:
    """The id. Raises `unknown` for a malformed one, which names nothing."""
    if not is_id(text):
        raise unknown
    return text


def _require_own(caller: Caller, loan: Loan) -> None:
    """Raises LoanNotFound for a member who asks for somebody else's loan, or for one that names nobody."""
    if not caller.is_staff and (loan.user_id is None or not caller.is_person(loan.user_id)):
        raise errors.LoanNotFound
