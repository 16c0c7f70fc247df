"""Checkout."""

import hashlib
from collections.abc import Callable

from fastapi import Response

from library_common.access import Access
from library_common.http import CurrentCaller, IdempotencyKey, ServiceApi, mark_replayed, set_etag
from library_common.problems import IdempotencyKeyReused
from loans_service.application.checkout import CheckoutRequest
from loans_service.bootstrap import Lending
from loans_service.domain import errors
from loans_service.domain.loan import LoanStatus
from loans_service.routes.references import require_id
from loans_service.schemas import CheckoutBody, LoanView


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
