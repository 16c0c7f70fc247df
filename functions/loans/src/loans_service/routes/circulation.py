"""Checkout, renewal and return."""

import hashlib
from collections.abc import Callable

from fastapi import Response

from library_common.access import Access, Caller
from library_common.http import (
    CurrentCaller,
    IdempotencyKey,
    IfMatch,
    ServiceApi,
    mark_replayed,
    require_version,
    set_etag,
)
from library_common.problems import IdempotencyKeyReused, StaleVersion
from loans_service.application.checkout import CheckoutRequest
from loans_service.bootstrap import Lending
from loans_service.domain import errors
from loans_service.domain.loan import Loan, LoanStatus
from loans_service.routes.references import OWN_LOAN_OR_STAFF, require_id, require_own
from loans_service.schemas import CheckoutBody, LoanView, ReturnBody, ReturnDetails

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
    errors.DependencyUnavailable,
)


def declare(api: ServiceApi, lending: Callable[[], Lending]) -> None:
    """Adds the routes to the API, on the use cases that `lending` returns."""

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
            user_id=require_id(body.user_id, errors.MemberNotFound),
            book_id=body.book_id and require_id(body.book_id, errors.BookNotFound),
            barcode=body.barcode,
            key=f"{caller.actor}\x1f{key}" if key else None,
            digest=hashlib.sha256(body.model_dump_json().encode()).hexdigest()[:32] if key else None,
        )
        done = lending().checkout.lend(request)
        mark_replayed(response, done.replayed)
        set_etag(response, done.loan.version)
        response.headers["Location"] = f"/api/loans/{done.loan.id}"
        return LoanView.of(done.loan, LoanStatus.ACTIVE)

    def return_loan(caller: Caller, loan: Loan, details: ReturnDetails, response: Response) -> LoanView:
        require_own(caller, loan)
        if details.returned_at is not None and not caller.is_staff:
            raise errors.StaffOnly("Only a librarian may send returned_at.")
        done = lending().returns.return_copy(loan, condition=details.condition, returned_at=details.returned_at)
        set_etag(response, done.version)
        return LoanView.of(done, done.status)

    def return_by_reference(body: ReturnBody, caller: CurrentCaller, response: Response) -> LoanView:
        """Take a copy back. A second return of the same loan changes nothing."""
        if body.loan_id is not None:
            require_id(body.loan_id, errors.LoanNotFound)
        return return_loan(caller, lending().returns.find(body.loan_id, body.barcode), body, response)

    # Two descriptions of this system name this route differently; both are served by the same code.
    api.post("/api/returns", access=OWN_LOAN_OR_STAFF, raises=_RETURN_REFUSALS)(return_by_reference)
    api.post(
        "/api/loans/returns", access=OWN_LOAN_OR_STAFF, raises=_RETURN_REFUSALS, operation="return_by_reference_2"
    )(return_by_reference)

    @api.post("/api/loans/{loan_id}/return", access=OWN_LOAN_OR_STAFF, raises=_RETURN_REFUSALS)
    def return_one(
        loan_id: str, caller: CurrentCaller, response: Response, body: ReturnDetails | None = None
    ) -> LoanView:
        """Take the copy of this loan back."""
        loan = lending().returns.find(require_id(loan_id, errors.LoanNotFound), None)
        return return_loan(caller, loan, body or ReturnDetails(), response)

    def extend(loan_id: str, caller: CurrentCaller, if_match: IfMatch, response: Response) -> LoanView:
        """Renew the loan: a later due date."""
        loan = lending().history.one(require_id(loan_id, errors.LoanNotFound))
        require_own(caller, loan)
        require_version(if_match, loan.version)
        renewed = lending().renewal.renew(loan)
        set_etag(response, renewed.version)
        return LoanView.of(renewed, renewed.status_at(lending().history.clock.now()))

    api.put("/api/loans/{loan_id}/extend", access=OWN_LOAN_OR_STAFF, raises=_RENEWAL_REFUSALS)(extend)
    api.post("/api/loans/{loan_id}/renew", access=OWN_LOAN_OR_STAFF, raises=_RENEWAL_REFUSALS, operation="renew")(
        extend
    )
