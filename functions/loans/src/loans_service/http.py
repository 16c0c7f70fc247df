"""The HTTP API of loans: the status of each refusal, and the routes."""

from collections.abc import Callable

from library_common.http import ServiceApi
from loans_service import bootstrap
from loans_service.bootstrap import Lending
from loans_service.domain import errors
from loans_service.routes import loans

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
    errors.StaffOnly: 403,
    errors.ReturnAtDesk: 403,
    errors.PolicyRefused: 422,
    errors.InvalidReturnDate: 422,
    errors.PolicyMissing: 503,
    errors.DependencyUnavailable: 503,
    errors.CheckoutUnresolved: 503,
    errors.LoanStatusUnknown: 503,
}


def build(lending: Callable[[], Lending]) -> ServiceApi:
    """The API on the use cases that `lending` returns; it is called per request, not before the first."""
    api = ServiceApi(name="loans", title="Smart Library: loans", description=DESCRIPTION, problems=PROBLEMS)
    api.publish_openapi("/api/loans/openapi.json")
    loans.declare_circulation(api, lending)
    loans.declare_reading(api, lending)
    return api


api = build(bootstrap.lending)
handler = api
