"""The recovery: finishes or cancels what a checkout or return left unfinished.

Every image of a PENDING or settling loan in the table's stream puts the loan on a delayed queue; when
its time comes the loan is looked at once more. Most are finished by then and nothing happens.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from library_common.clock import Clock
from loans_service.application.checkout import Checkout
from loans_service.application.ports import Loans, Recoveries, Stale
from loans_service.application.settling import Settling
from loans_service.domain.errors import LendingError
from loans_service.domain.loan import Loan, LoanStatus

DEADLINE_SECONDS = 20.0
_FIRST_PAUSE_SECONDS = 30
_LONGEST_PAUSE_SECONDS = 900
"""What SQS can delay a message by."""


@dataclass
class Recovering:
    """Looks at unfinished loans."""

    loans: Loans
    checkout: Checkout
    settling: Settling
    recoveries: Recoveries
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic

    def recover(self, loan_id: str, attempt: int) -> bool:
        """Whether the loan is finished now. If not it is put on the queue again, later each time."""
        loan = self.loans.get(loan_id)
        if loan is None or not loan.is_unfinished:
            return True
        if self._finish(loan):
            return True
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(attempt, 10))
        self.recoveries.look_again(loan_id, in_seconds=pause, attempt=attempt + 1)
        return False

    def _finish(self, loan: Loan) -> bool:
        deadline = self.monotonic() + DEADLINE_SECONDS
        if loan.status is LoanStatus.PENDING:
            # Refused, still unknown, or somebody else's by now: what it is afterwards says which.
            with suppress(LendingError, Stale):
                self.checkout.resume(loan, deadline)
            now = self.loans.get(loan.id)
            if now is None or not now.is_unfinished:
                return True
            if now.status is LoanStatus.PENDING:
                return False
            loan = now
        return self.settling.settle(loan, deadline)
