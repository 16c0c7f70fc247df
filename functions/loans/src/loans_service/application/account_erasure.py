"""Anonymises every closed loan of an erased member, whatever its age and the member's preference.

First the account is marked. From then on nothing is lent to the member, and every run of the retention job
(`retention_job`) looks at the account and does what is left. A loan that is still open (its checkout asked users just
before the member was erased there) stays as it is until its copy is back. Each loan is a write of its own, so a run
that ends half-way has done half of the work.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from library_common.clock import Clock
from library_common.telemetry import logger
from loans_service.application.closing import Anonymisation
from loans_service.application.ports import Accounts, IssuedLoan, Loans

PAGE = 100


@dataclass(frozen=True)
class ErasureResult:
    """Loans that were anonymised, that are still open, and that failed. timed_out: the run stopped before the end."""

    anonymised: int = 0
    still_open: int = 0
    failed: int = 0
    timed_out: bool = False


@dataclass
class AccountErasure:
    """Removes a member from their loans."""

    loans: Loans
    accounts: Accounts
    anonymisation: Anonymisation
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic

    def erase(self, user_id: str, *, until: float) -> ErasureResult:
        """Marks the account and anonymises closed loans until that time on the monotonic clock. Repeat it for the
        rest."""
        self.accounts.mark_erased(user_id, self.clock.now())
        return self.anonymise_all(user_id, until=until)

    def anonymise_all(self, user_id: str, *, until: float) -> ErasureResult:
        """Anonymises closed loans until that time on the monotonic clock."""
        anonymised = failed = 0
        still_open = set(self.loans.account(user_id).open)
        for issued in every_loan(self.loans, user_id):
            # Only after some work is done; otherwise repeated runs might never get anywhere.
            if (anonymised or failed) and self.monotonic() >= until:
                return ErasureResult(anonymised, len(still_open), failed, timed_out=True)
            try:
                loan = self.loans.get(issued.loan_id)
                if loan is None or loan.anonymised_at is not None:
                    continue
                if self.anonymisation.anonymise(loan):
                    anonymised += 1
                else:
                    still_open.add(issued.loan_id)
            except Exception as exc:  # noqa: BLE001 - one bad loan must not stop the others
                failed += 1
                log_failure(issued.loan_id, exc)
        return ErasureResult(anonymised, len(still_open), failed)


def every_loan(loans: Loans, user_id: str) -> Iterator[IssuedLoan]:
    """The loans that name a member, oldest first."""
    after: IssuedLoan | None = None
    while True:
        page, after = loans.issued_to(user_id, PAGE, after)
        yield from page
        if after is None:
            return


def log_failure(loan_id: str, failure: Exception) -> None:
    """Logs, by its id, a loan that could not be anonymised."""
    logger().error("a loan could not be anonymised", extra={"loan_id": loan_id, "error": type(failure).__name__})
