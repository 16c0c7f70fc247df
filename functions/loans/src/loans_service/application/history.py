"""Reading loans: one, or a member's, newest first."""

from dataclasses import dataclass
from enum import StrEnum

from library_common.clock import Clock
from loans_service.application.ports import IssuedLoan, Loans
from loans_service.domain.errors import LoanNotFound
from loans_service.domain.loan import Loan, LoanStatus

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
        """Raises LoanNotFound."""
        return require_issued(self.loans.get(loan_id))

    def places_taken(self, user_id: str) -> int:
        """How many of the member's places are taken now, by open loans and by running checkouts."""
        return len(self.loans.account(user_id).open)

    def of_member(
        self, user_id: str, status: StatusFilter | None, limit: int, after: IssuedLoan | None
    ) -> tuple[list[Loan], IssuedLoan | None]:
        """One page, newest first, and the position where the next one begins."""
        if status in (StatusFilter.ACTIVE, StatusFilter.OVERDUE):
            return self._open(user_id, status, limit, after)
        return self._all(user_id, status, limit, after)

    def _open(
        self, user_id: str, status: StatusFilter, limit: int, after: IssuedLoan | None
    ) -> tuple[list[Loan], IssuedLoan | None]:
        # They are few, and the account names them all, strongly consistent and without an index.
        now = self.clock.now()
        loans = [loan for loan in self._open_loans(user_id) if status is StatusFilter.ACTIVE or loan.is_overdue(now)]
        if after is not None:
            loans = [loan for loan in loans if _place(loan) < after]
        page = loans[:limit]
        return page, _place(page[-1]) if len(loans) > limit else None

    def _all(
        self, user_id: str, status: StatusFilter | None, limit: int, after: IssuedLoan | None
    ) -> tuple[list[Loan], IssuedLoan | None]:
        found: list[Loan] = []
        position = after
        for _ in range(_MAX_PAGES):
            # No more than what is missing, so that the position stays exact.
            loans, position = self.loans.history(user_id, limit - len(found), position)
            found += [loan for loan in loans if status is None or loan.status is LoanStatus.RETURNED]
            if position is None or len(found) >= limit:
                break
        if after is None and status is None:
            # Open loans that the index does not show yet are added, so a new loan is seen at once. The page may be
            # longer than asked for by these few; if others were dropped, no page would show them.
            seen = {loan.id for loan in found}
            missing = [loan for loan in self._open_loans(user_id) if loan.id not in seen]
            if found and position is not None:
                missing = [loan for loan in missing if _place(loan) > _place(found[-1])]
            if missing:
                found = sorted([*found, *missing], key=_place, reverse=True)
        return found, position

    def _open_loans(self, user_id: str) -> list[Loan]:
        loans = self.loans.get_all(list(self.loans.account(user_id).open))
        return sorted((loan for loan in loans if loan.is_open), key=_place, reverse=True)


def require_issued(loan: Loan | None) -> Loan:
    """The loan. Raises LoanNotFound, also for a checkout that never became a loan."""
    if loan is None or loan.status in (LoanStatus.PENDING, LoanStatus.CANCELLED):
        raise LoanNotFound
    return loan


def _place(loan: Loan) -> IssuedLoan:
    return IssuedLoan(loan.issued_at or loan.requested_at, loan.id)
