"""Reading loans: one, or the loans of a member."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Query, Response

from library_common.access import Access
from library_common.clock import is_rfc3339
from library_common.http import CurrentCaller, ServiceApi, set_etag
from library_common.ids import is_id
from library_common.paging import Cursors, Page
from library_common.problems import FieldError, InvalidRequest
from loans_service.application.history import StatusFilter
from loans_service.bootstrap import Lending
from loans_service.domain import errors
from loans_service.routes.references import require_id, require_own
from loans_service.schemas import LoansQuery, LoanView, MemberLoansQuery, ObligationsView


def declare(api: ServiceApi, lending: Callable[[], Lending]) -> None:
    """Adds the routes to the API, on the use cases that `lending` returns.

    The lists come first: the first route that matches a path answers.
    """

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
        if position is not None and not _is_position(position):
            raise InvalidRequest("The cursor is damaged.", errors=[FieldError("cursor", "damaged")])
        loans, after = lending().history.of_member(user_id, status, limit, position)
        now = lending().history.clock.now()
        return Page(items=[LoanView.of(loan, loan.status_at(now)) for loan in loans], next_cursor=cursors.encode(after))

    @api.get(
        "/api/loans/{loan_id}",
        access=Access(member=True, own="loan", librarian=True, scope="loans:read"),
        raises=[errors.LoanNotFound],
    )
    def read_loan(loan_id: str, caller: CurrentCaller, response: Response) -> LoanView:
        """One loan."""
        loan = lending().history.one(require_id(loan_id, errors.LoanNotFound))
        if caller.kind != "service":
            require_own(caller, loan)
        set_etag(response, loan.version)
        return LoanView.of(loan, loan.status_at(lending().history.clock.now()))


def _is_position(position: Mapping[str, Any]) -> bool:
    """Whether a page of a member's loans can have ended there. A client can make up any cursor."""
    issued, loan_id = position.get("issued"), position.get("id")
    return isinstance(issued, str) and isinstance(loan_id, str) and is_rfc3339(issued) and is_id(loan_id)
