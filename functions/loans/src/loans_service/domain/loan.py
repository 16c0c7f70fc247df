"""A loan and its life: PENDING -> ACTIVE -> RETURNED, or PENDING -> CANCELLED. A closed loan is anonymised later.

Invariants, kept by conditional writes on exactly these states:

* A loan holds a place under its member's limit from PENDING until it is closed.
* A loan that is closed before its copy and place are given back has `release_pending` set. The recovery finishes
  what the closing process did not.
* Only one process works on a PENDING loan: the holder of the lease. Taking over a lease makes a new version, so the
  next write of the previous holder fails.
* A loan names its member until nothing is left to do for it. After that the only change is anonymisation, which
  cannot be undone.
* A loan with a status that this version does not know is shown as it is and never changed.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from loans_service.domain.errors import LoanStatusUnknown

LEASE = timedelta(seconds=30)
"""How long a process owns a PENDING loan. Longer than the checkout function (15 s) plus a call it sent to books (10 s)
can last, so when a lease has run out, nothing that its holder started is still running."""

GIVE_UP_AFTER = timedelta(minutes=2)
"""An unfinished checkout is completed within this time after the request. Later it is cancelled, because the person at
the desk has left without the book."""


class LoanStatus(StrEnum):
    """OVERDUE is never stored: an ACTIVE loan is shown as OVERDUE after its due time."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    OVERDUE = "OVERDUE"
    RETURNED = "RETURNED"
    CANCELLED = "CANCELLED"


STORED_STATUSES = frozenset(LoanStatus) - {LoanStatus.OVERDUE}


class Condition(StrEnum):
    """The state in which a copy is returned."""

    GOOD = "good"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Copy:
    """The copy reserved for a loan. genre: of its title; None where books has none."""

    barcode: str
    title: str
    genre: str | None = None


@dataclass(frozen=True)
class Loan:
    """One loan. Timestamps are aware UTC datetimes.

    user_id: None once it is anonymised. role: the member's role at checkout. status: a LoanStatus, or the stored text
    where this version does not know it. wanted_barcode: the copy the member asked for, if any. returned_at: when the
    copy came back, which a librarian may set to the past; closed_at: when the return was recorded. release_pending: the
    loan is closed, its copy or place is still to be given back. request_digest: of an idempotent request. refusal: code
    and sentence that answered a CANCELLED checkout. anonymised_at: when the member was removed.
    """

    id: str
    user_id: str | None
    role: str
    book_id: str
    status: LoanStatus | str
    requested_at: datetime
    due_at: datetime
    version: int = 1
    wanted_barcode: str | None = None
    barcode: str | None = None
    title: str | None = None
    genre: str | None = None
    issued_at: datetime | None = None
    first_due_at: datetime | None = None
    returned_at: datetime | None = None
    closed_at: datetime | None = None
    extensions: int = 0
    release_pending: bool = False
    damaged: bool = False
    lease_until: datetime | None = None
    request_digest: str | None = None
    refusal: tuple[str, str] | None = None
    anonymised_at: datetime | None = None

    # -- questions ----------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """The member has the copy."""
        return self.status is LoanStatus.ACTIVE

    @property
    def has_known_status(self) -> bool:
        """Whether the rules of this version apply to the loan."""
        return self.status in STORED_STATUSES

    def require_known_status(self) -> None:
        """Call it before a change. Raises LoanStatusUnknown."""
        if not self.has_known_status:
            raise LoanStatusUnknown(self.status)

    @property
    def borrower(self) -> str:
        """The member's id. Only for loans that are not anonymised; open and unfinished ones never are."""
        assert self.user_id is not None  # noqa: S101 - see above
        return self.user_id

    @property
    def is_done(self) -> bool:
        """Closed, with nothing left to give back: it may be anonymised."""
        return self.status in (LoanStatus.RETURNED, LoanStatus.CANCELLED) and not self.release_pending

    @property
    def is_unfinished(self) -> bool:
        """The recovery has to look at it. An unknown status may be an unfinished one, so it counts as such."""
        return self.status is LoanStatus.PENDING or self.release_pending or not self.has_known_status

    def is_overdue(self, now: datetime) -> bool:
        """Strict: at the due time it is not overdue, a second later it is."""
        return self.is_open and now > self.due_at

    def status_at(self, now: datetime) -> LoanStatus | str:
        """The status as people see it."""
        return LoanStatus.OVERDUE if self.is_overdue(now) else self.status

    def is_leased(self, now: datetime) -> bool:
        return self.lease_until is not None and now < self.lease_until

    def is_given_up(self, now: datetime) -> bool:
        """Too old to be completed."""
        return now > self.requested_at + GIVE_UP_AFTER

    # -- transitions --------------------------------------------------------------------------

    def _next(self, **changes: Any) -> "Loan":
        return replace(self, version=self.version + 1, **changes)

    def leased(self, now: datetime, lease: timedelta = LEASE) -> "Loan":
        """Taken over by the calling process. A new version, so that later writes of the previous holder fail."""
        return self._next(lease_until=now + lease)

    def activated(self, copy: Copy, now: datetime) -> "Loan":
        return self._next(
            status=LoanStatus.ACTIVE,
            barcode=copy.barcode,
            title=copy.title,
            genre=copy.genre,
            issued_at=now,
            lease_until=None,
        )

    def cancelled(self, refusal: tuple[str, str], *, copy_in_doubt: bool) -> "Loan":
        """copy_in_doubt: books may hold a copy for the loan, which has to be released."""
        return self._next(status=LoanStatus.CANCELLED, refusal=refusal, release_pending=copy_in_doubt, lease_until=None)

    def returned(self, at: datetime, condition: Condition, now: datetime | None = None) -> "Loan":
        """at: when the copy came back. now: when the return is recorded; `at` if left out."""
        return self._next(
            status=LoanStatus.RETURNED,
            returned_at=at,
            closed_at=now or at,
            damaged=condition is Condition.DAMAGED,
            release_pending=True,
        )

    def released(self) -> "Loan":
        return replace(self, release_pending=False)

    def extended(self, due_at: datetime) -> "Loan":
        first_due_at = self.first_due_at or self.due_at
        return self._next(due_at=due_at, first_due_at=first_due_at, extensions=self.extensions + 1)

    def anonymised(self, now: datetime) -> "Loan":
        """Without the member and everything derived from them. What was lent and when stays."""
        return self._next(user_id=None, request_digest=None, anonymised_at=now)

    def as_issued(self) -> "Loan":
        """The loan as its checkout answered it, to repeat that answer later."""
        return replace(
            self,
            status=LoanStatus.ACTIVE,
            due_at=self.first_due_at or self.due_at,
            first_due_at=None,
            returned_at=None,
            closed_at=None,
            extensions=0,
            release_pending=False,
            damaged=False,
            anonymised_at=None,
            # Since then each renewal, the return and the anonymisation made one version.
            version=self.version
            - self.extensions
            - (self.status is LoanStatus.RETURNED)
            - (self.anonymised_at is not None),
        )


@dataclass(frozen=True)
class Account:
    """A member's open loans, each with its due date. Every entry takes a place under the member's limit.

    A map of loan ids, not a counter: taking or giving back the same place twice changes nothing.
    closed_loans_since: no closed loan that still names the member was closed before this. None in accounts of before
    the retention job, until it finds them. erased_at: when the member was erased; nothing is lent to them any more.
    """

    open: dict[str, datetime]
    closed_loans_since: datetime | None = None
    erased_at: datetime | None = None

    @property
    def places_taken(self) -> int:
        return len(self.open)

    def longest_overdue(self, now: datetime) -> timedelta:
        """How long the most overdue open loan is overdue; zero if none is."""
        return max((now - due for due in self.open.values() if now > due), default=timedelta())


EMPTY_ACCOUNT = Account(open={})


@dataclass(frozen=True)
class Member:
    """What loans needs to know of a member, as the users service answers it.

    keeps_history: whether they want to keep closed loans in their history; None if users did not say.
    """

    id: str
    role: str
    status: str
    expires_at: datetime | None
    keeps_history: bool | None = None
