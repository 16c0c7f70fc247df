"""What the use cases need from outside, as Protocols. Deadlines are moments on the monotonic clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from library_common.events import Envelope
from loans_service.domain.loan import Account, Copy, Loan, Member
from loans_service.domain.policy import LoanPolicy


class Members(Protocol):
    """The users service."""

    def find(self, user_id: str, deadline: float) -> Member:
        """Fresh. Raises MemberNotFound, DependencyUnavailable."""
        ...


class ShelfUnavailable(Exception):
    """Books could not be asked; certainly nothing was changed there."""


class ShelfUnknown(Exception):
    """Books was asked and did not answer; the copy may or may not have been taken."""


@dataclass(frozen=True)
class Located:
    """Where a barcode belongs, and for which loan the copy is out (None when it is not)."""

    book_id: str
    loan_id: str | None


class Shelf(Protocol):
    """The books service, as far as lending needs it."""

    def take(self, loan: Loan, deadline: float) -> Copy:
        """Takes one available copy for a leased loan. Idempotent per loan, refusals included: what was
        refused once is never taken by a late or doubled delivery of the same request.

        Raises RefusedByBooks, ShelfUnavailable, ShelfUnknown.
        """
        ...

    def give_back(self, loan: Loan, deadline: float) -> None:
        """Gives the loan's copy back, or makes sure none is ever taken for it. Idempotent.

        Raises ShelfUnavailable when that is not certain.
        """
        ...

    def locate(self, barcode: str, deadline: float) -> Located:
        """Raises CopyNotFound, DependencyUnavailable."""
        ...


class LoanExists(Exception):
    """There is a loan with this id already: an earlier request with the same idempotency key."""

    def __init__(self, loan: Loan) -> None:
        super().__init__(loan.id)
        self.loan = loan


class LimitReached(Exception):
    """The member's places are all taken; found out by the write itself."""


class MemberGone(Exception):
    """The member was erased meanwhile: nothing is lent to them any more."""


@dataclass(frozen=True)
class Issued:
    """A loan that came about, as the index of a member's loans has it; also a place in that list."""

    loan_id: str
    issued_at: datetime


class Stale(Exception):
    """The loan is not in the state the write expected. `loan`: what it is now, None when gone."""

    def __init__(self, loan: Loan | None) -> None:
        super().__init__("stale")
        self.loan = loan


class Loans(Protocol):
    """The loans table. Every write is conditional on the state it starts from."""

    def get(self, loan_id: str) -> Loan | None: ...

    def account(self, user_id: str) -> Account: ...

    def open_loan_of_copy(self, barcode: str) -> Loan | None:
        """The open loan of a copy; may miss one that was issued within the last moments."""
        ...

    def open_pending(self, loan: Loan, limit: int) -> None:
        """Writes the PENDING loan and takes a place, in one transaction.

        Raises LoanExists, LimitReached, MemberGone.
        """
        ...

    def take_over(self, loan: Loan, leased: Loan) -> None:
        """Leases a PENDING loan whose lease has run out. Raises Stale."""
        ...

    def activate(self, loan: Loan, events: Sequence[Envelope]) -> None:
        """PENDING -> ACTIVE. Raises Stale."""
        ...

    def cancel(self, loan: Loan) -> None:
        """PENDING -> CANCELLED and the place given back, in one transaction. Raises Stale."""
        ...

    def withdraw(self, loan: Loan) -> None:
        """Removes a PENDING loan of which nothing came, and its place, in one transaction. Raises Stale."""
        ...

    def close(self, loan: Loan, events: Sequence[Envelope]) -> None:
        """ACTIVE -> RETURNED (settling), on the version before. Raises Stale."""
        ...

    def give_back_place(self, loan: Loan) -> bool:
        """Whether the member was erased meanwhile. Idempotent."""
        ...

    def settled(self, loan: Loan) -> None:
        """Nothing is left to give back. Idempotent."""
        ...

    def extend(self, loan: Loan, events: Sequence[Envelope]) -> None:
        """Moves the due date of an ACTIVE loan, on the version before, and in the account. Raises Stale."""
        ...

    def history(
        self, user_id: str, limit: int, after: dict[str, object] | None
    ) -> tuple[list[Loan], dict[str, object] | None]:
        """A member's loans, newest first; without PENDING and CANCELLED ones."""
        ...

    def get_all(self, loan_ids: Sequence[str]) -> list[Loan]: ...

    def issued_to(self, user_id: str, limit: int, after: Issued | None) -> tuple[list[Issued], Issued | None]:
        """A page of the loans that name a member, oldest first; may miss one of the last moments, or show one that
        was anonymised in them.
        """
        ...

    def anonymise(self, loan: Loan) -> None:
        """A closed and settled loan becomes what it is without its member, on the version before. Raises Stale."""
        ...


class Policies(Protocol):
    """The library's loan policy, at most a minute old."""

    def current(self) -> LoanPolicy:
        """Raises PolicyMissing when there is no usable document."""
        ...


class Recoveries(Protocol):
    """The queue of loans to look at again."""

    def look_again(self, loan_id: str, *, in_seconds: int, attempt: int) -> None: ...
