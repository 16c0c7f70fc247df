"""Giving back what a closed loan still holds: the copy on the shelf, the place under the limit.

Each step can be done twice, so whoever finds a settling loan may simply do all of them.
"""

from dataclasses import dataclass

from loans_service.application.ports import Loans, Shelf, ShelfUnavailable
from loans_service.domain.loan import Loan


@dataclass
class Settling:
    """Finishes closed loans."""

    loans: Loans
    shelf: Shelf

    def settle(self, loan: Loan, deadline: float) -> bool:
        """Whether everything is given back. False while books is down: the recovery tries again."""
        self.loans.give_back_place(loan)
        try:
            self.shelf.give_back(loan, deadline)
        except ShelfUnavailable:
            return False
        self.loans.settled(loan)
        return True
