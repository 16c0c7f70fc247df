"""The recovery: finishes or cancels what a checkout or return left unfinished.

Every image of a PENDING or settling loan in the table's stream puts the loan on a delayed queue; when
its time comes the loan is looked at once more. Most are finished by then and nothing happens.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import ceil

from library_common.clock import Clock
from loans_service.application.checkout import Checkout
from loans_service.application.ports import Loans, Recoveries, Stale
from loans_service.application.settling import Settling
from loans_service.domain.errors import LendingError
from loans_service.domain.loan import Loan, LoanStatus

DEADLINE_SECONDS = 5.0
"""For one loan. A batch of five must fit into the function's 30 s, and a lease outlive what its holder sent off."""

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
        if loan.is_leased(self.clock.now()):
            # Somebody is working on it. That is no failed attempt, and when it ends is known.
            self.recoveries.look_again(loan_id, in_seconds=self._until_lease_ends(loan), attempt=attempt)
            return False
        if self._finish(loan):
            return True
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(attempt, 10))
        self.recoveries.look_again(loan_id, in_seconds=pause, attempt=attempt + 1)
        return False

    def _until_lease_ends(self, loan: Loan) -> int:
        assert loan.lease_until is not None  # noqa: S101 - it is leased
        return max(1, ceil((loan.lease_until - self.clock.now()).total_seconds()) + 1)

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
