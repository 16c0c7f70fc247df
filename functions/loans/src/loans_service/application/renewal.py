"""Renewal: a later due date, up to a number of times. A refusal gives every reason at once."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from library_common.clock import Clock, to_rfc3339
from library_common.events import envelope_for
from library_common.versions import VersionConflict
from loans_service.application.ports import Loans, Members, Policies, current_loan
from loans_service.domain import errors
from loans_service.domain.events import LoanRenewed
from loans_service.domain.loan import Loan
from loans_service.domain.policy import renewal_refusals, renewed_due_date

DEADLINE_SECONDS = 6.0


@dataclass
class Renewal:
    """Renews loans."""

    members: Members
    loans: Loans
    policies: Policies
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic

    def renew(self, loan: Loan) -> Loan:
        """Raises LoanNotOpen, LoanStatusUnknown, PolicyRefused, LoanChanged."""
        _require_open(loan)
        member = self.members.find(loan.borrower, self.monotonic() + DEADLINE_SECONDS)
        policy = self.policies.current()
        now = self.clock.now()
        reasons = list(renewal_refusals(policy, member, self.loans.account(loan.borrower), loan, now))
        if reasons:
            raise errors.PolicyRefused("The loan cannot be renewed.", reasons)
        extended = loan.extended(renewed_due_date(policy, member, loan, now))
        event = LoanRenewed(
            loan_id=loan.id,
            user_id=loan.borrower,
            book_id=loan.book_id,
            barcode=loan.barcode or "",
            title=loan.title or "",
            old_due_date=to_rfc3339(loan.due_at),
            due_date=to_rfc3339(extended.due_at),
            extensions_count=extended.extensions,
        )
        try:
            self.loans.extend(extended, [envelope_for(event, subject=f"loan:{loan.id}", at=now)])
        except VersionConflict as conflict:
            _require_open(current_loan(conflict))
            raise errors.LoanChanged("Somebody changed this loan at the same time. Read it again.") from conflict
        return extended


def _require_open(loan: Loan | None) -> None:
    if loan is not None:
        loan.require_known_status()
    if loan is None or not loan.is_open:
        raise errors.LoanNotOpen("Only an open loan can be renewed.")
