"""What the use cases need from outside, as Protocols. Deadlines are times on the monotonic clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Protocol, Self

from library_common.events import Envelope
from library_common.versions import VersionConflict
from loans_service.domain.loan import Account, Copy, Loan, Member
from loans_service.domain.policy import LoanPolicy


class Members(Protocol):
    """The users service."""

    def find(self, user_id: str, deadline: float) -> Member:
        """A fresh read. Raises MemberNotFound, DependencyUnavailable."""


class BooksUnavailable(Exception):
    """Books could not be asked. Nothing was changed there."""


class BooksOutcomeUnknown(Exception):
    """Books was asked and did not answer. The copy may have been reserved or not."""


@dataclass(frozen=True)
class CopyLocation:
    """The title that a barcode belongs to, the loan that has the copy (None if no loan has), and the copy's status."""

    book_id: str
    loan_id: str | None
    status: str = ""


class BooksGateway(Protocol):
    """The books service, as far as lending needs it."""

    def reserve(self, loan: Loan, deadline: float) -> Copy:
        """Reserves one available copy for a leased loan. Idempotent per loan, and so are refusals: after a refusal
        no late or repeated delivery of the same request reserves a copy.

        Raises RefusedByBooks, BooksUnavailable, BooksOutcomeUnknown.
        """

    def release(self, loan: Loan, deadline: float) -> None:
        """Releases the loan's copy and makes sure that none is reserved for it later. Idempotent.

        Raises BooksUnavailable when that is not certain.
        """

    def find_copy(self, barcode: str, deadline: float) -> CopyLocation:
        """Raises CopyNotFound, DependencyUnavailable."""


class LoanExists(Exception):
    """There is already a loan with this id, from an earlier request with the same idempotency key."""

    def __init__(self, loan: Loan) -> None:
        super().__init__(loan.id)
        self.loan = loan


class LimitReached(Exception):
    """All places of the member are taken, as the write itself found out."""


class AccountErased(Exception):
    """The member was erased in the meantime. Nothing is lent to them any more."""


@dataclass(frozen=True, order=True)
class IssuedLoan:
    """An entry in the index of a member's loans, in the index's order. Also a position in that list."""

    issued_at: datetime
    loan_id: str


def current_loan(conflict: VersionConflict) -> Loan | None:
    """What the loan is now, after a write to it was refused; None if it was removed."""
    return conflict.current if isinstance(conflict.current, Loan) else None


class Loans(Protocol):
    """The loans table. Every write depends on the state it starts from.

    A refused write raises VersionConflict with the loan as it is now (`current_loan`).
    """

    def get(self, loan_id: str) -> Loan | None: ...

    def account(self, user_id: str) -> Account: ...

    def open_loan_of_copy(self, barcode: str) -> Loan | None:
        """The open loan of a copy. May miss a loan that was issued a few seconds ago."""

    def open_pending(self, loan: Loan, limit: int) -> None:
        """Writes the PENDING loan and takes a place, in one transaction.

        Raises LoanExists, LimitReached, AccountErased.
        """

    def take_over(self, loan: Loan, leased: Loan) -> None:
        """Leases a PENDING loan whose lease has expired. Raises VersionConflict."""

    def activate(self, loan: Loan, events: Sequence[Envelope]) -> None:
        """PENDING -> ACTIVE. Raises VersionConflict."""

    def cancel(self, loan: Loan) -> None:
        """PENDING -> CANCELLED, and gives the place back, in one transaction. Raises VersionConflict."""

    def withdraw(self, loan: Loan) -> None:
        """Removes a PENDING loan that did nothing, and its place, in one transaction. Raises VersionConflict."""

    def close(self, loan: Loan, events: Sequence[Envelope]) -> None:
        """ACTIVE -> RETURNED, with the release pending. Raises VersionConflict."""

    def give_back_place(self, loan: Loan) -> bool:
        """Returns whether the member was erased in the meantime. Idempotent."""

    def mark_released(self, loan: Loan) -> None:
        """Nothing is left to give back. Idempotent."""

    def extend(self, loan: Loan, events: Sequence[Envelope]) -> None:
        """Moves the due date of an ACTIVE loan, in the loan and in the account. Raises VersionConflict."""

    def history(self, user_id: str, limit: int, after: IssuedLoan | None) -> tuple[list[Loan], IssuedLoan | None]:
        """A page of a member's loans, newest first, without PENDING and CANCELLED ones."""

    def get_all(self, loan_ids: Sequence[str]) -> list[Loan]: ...

    def issued_to(
        self, user_id: str, limit: int, after: IssuedLoan | None
    ) -> tuple[list[IssuedLoan], IssuedLoan | None]:
        """A page of the loans that name a member, oldest first. The index may be some seconds behind."""

    def anonymise(self, loan: Loan) -> None:
        """Removes the member from a closed and released loan. Raises VersionConflict."""


class Policies(Protocol):
    """The library's loan policy, at most a minute old."""

    def current(self) -> LoanPolicy:
        """Raises PolicyMissing when there is no usable document."""


class Recoveries(Protocol):
    """The queue of loans that the recovery looks at."""

    def look_again(self, loan_id: str, *, in_seconds: int, attempt: int) -> None: ...


# -- what finding the loans to anonymise needs -----------------------------------------------------

ALWAYS_DUE = datetime(1970, 1, 1, tzinfo=UTC)
"""`closed_loans_since` of accounts that every run looks at."""

type WalkPlace = Mapping[str, str]
"""Where a walk through the whole table continues. Only the table knows what it means."""


@dataclass(frozen=True)
class ListedMember:
    """A member who may have closed loans that name them (`Account.closed_loans_since`). Also a position in the list."""

    user_id: str
    closed_loans_since: datetime


class Accounts(Protocol):
    """Members' accounts, as far as retention needs them."""

    def mark_erased(self, user_id: str, at: datetime) -> None:
        """From now on nothing is lent to the member, and every run looks at the account. Makes the account if there
        is none. Idempotent.
        """

    def due(
        self, until: datetime, limit: int, after: ListedMember | None
    ) -> tuple[list[ListedMember], ListedMember | None]:
        """A page of the members with `closed_loans_since` up to `until`, oldest first, and where it ended."""

    def advance(self, user_id: str, *, was: datetime, to: datetime) -> None:
        """Sets `closed_loans_since`. Does nothing if it changed in the meantime or the member was erased."""

    def remove(self, user_id: str, *, erased_at: datetime) -> None:
        """Removes the account of an erased member unless a loan still has a place in it. Idempotent."""

    def unlisted(self, after: WalkPlace | None) -> tuple[list[str], WalkPlace | None]:
        """Members whose accounts are not in the list; a page of a walk through the whole table."""

    def add_to_list(self, user_id: str) -> None:
        """Puts such an account at the beginning of the list. Idempotent."""


@dataclass(frozen=True)
class RetentionProgress:
    """How far a round through the list has come.

    day: the day it began, UTC. complete: every listed member was looked at. after: where to continue; None at the
    beginning. walked: accounts of before there was a list are in it; walk_after: where that walk continues.
    anonymised: loans. keeping_history: members who keep their history. postponed: members whose preference could not
    be read. failed: loans and members that failed.
    """

    day: date
    version: int = 0
    complete: bool = False
    after: ListedMember | None = None
    walked: bool = False
    walk_after: WalkPlace | None = None
    anonymised: int = 0
    keeping_history: int = 0
    postponed: int = 0
    failed: int = 0

    @property
    def finished(self) -> bool:
        """Every member was looked at, and none was postponed."""
        return self.complete and not self.postponed

    def plus(self, **counts: int) -> Self:
        """With these counts added."""
        return replace(self, **{name: getattr(self, name) + count for name, count in counts.items()})


class ProgressStore(Protocol):
    """Where progress is saved, so that a run continues where the last one stopped."""

    def current(self) -> RetentionProgress | None: ...

    def save(self, now: RetentionProgress) -> RetentionProgress:
        """Stores it and returns it with its new version. Raises VersionConflict when another run was faster."""
