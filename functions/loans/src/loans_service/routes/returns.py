"""Returns."""

from collections.abc import Callable

from fastapi import Response

from library_common.access import Caller
from library_common.http import CurrentCaller, ServiceApi, set_etag
from loans_service.bootstrap import Lending
from loans_service.domain import errors
from loans_service.domain.loan import Loan
from loans_service.routes.references import OWN_LOAN_OR_STAFF, require_id, require_own
from loans_service.schemas import LoanView, ReturnBody, ReturnDetails

_REFUSALS = (
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
    api.post("/api/returns", access=OWN_LOAN_OR_STAFF, raises=_REFUSALS)(return_by_reference)
    api.post("/api/loans/returns", access=OWN_LOAN_OR_STAFF, raises=_REFUSALS, operation="return_by_reference_2")(
        return_by_reference
    )

    @api.post("/api/loans/{loan_id}/return", access=OWN_LOAN_OR_STAFF, raises=_REFUSALS)
    def return_one(
        loan_id: str, caller: CurrentCaller, response: Response, body: ReturnDetails | None = None
    ) -> LoanView:
        """Take the copy of this loan back."""
        loan = lending().returns.find(require_id(loan_id, errors.LoanNotFound), None)
        return return_loan(caller, loan, body or ReturnDetails(), response)
