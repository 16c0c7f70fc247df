"""Gives back what a closed loan still holds: the copy in books, and the place under the member's limit.

Every step can be done twice, so whoever finds a loan with its release pending may do all of them.

If the member was erased while the loan was open, the loan is anonymised here, once nothing is left to give back. A
process that dies just before that leaves the loan to the retention job (`retention_job`).
"""

from dataclasses import dataclass

from loans_service.application.anonymisation import Anonymisation
from loans_service.application.ports import BooksGateway, BooksUnavailable, Loans
from loans_service.domain.loan import Loan


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
