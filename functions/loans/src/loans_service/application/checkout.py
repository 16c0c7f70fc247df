"""The checkout saga.

    1  users    who is the member, may they borrow
    2  loans    one transaction: the loan as PENDING, and a place under the member's limit
    3  books    reserve one available copy for this loan
    4  loans    PENDING -> ACTIVE, with the due date and the LoanCreated event

A refusal by books cancels the loan and gives the place back. If books could not be asked, the loan is removed again. If
it is not known whether a copy was reserved, the loan stays PENDING, and `recovery` finishes or cancels it. The process
may die between any two lines of this file. Then the loan in the table is PENDING or has its release pending, and that
is what the recovery looks for.

Invariants (why they hold: docs/loan-saga.md):

* A copy is never lent twice: books reserves one available copy per loan, in one conditional write.
* The member's limit is never exceeded: taking a place is part of the write that opens the loan.
* No copy is lost: whatever books may have reserved belongs to a loan that is not finished yet.
* One loan per idempotency key: the loan's id is derived from the key.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from library_common.clock import Clock, to_rfc3339
from library_common.events import envelope_for
from library_common.ids import derived_id, new_id
from library_common.problems import IdempotencyKeyReused
from library_common.versions import VersionConflict
from loans_service.application.closing import CopyRelease
from loans_service.application.ports import (
    AccountErased,
    BooksGateway,
    BooksOutcomeUnknown,
    BooksUnavailable,
    IssuedLoan,
    LimitReached,
    LoanExists,
    Loans,
    Members,
    Policies,
    current_loan,
)
from loans_service.domain import errors
from loans_service.domain.events import EVENT_GENRE, LoanCreated
from loans_service.domain.loan import LEASE, Copy, Loan, LoanStatus, Member
from loans_service.domain.policy import (
    LoanPolicy,
    Reasons,
    borrowing_refusals,
    hourly_limit_reached,
    limit_reached,
)

DEADLINE_SECONDS = 10.0
"""For the whole checkout, well below API Gateway's 29 s and the function's timeout."""

REPEATABLE_FOR = timedelta(hours=24)
"""How long an idempotency key gives the same answer, as in every service."""

_AN_HOUR = timedelta(hours=1)
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class CheckoutRequest:
    """Who wants what: a title (`book_id`) or one particular copy (`barcode`).

    by_member: the member asks, not a librarian. key: the idempotency key, made unique per caller. digest: of the
    request's content.
    """

    user_id: str
    book_id: str | None = None
    barcode: str | None = None
    by_member: bool = False
    key: str | None = None
    digest: str | None = None


@dataclass(frozen=True)
class CheckedOut:
    """The loan as it was issued. replayed: an earlier request with the same idempotency key issued it."""

    loan: Loan
    replayed: bool = False


@dataclass
class Checkout:
    """Lends copies."""

    members: Members
    loans: Loans
    books: BooksGateway
    policies: Policies
    copy_release: CopyRelease
    clock: Clock
    lease: timedelta = LEASE
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def lend(self, request: CheckoutRequest) -> CheckedOut:
        """Lends one copy. Raises PolicyRefused, IdempotencyKeyReused and the other refusals of `domain.errors`."""
        deadline = self.monotonic() + DEADLINE_SECONDS
        loan_id = derived_id("loan", request.key) if request.key else new_id()

        if request.key and (earlier := self.loans.get(loan_id)):
            return self._repeat(earlier, request, deadline)
        member = self.members.find(request.user_id, deadline)
        policy = self.policies.current()
        reasons = list(borrowing_refusals(policy, member, self.loans.account(member.id), self.clock.now()))
        if request.by_member:
            reasons += self._hourly_refusals(policy, member)
        if reasons:
            raise errors.PolicyRefused("The member may not borrow now.", reasons)
        book_id = request.book_id or self._locate(request, deadline)
        try:
            pending = self._open_pending(loan_id, member, book_id, request, policy)
        except LoanExists as exists:
            return self._repeat(exists.loan, request, deadline)
        try:
            return CheckedOut(self._finish(pending, deadline))
        except VersionConflict as conflict:
            # This process was so slow that the recovery took over. The answer is what the loan is now.
            return self._repeat(current_loan(conflict), request, deadline)

    def resume(self, loan: Loan, deadline: float) -> Loan:
        """Finishes or cancels a PENDING loan whose process died.

        Raises VersionConflict when another process has it or finished it, and what `lend` raises.
        """
        now = self.clock.now()
        if loan.is_leased(now):
            raise VersionConflict(loan)
        leased = loan.leased(now, self.lease)
        self.loans.take_over(loan, leased)
        if leased.is_given_up(now):
            gave_up = errors.CheckoutCancelled("The checkout could not be completed in time and was undone.")
            cancelled = leased.cancelled((gave_up.code, str(gave_up)), copy_in_doubt=True)
            self.loans.cancel(cancelled)
            self.copy_release.release(cancelled, deadline)
            raise gave_up
        return self._finish(leased, deadline, resumed=True)

    def _hourly_refusals(self, policy: LoanPolicy, member: Member) -> Reasons:
        """Read from an index that may miss the last seconds: requests at the same time may exceed the number by as many
        as the member may have open."""
        hour_ago = IssuedLoan(self.clock.now() - _AN_HOUR, "")
        recent, _ = self.loans.issued_to(member.id, policy.loans_per_hour, hour_ago)
        if len(recent) >= policy.loans_per_hour:
            yield hourly_limit_reached(policy.loans_per_hour, recent[0].issued_at + _AN_HOUR)

    # -- the steps ----------------------------------------------------------------------------

    def _locate(self, request: CheckoutRequest, deadline: float) -> str:
        assert request.barcode is not None  # noqa: S101 - the request has one of the two
        open_loan = self.loans.open_loan_of_copy(request.barcode)
        if open_loan is not None and open_loan.user_id == request.user_id:
            raise _already_borrowed(open_loan)
        location = self.books.find_copy(request.barcode, deadline)
        # The index may not show a new loan yet; books knows it.
        holding = self.loans.get(location.loan_id) if location.loan_id else None
        if holding is not None and holding.is_open and holding.user_id == request.user_id:
            raise _already_borrowed(holding)
        return location.book_id

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
            lease_until=now + self.lease,
            request_digest=request.digest,
        )
        limit = policy.rule_for(member.role).limit
        try:
            self.loans.open_pending(pending, limit)
        except LimitReached as full:
            raise errors.PolicyRefused("The member may not borrow now.", [limit_reached(limit)]) from full
        except AccountErased as erased:
            # Erased after users answered. If the loan were opened now, nothing would ever anonymise it.
            raise errors.MemberNotFound from erased
        return pending

    def _finish(self, pending: Loan, deadline: float, *, resumed: bool = False) -> Loan:
        try:
            copy = self.books.reserve(pending, deadline)
        except errors.RefusedByBooks as refusal:
            self.loans.cancel(pending.cancelled((refusal.code, str(refusal)), copy_in_doubt=False))
            raise
        except BooksUnavailable as down:
            if not resumed:
                with suppress(VersionConflict):  # then the recovery has it now
                    self.loans.withdraw(pending)
            raise errors.DependencyUnavailable("The books service is unavailable. Nothing was lent.") from down
        except BooksOutcomeUnknown as unknown:
            raise errors.CheckoutUnresolved(
                "It is not known yet whether the copy was lent. Repeat the request with the same Idempotency-Key; "
                "if you sent none, read the member's loans in a minute."
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
        except VersionConflict as conflict:
            stored = current_loan(conflict)
            if stored is not None:
                stored.require_known_status()
                if stored.issued_at is not None:
                    # Our own write, whose answer was lost. The copy may be back already.
                    return stored.as_issued()
                if stored.status is LoanStatus.PENDING:
                    raise  # another process took the loan over, and the copy with it
            # Another process cancelled the loan. The copy we reserved must go back.
            self.copy_release.release(pending, deadline)
            raise errors.CheckoutCancelled("The checkout took too long and was undone.") from conflict
        return active

    # -- repeated requests --------------------------------------------------------------------

    def _repeat(self, earlier: Loan | None, request: CheckoutRequest, deadline: float) -> CheckedOut:
        """Returns the answer that an earlier request with the same key got or will get."""
        if earlier is not None:
            self._require_same_request(earlier, request)
        loan = earlier
        while loan is not None and loan.status is LoanStatus.PENDING:
            if not loan.is_leased(self.clock.now()):
                try:
                    return CheckedOut(self.resume(loan, deadline), replayed=True)
                except VersionConflict as conflict:
                    loan = current_loan(conflict)
                    continue
            if self.monotonic() >= deadline:
                raise errors.StillInProgress("The same checkout is still running. Try again.")
            self.sleep(_POLL_SECONDS)
            loan = self.loans.get(loan.id)
        if loan is None:
            raise errors.DependencyUnavailable("The checkout was not carried out. Try again.")
        loan.require_known_status()
        if loan.status is LoanStatus.CANCELLED:
            code, detail = loan.refusal or (errors.CheckoutCancelled.code, "The checkout was undone.")
            raise errors.REPEATABLE_REFUSALS.get(code, errors.CheckoutCancelled)(detail)
        return CheckedOut(loan.as_issued(), replayed=True)

    def _require_same_request(self, earlier: Loan, request: CheckoutRequest) -> None:
        is_anonymous = earlier.anonymised_at is not None  # then nothing tells what its request was
        if not is_anonymous and earlier.request_digest != request.digest:
            raise IdempotencyKeyReused("This Idempotency-Key was used for a different checkout.")
        if is_anonymous or self.clock.now() > earlier.requested_at + REPEATABLE_FOR:
            raise IdempotencyKeyReused("This Idempotency-Key was used for an earlier checkout. Use a new one.")


def _already_borrowed(loan: Loan) -> errors.AlreadyBorrowed:
    return errors.AlreadyBorrowed("The member already has this copy.", extra={"loan_id": loan.id})
