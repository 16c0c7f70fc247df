"""What is left to do with closed loans: give back what they still hold, and remove the member.

A closed loan may still hold the copy in books, and the place under the member's limit. Every step of giving them back
can be done twice, so whoever finds a loan with its release pending may do all of them.

Anonymisation is one conditional write; it cannot be undone, and repeating it does nothing. If the member was erased
while the loan was open, the loan is anonymised once nothing is left to give back. A process that dies just before that
leaves the loan to the retention job (`retention_job`).
"""

from dataclasses import dataclass

from library_common.clock import Clock
from library_common.versions import VersionConflict
from loans_service.application.ports import BooksGateway, BooksUnavailable, Loans, current_loan
from loans_service.domain.loan import Loan


@dataclass
class Anonymisation:
    """Anonymises loans."""

    loans: Loans
    clock: Clock

    def anonymise(self, loan: Loan) -> bool:
        """Returns whether the loan names nobody now. False while it is open, while something of it is to be given
        back, and when this version does not know its status.

        Raises VersionConflict when the write is refused although the loan did not change.
        """
        while loan.anonymised_at is None and loan.is_done:
            try:
                self.loans.anonymise(loan.anonymised(self.clock.now()))
            except VersionConflict as conflict:
                now = current_loan(conflict)
                if now is None:
                    return True  # a refused checkout, removed after its day
                if now == loan:
                    raise
                loan = now
            else:
                return True
        return loan.anonymised_at is not None


@dataclass
class CopyRelease:
    """Finishes closed loans."""

    loans: Loans
    books: BooksGateway
    anonymisation: Anonymisation

    def release(self, loan: Loan, deadline: float) -> bool:
        """Returns whether everything is given back. False while books is down; the recovery tries again."""
        member_erased = self.loans.give_back_place(loan)
        try:
            self.books.release(loan, deadline)
        except BooksUnavailable:
            return False
        self.loans.mark_released(loan)
        if member_erased:
            self.anonymisation.anonymise(loan.released())
        return True
