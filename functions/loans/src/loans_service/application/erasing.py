"""What loans does when a member is erased: every closed loan of theirs is anonymised, whatever its age and their wish.

First the account is marked. From then on nothing is lent to the member, and every round over closed loans (`rounds`)
looks at them: what is left here, or was not to be seen yet, is done there. A loan that is still open (its checkout
asked users a moment before the account was closed there) stays as it is, so that its copy comes back; it is anonymised
when that is settled. Each loan is a write of its own, so a run that ends half-way has done its half.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from library_common.clock import Clock
from library_common.telemetry import logger
from loans_service.application.forgetting import Forgetting
from loans_service.application.forgetting_ports import Accounts
from loans_service.application.ports import Issued, Loans

PAGE = 100


@dataclass(frozen=True)
class Erased:
    """What a run came to. open: loans not anonymised because something of them is still to be done. failed: loans
    that something went wrong with. timed_out: it stopped before the end.
    """

    forgotten: int = 0
    open: int = 0
    failed: int = 0
    timed_out: bool = False


@dataclass
class Erasing:
    """Forgets a member."""

    loans: Loans
    accounts: Accounts
    forgetting: Forgetting
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic

    def erase(self, user_id: str, *, until: float) -> Erased:
        """until: a moment on the monotonic clock. Doing it again does what is left."""
        self.accounts.mark_erased(user_id, self.clock.now())
        return self.forget_all(user_id, until=until)

    def forget_all(self, user_id: str, *, until: float) -> Erased:
        """Anonymises every closed loan."""
        forgotten = failed = 0
        still_open = set(self.loans.account(user_id).open)
        for issued in every_loan(self.loans, user_id):
            # Not before something was done, or a run could begin again and again.
            if (forgotten or failed) and self.monotonic() >= until:
                return Erased(forgotten, len(still_open), failed, timed_out=True)
            try:
                loan = self.loans.get(issued.loan_id)
                if loan is None or loan.anonymised_at is not None:
                    continue
                if self.forgetting.forget(loan):
                    forgotten += 1
                else:
                    still_open.add(issued.loan_id)
            except Exception as exc:  # noqa: BLE001 - the others are not to wait for this one
                failed += 1
                could_not_forget(issued.loan_id, exc)
        return Erased(forgotten, len(still_open), failed)


def every_loan(loans: Loans, user_id: str) -> Iterator[Issued]:
    """The loans that name a member, oldest first."""
    after: Issued | None = None
    while True:
        page, after = loans.issued_to(user_id, PAGE, after)
        yield from page
        if after is None:
            return


def could_not_forget(loan_id: str, failure: Exception) -> None:
    """For operators, by the loan's id."""
    logger().error("a loan could not be anonymised", extra={"loan_id": loan_id, "error": type(failure).__name__})
