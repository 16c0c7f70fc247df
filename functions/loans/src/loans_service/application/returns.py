"""Returns: the loan is closed first and its copy released afterwards, so a return never waits for books.

A second return of the same loan changes nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from library_common.clock import Clock, to_rfc3339
from library_common.events import envelope_for
from library_common.versions import VersionConflict
from loans_service.application.closing import CopyRelease
from loans_service.application.history import require_issued
from loans_service.application.ports import BooksGateway, Loans, Policies, current_loan
from loans_service.domain import errors
from loans_service.domain.events import LoanReturned
from loans_service.domain.loan import Condition, Loan, LoanStatus

RELEASE_SECONDS = 4.0
"""How long a return waits for books before it leaves the copy to the recovery."""


@dataclass
class Returns:
    """Takes copies back."""

    loans: Loans
    books: BooksGateway
    policies: Policies
    copy_release: CopyRelease
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic

    def find(self, loan_id: str | None, barcode: str | None) -> Loan:
        """The loan a return is about. Raises LoanNotFound, CopyNotFound, CopyNotOnLoan, DependencyUnavailable."""
        if loan_id is not None:
            return require_issued(self.loans.get(loan_id))
        assert barcode is not None  # noqa: S101 - the request has one of the two
        open_loan = self.loans.open_loan_of_copy(barcode)
        if open_loan is not None:
            return open_loan
        # The index may not show a new loan yet; books knows it.
        location = self.books.find_copy(barcode, self.monotonic() + RELEASE_SECONDS)
        loan = self.loans.get(location.loan_id) if location.loan_id else None
        if loan is None or (loan.has_known_status and not loan.is_open):
            raise errors.CopyNotOnLoan(location.status)
        return loan

    def require_allowed_to_members(self, condition: Condition, returned_at: datetime | None) -> None:
        """What a member may say of a return. Raises StaffOnly, ReturnAtDesk, PolicyMissing.

        A damaged copy leaves circulation, so only somebody who has seen it may say so.
        """
        if returned_at is not None:
            raise errors.StaffOnly("Only a librarian may send returned_at.")
        if condition is not Condition.GOOD:
            raise errors.StaffOnly("Only a librarian may set another condition than good.")
        if self.policies.current().self_return == "desk":
            raise errors.ReturnAtDesk

    def return_copy(self, loan: Loan, *, condition: Condition, returned_at: datetime | None = None) -> Loan:
        """Closes the loan. returned_at: in the past, not before the loan was issued; now if left out.

        Raises InvalidReturnDate, LoanNotFound, LoanNotOpen, LoanStatusUnknown.
        """
        now = self.clock.now()
        # The clocks of two machines may differ by more than the loan is old, and a return now is never refused.
        at = returned_at or max(now, loan.issued_at or now)
        while loan.is_open:
            if loan.issued_at is not None and at < loan.issued_at:
                raise errors.InvalidReturnDate("returned_at must not be before the loan was issued.")
            if returned_at is not None and at > now:
                raise errors.InvalidReturnDate("returned_at must not be in the future; omit it for a return now.")
            returned = loan.returned(at, condition, now)
            try:
                self.loans.close(returned, [envelope_for(_event(returned, at), subject=f"loan:{loan.id}", at=now)])
            except VersionConflict as conflict:
                loan = require_issued(current_loan(conflict))
                continue
            loan = returned
        loan.require_known_status()
        if loan.status is not LoanStatus.RETURNED:
            raise errors.LoanNotOpen("This loan is not open.")
        if loan.release_pending and self.copy_release.release(loan, self.monotonic() + RELEASE_SECONDS):
            return loan.released()
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
