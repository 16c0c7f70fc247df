"""Giving back what a closed loan still holds: the copy on the shelf, the place under the limit.

Each step can be done twice, so whoever finds a settling loan may simply do all of them.

A member who was erased while a loan was open is taken out of it here, once nothing of it is left to do. A process that
dies just before that leaves a closed loan to the next round over closed loans (`rounds`).
"""

from dataclasses import dataclass

from loans_service.application.forgetting import Forgetting
from loans_service.application.ports import Loans, Shelf, ShelfUnavailable
from loans_service.domain.loan import Loan


@dataclass
class Settling:
    """Finishes closed loans."""

    loans: Loans
    shelf: Shelf
    forgetting: Forgetting

    def settle(self, loan: Loan, deadline: float) -> bool:
        """Whether everything is given back. False while books is down: the recovery tries again."""
        member_gone = self.loans.give_back_place(loan)
        try:
            self.shelf.give_back(loan, deadline)
        except ShelfUnavailable:
            return False
        self.loans.settled(loan)
        if member_gone:
            self.forgetting.forget(loan.settled())
        return True
