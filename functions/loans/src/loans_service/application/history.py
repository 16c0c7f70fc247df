"""Reading loans: one, or a member's, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from library_common.clock import Clock, to_rfc3339
from loans_service.application.ports import Loans
from loans_service.domain.errors import LoanNotFound
from loans_service.domain.loan import Loan, LoanStatus

type Position = dict[str, object]

_MAX_PAGES = 10
"""How many index pages a request reads to fill a filtered page before it answers with what it has."""


class StatusFilter(StrEnum):
    """Which of a member's loans to list. `active`: the member has the copy, overdue or not.

    A loan with a status that this version does not know matches no filter. It is listed without one.
    """

    ACTIVE = "active"
    OVERDUE = "overdue"
    RETURNED = "returned"


@dataclass
class History:
    """Looks loans up."""

    loans: Loans
    clock: Clock

    def one(self, loan_id: str) -> Loan:
        """Raises LoanNotFound, also for a checkout that never became a loan."""
        loan = self.loans.get(loan_id)
        if loan is None or loan.status in (LoanStatus.PENDING, LoanStatus.CANCELLED):
            raise LoanNotFound
        return loan

    def places_taken(self, user_id: str) -> int:
        """How many of the member's places are taken now, by open loans and by running checkouts."""
        return len(self.loans.account(user_id).open)

    def of_member(
        self, user_id: str, status: StatusFilter | None, limit: int, after: Position | None
    ) -> tuple[list[Loan], Position | None]:
        """One page, newest first, and the position where the next one begins."""
        if status in (StatusFilter.ACTIVE, StatusFilter.OVERDUE):
            return self._open(user_id, status, limit, after)
        return self._all(user_id, status, limit, after)

    def _open(
        self, user_id: str, status: StatusFilter, limit: int, after: Position | None
    ) -> tuple[list[Loan], Position | None]:
        # They are few, and the account names them all, strongly consistent and without an index.
        now = self.clock.now()
        loans = [loan for loan in self._open_loans(user_id) if status is StatusFilter.ACTIVE or loan.is_overdue(now)]
        if after is not None:
            loans = [loan for loan in loans if _order(loan) < (str(after["issued"]), str(after["id"]))]
        page = loans[:limit]
        more = len(loans) > limit
        return page, _position(page[-1]) if more else None

    def _all(
        self, user_id: str, status: StatusFilter | None, limit: int, after: Position | None
    ) -> tuple[list[Loan], Position | None]:
        first_page = after is None
        found: list[Loan] = []
        position = after
        for _ in range(_MAX_PAGES):
            # No more than what is missing, so that the position stays exact.
            loans, position = self.loans.history(user_id, limit - len(found), position)
            found += [loan for loan in loans if status is None or loan.status is LoanStatus.RETURNED]
            if position is None or len(found) >= limit:
                break
        if first_page and status is None:
            found = self._with_just_issued(user_id, found, complete=position is None)
        return found, position

    def _with_just_issued(self, user_id: str, page: Sequence[Loan], *, complete: bool) -> list[Loan]:
        """Adds open loans that the index does not show yet, so a new loan is seen at once."""
        seen = {loan.id for loan in page}
        oldest = _order(page[-1]) if page and not complete else ("", "")
        missing = [loan for loan in self._open_loans(user_id) if loan.id not in seen and _order(loan) > oldest]
        if not missing:
            return list(page)
        # The page may be longer than asked for by these few; if others were dropped, no page would show them.
        return sorted([*page, *missing], key=_order, reverse=True)

    def _open_loans(self, user_id: str) -> list[Loan]:
        loans = self.loans.get_all(list(self.loans.account(user_id).open))
        return sorted((loan for loan in loans if loan.is_open), key=_order, reverse=True)


def _order(loan: Loan) -> tuple[str, str]:
    return (to_rfc3339(loan.issued_at) if loan.issued_at else "", loan.id)


def _position(loan: Loan) -> Position:
    issued, loan_id = _order(loan)
    return {"issued": issued, "id": loan_id}
