"""Removes the member from a closed loan, in one conditional write. It cannot be undone; repeating it does nothing."""

from dataclasses import dataclass

from library_common.clock import Clock
from library_common.versions import VersionConflict
from loans_service.application.ports import Loans, current_loan
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
