"""The checkout saga.

    1  users    who is the member, may they borrow
    2  loans    one transaction: the loan as PENDING, and a place under the member's limit
    3  books    take one available copy for this loan
    4  loans    PENDING -> ACTIVE, with the due date and the LoanCreated event

A definite refusal by books cancels the loan and gives the place back. When books could not be asked the
loan is withdrawn as if it had never been. When it is not known whether a copy was taken the loan stays
PENDING, and `recovery` finishes or cancels it. The process may die between any two lines of this file:
what is in the table then is PENDING or settling, and that is what the recovery looks for.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from library_common.clock import Clock, to_rfc3339
from library_common.events import envelope_for
from library_common.ids import derived_id, new_id
from loans_service.application.ports import (
    LimitReached,
    LoanExists,
    Loans,
    MemberGone,
    Members,
    Policies,
    Shelf,
    ShelfUnavailable,
    ShelfUnknown,
    Stale,
)
from loans_service.application.settling import Settling
from loans_service.domain import errors
from loans_service.domain.events import EVENT_GENRE, LoanCreated
from loans_service.domain.loan import LEASE, Account, Copy, Loan, LoanStatus, Member
from loans_service.domain.policy import LoanPolicy, borrowing_refusals, limit_reached

DEADLINE_SECONDS = 10.0
"""For the whole checkout, well below API Gateway's 29 s and the function's timeout."""

REPEATABLE_FOR = timedelta(hours=24)
"""How long an idempotency key gives the same answer, as everywhere in the system."""

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class CheckoutRequest:
    """Who wants what: a title (`book_id`) or one very copy (`barcode`).

    key: the caller's idempotency key made unique per caller; digest: of what the request asked for.
    """

    user_id: str
    book_id: str | None = None
    barcode: str | None = None
    key: str | None = None
    digest: str | None = None


@dataclass(frozen=True)
class CheckedOut:
    """The loan as it was issued. replayed: by an earlier request with the same idempotency key."""

    loan: Loan
    replayed: bool = False


class IdempotencyMismatch(errors.LendingError):
    """The key was used for a different checkout."""

    code = "idempotency_key_reused"


@dataclass
class Checkout:
    """Lends copies."""

    members: Members
    loans: Loans
    shelf: Shelf
    policies: Policies
    settling: Settling
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def lend(self, request: CheckoutRequest) -> CheckedOut:
        """Lends one copy. Raises PolicyRefused and the other refusals of `domain.errors`."""
        deadline = self.monotonic() + DEADLINE_SECONDS
        loan_id = derived_id("loan", request.key) if request.key else new_id()

        if request.key and (earlier := self.loans.get(loan_id)):
            return self._repeat(earlier, request, deadline)
        member = self.members.find(request.user_id, deadline)
        policy = self.policies.current()
        self._require_may_borrow(member, self.loans.account(member.id), policy)
        book_id = request.book_id or self._locate(request, deadline)
        try:
            pending = self._open_pending(loan_id, member, book_id, request, policy)
        except LoanExists as exists:
            return self._repeat(exists.loan, request, deadline)
        try:
            return CheckedOut(self._finish(pending, deadline))
        except Stale as stale:
            # We were so slow that the recovery took over: what became of it is the answer.
            return self._repeat(stale.loan, request, deadline)

    def resume(self, loan: Loan, deadline: float) -> Loan:
        """Finishes or cancels a PENDING loan whose process is gone.

        Raises Stale when somebody else did or does, and what `lend` raises.
        """
        now = self.clock.now()
        if loan.is_leased(now):
            raise Stale(loan)
        leased = loan.leased(now)
        self.loans.take_over(loan, leased)
        if leased.is_given_up(now):
            raise self._give_up(leased, deadline)
        return self._finish(leased, deadline, resumed=True)

    # -- the steps ----------------------------------------------------------------------------

    def _require_may_borrow(self, member: Member, account: Account, policy: LoanPolicy) -> None:
        reasons = list(borrowing_refusals(policy, member, account, self.clock.now()))
        if reasons:
            raise errors.PolicyRefused("The member may not borrow now.", reasons)

    def _locate(self, request: CheckoutRequest, deadline: float) -> str:
        assert request.barcode is not None  # noqa: S101 - the edge lets one of the two through
        open_loan = self.loans.open_loan_of_copy(request.barcode)
        if open_loan is not None and open_loan.user_id == request.user_id:
            raise _already_borrowed(open_loan)
        located = self.shelf.locate(request.barcode, deadline)
        # Issued a moment ago, perhaps: the index lags, books does not.
        holding = self.loans.get(located.loan_id) if located.loan_id else None
        if holding is not None and holding.is_open and holding.user_id == request.user_id:
            raise _already_borrowed(holding)
        return located.book_id

    def _open_pending(
        self, loan_id: str, member: Member, book_id: str, request: CheckoutRequest, policy: LoanPolicy
    ) -> Loan:
        now = self.clock.now()
        pending = Loan(
            id=loan_id,
            user_id=member.id,
            role=member.role,
            book_id=book_id,
            status=LoanStatus.PENDING,
            requested_at=now,
            due_at=policy.due_date(member, now),
            wanted_barcode=request.barcode,
            lease_until=now + LEASE,
            request_digest=request.digest,
        )
        limit = policy.rule_for(member.role).limit
        try:
            self.loans.open_pending(pending, limit)
        except LimitReached as full:
            raise errors.PolicyRefused("The member may not borrow now.", [limit_reached(limit)]) from full
        except MemberGone as gone:
            # Erased since users was asked. Were the loan opened now, nobody would forget it.
            raise errors.MemberNotFound("There is no such member.") from gone
        return pending

    def _finish(self, pending: Loan, deadline: float, *, resumed: bool = False) -> Loan:
        try:
            copy = self.shelf.take(pending, deadline)
        except errors.RefusedByBooks as refusal:
            self.loans.cancel(pending.cancelled((refusal.code, str(refusal)), copy_in_doubt=False))
            raise
        except ShelfUnavailable as down:
            if not resumed:
                self._withdraw(pending)
            raise errors.DependencyUnavailable("The catalogue cannot be reached; nothing was lent.") from down
        except ShelfUnknown as unknown:
            raise errors.CheckoutUnresolved(
                "It is not known yet whether the copy was lent. Repeat the request with the same Idempotency-Key; "
                "without one, look at the member's loans in a minute."
            ) from unknown
        return self._activate(pending, copy, deadline)

    def _activate(self, pending: Loan, copy: Copy, deadline: float) -> Loan:
        now = self.clock.now()
        active = pending.activated(copy, now)
        event = LoanCreated(
            loan_id=active.id,
            user_id=active.borrower,
            book_id=active.book_id,
            barcode=copy.barcode,
            title=copy.title,
            genre=copy.genre[:EVENT_GENRE] if copy.genre else None,
            role=active.role,
            issue_date=to_rfc3339(now),
            due_date=to_rfc3339(active.due_at),
        )
        try:
            self.loans.activate(active, [envelope_for(event, subject=f"loan:{active.id}", at=now)])
        except Stale as stale:
            if stale.loan is not None and stale.loan.issued_at is not None:
                # Our own write, whose acknowledgement was lost; the copy may be back already.
                return stale.loan.as_issued()
            if stale.loan is not None and stale.loan.status is LoanStatus.PENDING:
                raise  # taken over by another process, and the copy with it
            # Cancelled under us. The copy we took must not stay behind.
            self.settling.settle(pending, deadline)
            raise errors.CheckoutCancelled("The checkout took too long and was undone.") from stale
        return active

    def _give_up(self, pending: Loan, deadline: float) -> errors.CheckoutCancelled:
        gave_up = errors.CheckoutCancelled("The checkout could not be completed in time and was undone.")
        cancelled = pending.cancelled((gave_up.code, str(gave_up)), copy_in_doubt=True)
        self.loans.cancel(cancelled)
        self.settling.settle(cancelled, deadline)
        return gave_up

    def _withdraw(self, pending: Loan) -> None:
        try:
            self.loans.withdraw(pending)
        except Stale:
            return  # the recovery was faster

    # -- repeated requests --------------------------------------------------------------------

    def _repeat(self, earlier: Loan | None, request: CheckoutRequest, deadline: float) -> CheckedOut:
        """The answer an earlier request with the same key got, or will get."""
        is_over = earlier is not None and self.clock.now() > earlier.requested_at + REPEATABLE_FOR
        if earlier is not None and earlier.anonymised_at is None and earlier.request_digest != request.digest:
            raise IdempotencyMismatch("This Idempotency-Key was used for a different checkout.")
        if earlier is not None and (is_over or earlier.anonymised_at is not None):
            # An old loan must not pass for a new one; what an anonymised one was asked for nobody knows any more.
            raise IdempotencyMismatch("This Idempotency-Key was used for an earlier checkout; take a new one.")
        loan = earlier
        while loan is not None and loan.status is LoanStatus.PENDING:
            if not loan.is_leased(self.clock.now()):
                try:
                    return CheckedOut(self.resume(loan, deadline), replayed=True)
                except Stale as stale:
                    loan = stale.loan
                    continue
            if self.monotonic() >= deadline:
                raise errors.StillInProgress("The same checkout is being worked on; ask again.")
            self.sleep(_POLL_SECONDS)
            loan = self.loans.get(loan.id)
        if loan is None:
            raise errors.DependencyUnavailable("The checkout was not carried out; try again.")
        if loan.status is LoanStatus.CANCELLED:
            code, detail = loan.refusal or (errors.CheckoutCancelled.code, "The checkout was undone.")
            raise errors.REPEATABLE_REFUSALS.get(code, errors.CheckoutCancelled)(detail)
        return CheckedOut(loan.as_issued(), replayed=True)


def _already_borrowed(loan: Loan) -> errors.AlreadyBorrowed:
    return errors.AlreadyBorrowed("The member already has this copy.", extra={"loan_id": loan.id})
