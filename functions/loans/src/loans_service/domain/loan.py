"""A loan and its life: PENDING -> ACTIVE -> RETURNED, or PENDING -> CANCELLED; closed, it is anonymised some day.

Invariants, kept by conditional writes on exactly these states:

* A loan holds a place under its member's limit from PENDING until it is closed.
* A loan that is closed while its copy or place is still to be given back is `settling`; the recovery
  finishes what the closing process did not.
* Only one process works on a PENDING loan: the holder of the lease. Taking a lease over is a new version,
  so whoever held it before fails at its next write.
* A loan names its member for as long as anything of it is still to be done. Once closed and settled nothing changes
  it any more but being anonymised, which cannot be undone.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

LEASE = timedelta(seconds=30)
"""How long a process owns a PENDING loan. Longer than the checkout function (15 s) and a books call it
sent off (10 s) can live together, so when a lease has run out nothing of its holder's is under way."""

PATIENCE = timedelta(minutes=2)
"""An unfinished checkout is completed only this long after it was asked for; later it is cancelled,
because whoever stood at the desk has left without the book."""


class LoanStatus(StrEnum):
    """OVERDUE is never stored: it is what an ACTIVE loan is called after its due instant."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    OVERDUE = "OVERDUE"
    RETURNED = "RETURNED"
    CANCELLED = "CANCELLED"


class Condition(StrEnum):
    """What state a copy comes back in."""

    GOOD = "good"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Copy:
    """The copy taken from the shelf for a loan. genre: of its title, where books says one."""

    barcode: str
    title: str
    genre: str | None = None


@dataclass(frozen=True)
class Loan:
    """One loan. Moments are aware UTC datetimes.

    user_id: None once it is anonymised. role: the member's role when it was issued (renewals go by the role at that
    time). wanted_barcode: the copy the member asked for, when they asked for one. returned_at: when the copy came
    back, which a librarian may date back; closed_at: when that was written down. request_digest: what an idempotent
    request asked for. refusal: code and sentence with which a CANCELLED checkout was answered. anonymised_at: when the
    member was taken out of it.
    """

    id: str
    user_id: str | None
    role: str
    book_id: str
    status: LoanStatus
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
    settling: bool = False
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
    def borrower(self) -> str:
        """Whose it is; of loans that are not anonymised, which open and unfinished ones never are."""
        assert self.user_id is not None  # noqa: S101 - see above
        return self.user_id

    @property
    def is_done(self) -> bool:
        """Closed, and nothing of it is still to be given back: it may be anonymised."""
        return self.status in (LoanStatus.RETURNED, LoanStatus.CANCELLED) and not self.settling

    @property
    def is_unfinished(self) -> bool:
        """Some process still has to do something about it."""
        return self.status is LoanStatus.PENDING or self.settling

    def is_overdue(self, now: datetime) -> bool:
        """Strict: at the due instant it is not overdue, a second later it is."""
        return self.is_open and now > self.due_at

    def status_at(self, now: datetime) -> LoanStatus:
        """The status as people see it."""
        return LoanStatus.OVERDUE if self.is_overdue(now) else self.status

    def is_leased(self, now: datetime) -> bool:
        return self.lease_until is not None and now < self.lease_until

    def is_given_up(self, now: datetime) -> bool:
        """Too old to be completed."""
        return now > self.requested_at + PATIENCE

    # -- transitions --------------------------------------------------------------------------

    def leased(self, now: datetime) -> "Loan":
        """Taken over by the process that asks. A new version: what the one before still tries to write fails."""
        return replace(self, lease_until=now + LEASE, version=self.version + 1)

    def activated(self, copy: Copy, now: datetime) -> "Loan":
        return replace(
            self,
            status=LoanStatus.ACTIVE,
            barcode=copy.barcode,
            title=copy.title,
            genre=copy.genre,
            issued_at=now,
            lease_until=None,
            version=self.version + 1,
        )

    def cancelled(self, refusal: tuple[str, str], *, copy_in_doubt: bool) -> "Loan":
        """`copy_in_doubt`: books may hold a copy for it, so books has to be told."""
        return replace(
            self,
            status=LoanStatus.CANCELLED,
            refusal=refusal,
            settling=copy_in_doubt,
            lease_until=None,
            version=self.version + 1,
        )

    def returned(self, at: datetime, condition: Condition, now: datetime | None = None) -> "Loan":
        """now: when that is said, if not at that very moment."""
        return replace(
            self,
            status=LoanStatus.RETURNED,
            returned_at=at,
            closed_at=now or at,
            damaged=condition is Condition.DAMAGED,
            settling=True,
            version=self.version + 1,
        )

    def settled(self) -> "Loan":
        return replace(self, settling=False)

    def extended(self, due_at: datetime) -> "Loan":
        return replace(
            self,
            due_at=due_at,
            first_due_at=self.first_due_at or self.due_at,
            extensions=self.extensions + 1,
            version=self.version + 1,
        )

    def anonymised(self, now: datetime) -> "Loan":
        """Without its member, and without what was made of who they are; what was lent and when it was stays."""
        return replace(self, user_id=None, request_digest=None, anonymised_at=now, version=self.version + 1)

    def as_issued(self) -> "Loan":
        """The loan as its checkout answered it, for repeating that answer later."""
        return replace(
            self,
            status=LoanStatus.ACTIVE,
            due_at=self.first_due_at or self.due_at,
            first_due_at=None,
            returned_at=None,
            closed_at=None,
            extensions=0,
            settling=False,
            damaged=False,
            anonymised_at=None,
            # Each renewal was one version since then, the return one, and being anonymised one.
            version=self.version
            - self.extensions
            - (self.status is LoanStatus.RETURNED)
            - (self.anonymised_at is not None),
        )


@dataclass(frozen=True)
class Account:
    """A member's open loans: the places taken under their limit. loan id -> due moment.

    Set-like on purpose: taking or giving back the same place twice changes nothing.
    since: no loan of the member that still names them was closed before; None in accounts that the round over closed
    loans has not met yet. erased_at: when the member was erased; nothing is lent to them any more.
    """

    open: dict[str, datetime]
    since: datetime | None = None
    erased_at: datetime | None = None

    @property
    def places_taken(self) -> int:
        return len(self.open)

    def longest_overdue(self, now: datetime) -> timedelta:
        """How long the most overdue open loan is overdue; zero when none is."""
        return max((now - due for due in self.open.values() if now > due), default=timedelta())


EMPTY_ACCOUNT = Account(open={})


@dataclass(frozen=True)
class Member:
    """What loans needs to know of a member, as the users service answers it.

    keeps_history: whether they want closed loans to stay theirs; None where users did not say.
    """

    id: str
    role: str
    status: str
    expires_at: datetime | None
    keeps_history: bool | None = None
