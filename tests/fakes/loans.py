"""Stand-ins for what loans needs from outside."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from library_common.events import Envelope
from library_common.versions import VersionConflict
from loans_service.application.ports import (
    ALWAYS_DUE,
    AccountErased,
    CopyLocation,
    IssuedLoan,
    LimitReached,
    ListedMember,
    LoanExists,
    RetentionProgress,
    WalkPlace,
)
from loans_service.domain import errors
from loans_service.domain.loan import EMPTY_ACCOUNT, Account, Copy, Loan, LoanStatus, Member
from loans_service.domain.policy import LoanPolicy


class FakeLoans:
    """The loans table in a dict. `published` holds every envelope that was ever written to an outbox."""

    def __init__(self) -> None:
        self.loans: dict[str, Loan] = {}
        self.accounts: dict[str, Account] = {}
        self.published: list[Envelope] = []

    def get(self, loan_id: str) -> Loan | None:
        return self.loans.get(loan_id)

    def get_all(self, loan_ids: Sequence[str]) -> list[Loan]:
        return [self.loans[loan_id] for loan_id in loan_ids if loan_id in self.loans]

    def account(self, user_id: str) -> Account:
        return self.accounts.get(user_id, EMPTY_ACCOUNT)

    def open_loan_of_copy(self, barcode: str) -> Loan | None:
        return next((loan for loan in self.loans.values() if loan.is_open and loan.barcode == barcode), None)

    def open_pending(self, loan: Loan, limit: int) -> None:
        if loan.id in self.loans:
            raise LoanExists(self.loans[loan.id])
        account = self.accounts.get(loan.borrower, Account(open={}, closed_loans_since=loan.requested_at))
        if account.erased_at is not None:
            raise AccountErased
        if account.places_taken >= limit:
            raise LimitReached
        self.loans[loan.id] = loan
        self.accounts[loan.borrower] = replace(account, open={**account.open, loan.id: loan.due_at})

    def take_over(self, loan: Loan, leased: Loan) -> None:
        self._require(loan.id, LoanStatus.PENDING, version=loan.version, lease_until=loan.lease_until)
        self.loans[loan.id] = replace(self.loans[loan.id], lease_until=leased.lease_until, version=leased.version)

    def activate(self, loan: Loan, events: Sequence[Envelope]) -> None:
        self._require(loan.id, LoanStatus.PENDING, version=loan.version - 1)
        self._write(loan, events)

    def cancel(self, loan: Loan) -> None:
        self._require(loan.id, LoanStatus.PENDING, version=loan.version - 1)
        self._write(loan, ())
        self.give_back_place(loan)

    def withdraw(self, loan: Loan) -> None:
        self._require(loan.id, LoanStatus.PENDING, version=loan.version)
        del self.loans[loan.id]
        self.give_back_place(loan)

    def close(self, loan: Loan, events: Sequence[Envelope]) -> None:
        self._require(loan.id, LoanStatus.ACTIVE, version=loan.version - 1)
        self._write(loan, events)

    def extend(self, loan: Loan, events: Sequence[Envelope]) -> None:
        self._require(loan.id, LoanStatus.ACTIVE, version=loan.version - 1)
        self._write(loan, events)
        account = self.account(loan.borrower)
        self.accounts[loan.borrower] = replace(account, open={**account.open, loan.id: loan.due_at})

    def give_back_place(self, loan: Loan) -> bool:
        account = self.accounts.get(loan.borrower)
        if account is None:
            return False
        self.accounts[loan.borrower] = replace(account, open={k: v for k, v in account.open.items() if k != loan.id})
        return account.erased_at is not None

    def anonymise(self, loan: Loan) -> None:
        self._require(loan.id, loan.status, version=loan.version - 1, release_pending=False)
        self._write(loan, ())

    def mark_released(self, loan: Loan) -> None:
        stored = self.loans.get(loan.id)
        if stored is not None and stored.release_pending and stored.has_known_status:
            self.loans[loan.id] = stored.released()

    def history(self, user_id: str, limit: int, after: IssuedLoan | None) -> tuple[list[Loan], IssuedLoan | None]:
        # A position need not be a loan's: the table goes on from wherever it is told.
        left = [entry for entry in self._issued(user_id) if after is None or entry < after]
        page = sorted(left, reverse=True)[:limit]
        return [self.loans[entry.loan_id] for entry in page], page[-1] if len(left) > limit else None

    def issued_to(
        self, user_id: str, limit: int, after: IssuedLoan | None
    ) -> tuple[list[IssuedLoan], IssuedLoan | None]:
        left = sorted(entry for entry in self._issued(user_id) if after is None or entry > after)
        return left[:limit], left[limit - 1] if len(left) > limit else None

    def _issued(self, user_id: str) -> list[IssuedLoan]:
        return [
            IssuedLoan(loan.issued_at.replace(microsecond=0), loan.id)
            for loan in self.loans.values()
            if loan.user_id == user_id and loan.issued_at is not None
        ]

    def _write(self, loan: Loan, events: Sequence[Envelope]) -> None:
        self.loans[loan.id] = loan
        self.published.extend(events)

    def _require(self, loan_id: str, status: str, **expected: object) -> None:
        stored = self.loans.get(loan_id)
        if (
            stored is None
            or stored.status != status
            or any(getattr(stored, name) != value for name, value in expected.items())
        ):
            raise VersionConflict(stored)


class FakeAccounts:
    """The accounts of `loans` as the list of those who may have loans to anonymise."""

    def __init__(self, loans: FakeLoans) -> None:
        self._loans = loans

    def mark_erased(self, user_id: str, at: datetime) -> None:
        account = self._loans.account(user_id)
        if account.erased_at is None:
            self._loans.accounts[user_id] = replace(
                account, closed_loans_since=ALWAYS_DUE, erased_at=at.replace(microsecond=0)
            )

    def due(
        self, until: datetime, limit: int, after: ListedMember | None
    ) -> tuple[list[ListedMember], ListedMember | None]:
        listed = sorted(
            (account.closed_loans_since, user_id)
            for user_id, account in self._loans.accounts.items()
            if account.closed_loans_since is not None and account.closed_loans_since <= until
        )
        left = [
            ListedMember(user_id, since)
            for since, user_id in listed
            if after is None or (since, user_id) > _rank(after)
        ]
        return left[:limit], left[limit - 1] if len(left) > limit else None

    def advance(self, user_id: str, *, was: datetime, to: datetime) -> None:
        account = self._loans.accounts.get(user_id)
        if account is not None and account.closed_loans_since == was and account.erased_at is None:
            self._loans.accounts[user_id] = replace(account, closed_loans_since=to)

    def remove(self, user_id: str, *, erased_at: datetime) -> None:
        account = self._loans.accounts.get(user_id)
        if account is not None and account.erased_at == erased_at and not account.open:
            del self._loans.accounts[user_id]

    def unlisted(self, after: WalkPlace | None) -> tuple[list[str], WalkPlace | None]:
        """One account after the other, as from a table of many pages."""
        left = sorted(user_id for user_id in self._loans.accounts if after is None or user_id > after["pk"])
        found = [user_id for user_id in left[:1] if self._loans.accounts[user_id].closed_loans_since is None]
        return found, {"pk": left[0], "sk": "ACCOUNT"} if len(left) > 1 else None

    def add_to_list(self, user_id: str) -> None:
        account = self._loans.accounts.get(user_id)
        if account is not None and account.closed_loans_since is None:
            self._loans.accounts[user_id] = replace(account, closed_loans_since=ALWAYS_DUE)


def _rank(place: ListedMember) -> tuple[datetime, str]:
    return place.closed_loans_since, place.user_id


class FakeProgressStore:
    """Where progress is saved. `saved`: every state there was."""

    def __init__(self) -> None:
        self.saved: list[RetentionProgress] = []

    def current(self) -> RetentionProgress | None:
        return self.saved[-1] if self.saved else None

    def save(self, now: RetentionProgress) -> RetentionProgress:
        stored = self.current()
        if now.version != (stored.version if stored else 0):
            raise VersionConflict
        self.saved.append(replace(now, version=now.version + 1))
        return self.saved[-1]


@dataclass
class FakeMembers:
    """The users service. `down`: cannot be reached."""

    members: dict[str, Member] = field(default_factory=dict)
    down: bool = False
    calls: int = 0

    def add(self, member: Member) -> Member:
        self.members[member.id] = member
        return member

    def find(self, user_id: str, deadline: float) -> Member:
        self.calls += 1
        if self.down:
            raise errors.DependencyUnavailable("users is down")
        if user_id not in self.members:
            raise errors.MemberNotFound("There is no such member.")
        return self.members[user_id]


@dataclass
class FakeBooks:
    """The books service: titles with copies, reserve and release by loan id, tombstones.

    failures: exceptions to raise instead of answering the next calls, each (exception, act_first): with
    act_first the call has its effect and its answer is lost.
    """

    copies: dict[str, dict[str, str | None]] = field(default_factory=dict)
    tombstones: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    failures: list[tuple[Exception, bool]] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    genre: str | None = None

    def add(self, book_id: str, *barcodes: str) -> None:
        self.copies.setdefault(book_id, {}).update(dict.fromkeys(barcodes))

    def available(self, book_id: str) -> int:
        return sum(1 for loan in self.copies[book_id].values() if loan is None)

    def reserve(self, loan: Loan, deadline: float) -> Copy:
        self.calls.append(("reserve", loan.id))
        failure = self.failures.pop(0) if self.failures else None
        if failure and not failure[1]:
            raise failure[0]
        copy = self._reserve(loan.book_id, loan.id, loan.wanted_barcode)
        if failure:
            raise failure[0]
        return copy

    def _reserve(self, book_id: str, loan_id: str, barcode: str | None) -> Copy:
        if book_id not in self.copies:
            raise errors.BookNotFound("There is no such title.")
        copies = self.copies[book_id]
        for code, holder in copies.items():
            if holder == loan_id:
                return Copy(barcode=code, title=f"Title of {book_id}", genre=self.genre)
        if loan_id in self.tombstones:
            raise errors.CheckoutCancelled("released before")
        for code, holder in copies.items():
            if holder is None and barcode in (None, code):
                copies[code] = loan_id
                return Copy(barcode=code, title=f"Title of {book_id}", genre=self.genre)
        self.tombstones.add(loan_id)
        raise errors.NoCopiesAvailable("No copy of this title is available.")

    def release(self, loan: Loan, deadline: float) -> None:
        self.calls.append(("release", loan.id))
        failure = self.failures.pop(0) if self.failures else None
        if failure and not failure[1]:
            raise failure[0]
        for code, holder in self.copies[loan.book_id].items():
            if holder == loan.id:
                self.copies[loan.book_id][code] = None
                if loan.damaged:
                    self.damaged.add(code)
        self.tombstones.add(loan.id)
        if failure:
            raise failure[0]

    def find_copy(self, barcode: str, deadline: float) -> CopyLocation:
        for book_id, copies in self.copies.items():
            if barcode in copies:
                return CopyLocation(book_id=book_id, loan_id=copies[barcode])
        raise errors.CopyNotFound("There is no copy with this barcode.")


@dataclass
class FakePolicies:
    """The policy document."""

    policy: LoanPolicy = field(default_factory=LoanPolicy)

    def current(self) -> LoanPolicy:
        return self.policy


@dataclass
class FakeRecoveries:
    """The recovery queue: (loan id, seconds, attempt)."""

    queued: list[tuple[str, int, int]] = field(default_factory=list)

    def look_again(self, loan_id: str, *, in_seconds: int, attempt: int) -> None:
        self.queued.append((loan_id, in_seconds, attempt))
