"""Renewals."""

from collections.abc import Callable

from fastapi import Response

from library_common.http import CurrentCaller, IfMatch, ServiceApi, require_version, set_etag
from library_common.problems import StaleVersion
from loans_service.bootstrap import Lending
from loans_service.domain import errors
from loans_service.routes.references import OWN_LOAN_OR_STAFF, require_id, require_own
from loans_service.schemas import LoanView

_REFUSALS = (
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


def declare(api: ServiceApi, lending: Callable[[], Lending]) -> None:
    """Adds the routes to the API, on the use cases that `lending` returns."""

    def extend(loan_id: str, caller: CurrentCaller, if_match: IfMatch, response: Response) -> LoanView:
        """Renew the loan: a later due date."""
        loan = lending().history.one(require_id(loan_id, errors.LoanNotFound))
        require_own(caller, loan)
        require_version(if_match, loan.version)
        renewed = lending().renewal.renew(loan)
        set_etag(response, renewed.version)
        return LoanView.of(renewed, renewed.status_at(lending().history.clock.now()))

    api.put("/api/loans/{loan_id}/extend", access=OWN_LOAN_OR_STAFF, raises=_REFUSALS)(extend)
    api.post("/api/loans/{loan_id}/renew", access=OWN_LOAN_OR_STAFF, raises=_REFUSALS, operation="renew")(extend)
