"""Loans at every stage of their life."""

from datetime import datetime, timedelta

from library_common.events import Envelope, envelope_for
from library_common.ids import derived_id, new_id
from loans_service.application.ports import Loans
from loans_service.domain.events import LoanCreated
from loans_service.domain.loan import LEASE, Condition, Copy, Loan, LoanStatus
from tests.support.clock import NOON

MEMBER, BOOK = derived_id("member"), derived_id("book")
DAY = timedelta(days=1)
LIMIT = 5


def pending(user_id: str = MEMBER, at: datetime = NOON, *, wanted: str | None = None) -> Loan:
    """A checkout that has just begun; not stored yet."""
    return Loan(
        id=new_id(),
        user_id=user_id,
        role="patron",
        book_id=BOOK,
        status=LoanStatus.PENDING,
        requested_at=at,
        due_at=at + 14 * DAY,
        wanted_barcode=wanted,
        lease_until=at + LEASE,
        request_digest="d" * 32,
    )


def opened(loans: Loans, user_id: str = MEMBER, at: datetime = NOON) -> Loan:
    loan = pending(user_id, at)
    loans.open_pending(loan, LIMIT)
    return loan


def issued(loans: Loans, user_id: str = MEMBER, at: datetime = NOON, barcode: str = "C-1") -> Loan:
    loan = opened(loans, user_id, at).activated(Copy(barcode, "A title"), at)
    loans.activate(loan, [event(loan)])
    return loan


def returned(loans: Loans, user_id: str = MEMBER, at: datetime = NOON) -> Loan:
    """Closed; place and copy are still to be given back."""
    loan = issued(loans, user_id, at).returned(at + DAY, Condition.DAMAGED)
    loans.close(loan, [event(loan)])
    return loan


def released(loans: Loans, user_id: str = MEMBER, at: datetime = NOON) -> Loan:
    """Closed, and nothing of it is left to do."""
    loan = returned(loans, user_id, at)
    loans.give_back_place(loan)
    loans.mark_released(loan)
    return loan.released()


def anonymised(loans: Loans, user_id: str = MEMBER, at: datetime = NOON) -> Loan:
    loan = released(loans, user_id, at).anonymised(at + 9 * DAY)
    loans.anonymise(loan)
    return loan


def cancelled(loans: Loans, *, in_doubt: bool = False) -> Loan:
    loan = opened(loans).cancelled(("no_copies_available", "No copy."), copy_in_doubt=in_doubt)
    loans.cancel(loan)
    return loan


def event(loan: Loan) -> Envelope:
    """Any event of the loan will do."""
    data = LoanCreated(
        loan_id=loan.id,
        user_id=loan.borrower,
        book_id=loan.book_id,
        barcode=loan.barcode or "",
        title=loan.title or "",
        role=loan.role,
        issue_date="2026-11-21T12:00:00Z",
        due_date="2026-12-05T23:59:59Z",
    )
    return envelope_for(data, subject=f"loan:{loan.id}", at=NOON)
