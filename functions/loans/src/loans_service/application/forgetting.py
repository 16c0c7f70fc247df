"""Taking the member out of a closed loan: one conditional write that cannot be undone, and does nothing twice."""

from dataclasses import dataclass

from library_common.clock import Clock
from loans_service.application.ports import Loans, Stale
from loans_service.domain.loan import Loan


@dataclass
class Forgetting:
    """Anonymises loans."""

    loans: Loans
    clock: Clock

    def forget(self, loan: Loan) -> bool:
        """Whether the loan names nobody now. False while it is open, or something of it is still to be given back.

        Raises Stale when the loan is refused though it is as it was read.
        """
        while loan.anonymised_at is None and loan.is_done:
            try:
                self.loans.anonymise(loan.anonymised(self.clock.now()))
            except Stale as stale:
                if stale.loan is None:
                    return True  # a refused checkout whose day is over
                if stale.loan == loan:
                    raise
                loan = stale.loan
            else:
                return True
        return loan.anonymised_at is not None
