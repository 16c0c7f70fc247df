"""The recovery: finishes or cancels what a checkout or return left unfinished.

Every stream image of an unfinished loan puts the loan on a delayed queue, and the recovery looks at it a little later.
By then most loans are finished, and nothing happens.

A loan with a status that this version does not know is never changed and never dropped: it goes back on the queue,
until a version that knows the status takes it.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import ceil

from library_common.clock import Clock
from library_common.versions import VersionConflict
from loans_service.application.checkout import Checkout
from loans_service.application.closing import CopyRelease
from loans_service.application.ports import Loans, Recoveries
from loans_service.domain.errors import LendingError
from loans_service.domain.loan import Loan, LoanStatus

DEADLINE_SECONDS = 5.0
"""For one loan. A batch of five must fit into the function's 30 s, and a lease outlast the calls its holder sent."""

_LONGEST_PAUSE_SECONDS = 900
"""The longest delay of a message in SQS."""


@dataclass
class Recovery:
    """Looks at unfinished loans."""

    loans: Loans
    checkout: Checkout
    copy_release: CopyRelease
    recoveries: Recoveries
    clock: Clock
    first_pause_seconds: int = 30
    monotonic: Callable[[], float] = time.monotonic

    def recover(self, loan_id: str, attempt: int) -> bool:
        """Returns whether the loan is finished now. If not, it is queued again, later each time."""
        loan = self.loans.get(loan_id)
        if loan is None or not loan.is_unfinished:
            return True
        if loan.has_known_status and loan.is_leased(self.clock.now()):
            # Another process works on it. That is no failed attempt, and it is known when its lease ends.
            self.recoveries.look_again(loan_id, in_seconds=self._until_lease_ends(loan), attempt=attempt)
            return False
        if loan.has_known_status and self._finish(loan):
            return True
        pause = min(_LONGEST_PAUSE_SECONDS, self.first_pause_seconds * 2 ** min(attempt, 10))
        self.recoveries.look_again(loan_id, in_seconds=pause, attempt=attempt + 1)
        return False

    def _until_lease_ends(self, loan: Loan) -> int:
        assert loan.lease_until is not None  # noqa: S101 - it is leased
        return max(1, ceil((loan.lease_until - self.clock.now()).total_seconds()) + 1)

    def _finish(self, loan: Loan) -> bool:
        deadline = self.monotonic() + DEADLINE_SECONDS
        if loan.status is LoanStatus.PENDING:
            # Whatever `resume` raises, the loan as it is afterwards says what is left to do.
            with suppress(LendingError, VersionConflict):
                self.checkout.resume(loan, deadline)
            now = self.loans.get(loan.id)
            if now is None or not now.is_unfinished:
                return True
            if now.status is LoanStatus.PENDING or not now.has_known_status:
                return False
            loan = now
        return self.copy_release.release(loan, deadline)
