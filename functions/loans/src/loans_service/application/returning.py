"""Returns: the loan is closed first, the copy released after, so that a return never waits for books.

A second return of the same loan changes nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from library_common.clock import Clock, to_rfc3339
from library_common.events import envelope_for
from loans_service.application.ports import Loans, Shelf, Stale
from loans_service.application.settling import Settling
from loans_service.domain import errors
from loans_service.domain.events import LoanReturned
from loans_service.domain.loan import Condition, Loan, LoanStatus

SETTLE_SECONDS = 4.0
"""How long a return waits for books before it leaves the copy to the recovery."""


@dataclass
class Returning:
    """Takes copies back."""

    loans: Loans
    shelf: Shelf
    settling: Settling
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic

    def find(self, loan_id: str | None, barcode: str | None) -> Loan:
        """The loan a return is about. Raises LoanNotFound, CopyNotFound, CopyNotOnLoan."""
        if loan_id is not None:
            return _require(self.loans.get(loan_id))
        assert barcode is not None  # noqa: S101 - the edge lets one of the two through
        open_loan = self.loans.open_loan_of_copy(barcode)
        if open_loan is not None:
            return open_loan
        # Issued a moment ago, perhaps: the index lags, books does not.
        located = self.shelf.locate(barcode, self.monotonic() + SETTLE_SECONDS)
        loan = self.loans.get(located.loan_id) if located.loan_id else None
        if loan is None or not loan.is_open:
            raise errors.CopyNotOnLoan("There is no open loan of this copy.")
        return loan

    def give_back(self, loan: Loan, *, condition: Condition, returned_at: datetime | None = None) -> Loan:
        """Closes the loan. `returned_at`: back-dated, not before it was issued and not in the future."""
        now = self.clock.now()
        # Two machines' clocks may differ by more than the loan is old: a return that just happens is never refused.
        at = returned_at or max(now, loan.issued_at or now)
        while loan.is_open:
            if loan.issued_at is not None and at < loan.issued_at:
                raise errors.InvalidMoment("It cannot have been returned before it was issued.")
            if returned_at is not None and at > now:
                raise errors.InvalidMoment("It cannot be returned in the future.")
            returned = loan.returned(at, condition, now)
            try:
                self.loans.close(returned, [envelope_for(_event(returned, at), subject=f"loan:{loan.id}", at=now)])
            except Stale as stale:
                loan = _require(stale.loan)
                continue
            loan = returned
        if loan.status is not LoanStatus.RETURNED:
            raise errors.LoanNotOpen("This loan is not open.")
        if loan.settling and self.settling.settle(loan, self.monotonic() + SETTLE_SECONDS):
            return loan.settled()
        return loan


def _event(loan: Loan, at: datetime) -> LoanReturned:
    return LoanReturned(
        loan_id=loan.id,
        user_id=loan.borrower,
        book_id=loan.book_id,
        barcode=loan.barcode or "",
        title=loan.title or "",
        issue_date=to_rfc3339(loan.issued_at or loan.requested_at),
        due_date=to_rfc3339(loan.due_at),
        return_date=to_rfc3339(at),
        condition=(Condition.DAMAGED if loan.damaged else Condition.GOOD).value,
    )


def _require(loan: Loan | None) -> Loan:
    if loan is None or loan.status in (LoanStatus.PENDING, LoanStatus.CANCELLED):
        raise errors.LoanNotFound
    return loan
