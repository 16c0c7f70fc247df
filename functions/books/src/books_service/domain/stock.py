"""The copies of one title, and every rule about their states.

A `Stock` is a value: the rules answer what is to happen, or the stock as it is afterwards, and
never change it. Invariant: total = available + on_loan + awaiting_pickup + in_transit + lost +
damaged + withdrawn; it holds by construction, because every copy has exactly one status and all
counts are counted.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from books_service.domain.errors import (
    BookArchived,
    CopiesInUse,
    CopiesOut,
    CopyNotAvailable,
    CopyNotFound,
    CopyOnLoan,
    ExceedsStock,
    LoanAlreadyReleased,
    LoanHoldsAnotherCopy,
    NoCopiesAvailable,
    TooManyCopies,
)
from books_service.domain.shortening import shortened

MAX_COPIES = 500
"""Per title. All copies of a title are one stored item; see adapters/dynamodb.py for what that costs."""

MAX_SHELF = 40
MAX_SHORT_TITLE = 100
"""Characters of the title kept beside the copies, as its genre is: a reservation answers both without reading more."""

LATE_REQUEST_SECONDS = 300
"""No reservation arrives later than this after it was sent, unless it says itself until when it is valid.

API Gateway gives a call up after 29 s, and loans sends none that is valid for longer than its lease of 30 s,
nor any more after giving a loan up. Five minutes leave room for clocks that differ, and are short enough
that nobody can fill a title's item with remembered releases by lending and returning in a loop.
So that long a release is remembered, to refuse the reservation it overtook.
"""

CLOCK_MARGIN_SECONDS = 60
"""How far the clocks of two functions may differ. So much longer than valid a refused reservation is remembered."""

MAX_FORGOTTEN_AT_ONCE = 50
"""More than one write adds, so the remembered releases do not pile up; few enough for one update expression."""


class CopyStatus(StrEnum):
    """Where a copy is."""

    AVAILABLE = "available"
    ON_LOAN = "on_loan"
    AWAITING_PICKUP = "awaiting_pickup"
    IN_TRANSIT = "in_transit"
    LOST = "lost"
    DAMAGED = "damaged"
    WITHDRAWN = "withdrawn"


OUT = frozenset({CopyStatus.ON_LOAN, CopyStatus.AWAITING_PICKUP, CopyStatus.IN_TRANSIT})
"""Lent or promised: changed by circulation only, never by hand."""

_REMOVED_FIRST = (CopyStatus.WITHDRAWN, CopyStatus.LOST, CopyStatus.DAMAGED, CopyStatus.AVAILABLE)
_RESTORED_FIRST = (CopyStatus.LOST, CopyStatus.DAMAGED, CopyStatus.WITHDRAWN)


@dataclass(frozen=True)
class Copy:
    """One physical copy. `shelf` is where it stands, in the library's own notation."""

    barcode: str
    status: CopyStatus = CopyStatus.AVAILABLE
    shelf: str | None = None


@dataclass(frozen=True)
class Held:
    """A loan's claim on a copy, from reservation to release. `since` is in epoch seconds."""

    barcode: str
    since: int


@dataclass(frozen=True)
class Change:
    """What happened to one copy. No `previous`: it is new. No `status`: it is gone."""

    barcode: str
    previous: CopyStatus | None
    status: CopyStatus | None


@dataclass(frozen=True)
class Reservation:
    """What reserving means. `repeated`: the loan holds the copy already, nothing is to be written.

    forget: remembered releases that are too old to matter.
    """

    loan_id: str
    held: Held
    repeated: bool = False
    forget: tuple[str, ...] = ()

    @property
    def change(self) -> Change:
        return Change(self.held.barcode, CopyStatus.AVAILABLE, CopyStatus.ON_LOAN)


@dataclass(frozen=True)
class Release:
    """What releasing means.

    held: the claim that ends, None when the loan has none. status: what the copy is before and after.
    remember_until: epoch seconds for which a late reservation of the loan has to be refused, None when
    it need not be. idle: nothing is to be written.
    """

    loan_id: str
    held: Held | None = None
    before: CopyStatus | None = None
    after: CopyStatus | None = None
    remember_until: int | None = None
    forget: tuple[str, ...] = ()
    idle: bool = False

    @property
    def changes(self) -> list[Change]:
        if self.held is None or self.before == self.after:
            return []
        return [Change(self.held.barcode, self.before, self.after)]


@dataclass(frozen=True)
class Stock:
    """All copies of one title.

    title: the title's, cut to MAX_SHORT_TITLE. genre: the title's, None also in what was stored before it was kept
    here. held: by loan id. gone: remembered releases, loan id ->
    epoch seconds at which it may be forgotten. version: grows with every write.
    """

    book_id: str
    title: str
    copies: Mapping[str, Copy] = field(default_factory=dict)
    held: Mapping[str, Held] = field(default_factory=dict)
    gone: Mapping[str, int] = field(default_factory=dict)
    archived: bool = False
    version: int = 1
    genre: str | None = None

    # -- counting -----------------------------------------------------------------------------

    def by_status(self) -> dict[CopyStatus, int]:
        """The number of copies in each state, all states named."""
        counted = Counter(copy.status for copy in self.copies.values())
        return {status: counted[status] for status in CopyStatus}

    @property
    def total(self) -> int:
        return len(self.copies)

    @property
    def available(self) -> int:
        return sum(copy.status is CopyStatus.AVAILABLE for copy in self.copies.values())

    @property
    def out(self) -> int:
        """Lent or promised."""
        return sum(copy.status in OUT for copy in self.copies.values())

    @property
    def in_use(self) -> int:
        """Copies nobody may take away by hand: those out, and those a loan still answers for."""
        claimed = {held.barcode for held in self.held.values()}
        return sum(copy.status in OUT or copy.barcode in claimed for copy in self.copies.values())

    def loan_of(self, barcode: str) -> str | None:
        """The loan that holds a copy."""
        return next((loan_id for loan_id, held in self.held.items() if held.barcode == barcode), None)

    def copy(self, barcode: str) -> Copy:
        """Raises CopyNotFound."""
        found = self.copies.get(barcode)
        if found is None:
            raise CopyNotFound
        return found

    # -- lending ------------------------------------------------------------------------------

    def reserve(
        self, loan_id: str, *, barcode: str | None, choose: Callable[[Sequence[str]], str], now: datetime
    ) -> Reservation:
        """Which copy the loan gets: the one it has already, the one asked for, or any that is available.

        Raises LoanHoldsAnotherCopy, LoanAlreadyReleased, BookArchived, CopyNotFound, CopyNotAvailable,
        NoCopiesAvailable.
        """
        already = self.held.get(loan_id)
        if already is not None:
            self._require_same(already, barcode)
            return Reservation(loan_id, already, repeated=True)
        if self.archived:
            raise BookArchived
        if barcode is None:
            free = [copy.barcode for copy in self.copies.values() if copy.status is CopyStatus.AVAILABLE]
            if not free:
                raise NoCopiesAvailable
            chosen = choose(free)
        else:
            asked_for = self.copy(barcode)
            if asked_for.status is not CopyStatus.AVAILABLE:
                raise CopyNotAvailable(asked_for.status)
            chosen = barcode
        # However old: a loan that was released or refused never asks again in earnest.
        if loan_id in self.gone:
            raise LoanAlreadyReleased
        return Reservation(loan_id, Held(chosen, _epoch(now)), forget=self._forgettable(now))

    def refuse(self, loan_id: str, *, valid_until: datetime | None, now: datetime) -> Release:
        """Makes a refusal final: the same reservation, delivered once more, finds no copy either.

        Otherwise a copy that came back in between would be taken for a loan that was cancelled.
        """
        if loan_id in self.gone:
            return Release(loan_id, idle=True)
        latest = _epoch(now) + LATE_REQUEST_SECONDS
        until = latest if valid_until is None else min(latest, _epoch(valid_until) + CLOCK_MARGIN_SECONDS)
        return Release(loan_id, remember_until=until, forget=self._forgettable(now))

    def release(self, loan_id: str, *, barcode: str | None, damaged: bool, now: datetime) -> Release:
        """What becomes of the loan's copy. Never refuses for what the loan does not hold: the release of
        nothing is remembered instead, so that a reservation it overtook stays void.

        Raises LoanHoldsAnotherCopy.
        """
        held = self.held.get(loan_id)
        until = _epoch(now) + LATE_REQUEST_SECONDS
        if held is None:
            if loan_id in self.gone:
                return Release(loan_id, idle=True)
            return Release(loan_id, remember_until=until, forget=self._forgettable(now))
        self._require_same(held, barcode)
        before = self.copies[held.barcode].status
        after = before
        # Lost, damaged or withdrawn meanwhile: that was said on purpose, a release does not unsay it.
        if before is CopyStatus.ON_LOAN:
            after = CopyStatus.DAMAGED if damaged else CopyStatus.AVAILABLE
        recent = held.since + LATE_REQUEST_SECONDS > _epoch(now)
        return Release(
            loan_id,
            held=held,
            before=before,
            after=after,
            remember_until=until if recent else None,
            forget=self._forgettable(now),
        )

    def _require_same(self, held: Held, barcode: str | None) -> None:
        if barcode is not None and barcode != held.barcode:
            raise LoanHoldsAnotherCopy(held.barcode)

    def _forgettable(self, now: datetime) -> tuple[str, ...]:
        old = sorted((until, loan_id) for loan_id, until in self.gone.items() if until <= _epoch(now))
        return tuple(loan_id for _, loan_id in old[:MAX_FORGOTTEN_AT_ONCE])

    # -- what librarians do -------------------------------------------------------------------

    def add(self, copies: Iterable[Copy]) -> "Stock":
        """Raises BookArchived, TooManyCopies. Barcodes must be new; the store sees to that."""
        if self.archived:
            raise BookArchived
        after = {**self.copies, **{copy.barcode: copy for copy in copies}}
        if len(after) > MAX_COPIES:
            raise TooManyCopies(MAX_COPIES)
        return self._next(copies=after)

    def remove(self, number: int) -> "Stock":
        """Removes copies: first withdrawn, lost and damaged ones, then those on the shelf.

        Raises CopiesInUse when that would reach for lent or promised copies.
        """
        removable = [barcode for status in _REMOVED_FIRST for barcode in self._idle(status)]
        if number > len(removable):
            raise CopiesInUse(self.in_use)
        going = set(removable[:number])
        return self._next(copies={barcode: copy for barcode, copy in self.copies.items() if barcode not in going})

    def with_available(self, number: int) -> "Stock":
        """Corrects the shelf count. Copies that turn out to be missing are lost; those that turn up
        were lost, damaged or withdrawn, in that order. The same stock when the count is right.

        Raises ExceedsStock.
        """
        if number > self.total - self.in_use:
            raise ExceedsStock(self.total - self.in_use)
        surplus = self.available - number
        if surplus > 0:
            return self._with_status(self._idle(CopyStatus.AVAILABLE)[:surplus], CopyStatus.LOST)
        if surplus < 0:
            restorable = [barcode for status in _RESTORED_FIRST for barcode in self._idle(status)]
            return self._with_status(restorable[:-surplus], CopyStatus.AVAILABLE)
        return self

    def with_copy(self, copy: Copy) -> "Stock":
        """One copy set right by hand; the same stock when nothing differs.

        Raises CopyNotFound, and CopyOnLoan when the status of a lent or promised copy would change.
        """
        before = self.copy(copy.barcode)
        if copy == before:
            return self
        if copy.status is not before.status and (before.status in OUT or self.loan_of(copy.barcode) is not None):
            raise CopyOnLoan(before.status)
        return self._next(copies={**self.copies, copy.barcode: copy})

    def archive(self) -> "Stock":
        """Raises CopiesOut while copies are lent or promised."""
        if self.in_use:
            raise CopiesOut(self.in_use)
        return self if self.archived else self._next(archived=True)

    def restore(self) -> "Stock":
        return self._next(archived=False) if self.archived else self

    def titled(self, title: str, genre: str | None) -> "Stock":
        """Follows the title's description, as far as a reservation answers it."""
        short = shortened(title, MAX_SHORT_TITLE)
        return self if (short, genre) == (self.title, self.genre) else replace(self._next(title=short), genre=genre)

    def changes_since(self, before: "Stock") -> list[Change]:
        """What happened to each copy between two states of the same stock, by barcode."""
        return [
            Change(barcode, old.status if old else None, new.status if new else None)
            for barcode in sorted({*before.copies, *self.copies})
            for old, new in [(before.copies.get(barcode), self.copies.get(barcode))]
            if (old and old.status) != (new and new.status)
        ]

    def _idle(self, status: CopyStatus) -> list[str]:
        """Copies in a state that no loan answers for, in the order of their barcodes."""
        claimed = {held.barcode for held in self.held.values()}
        return sorted(c.barcode for c in self.copies.values() if c.status is status and c.barcode not in claimed)

    def _with_status(self, barcodes: Sequence[str], status: CopyStatus) -> "Stock":
        return self._next(copies={**self.copies, **{b: replace(self.copies[b], status=status) for b in barcodes}})

    def _next(
        self,
        *,
        copies: Mapping[str, Copy] | None = None,
        archived: bool | None = None,
        title: str | None = None,
    ) -> "Stock":
        return replace(
            self,
            version=self.version + 1,
            copies=self.copies if copies is None else copies,
            archived=self.archived if archived is None else archived,
            title=self.title if title is None else title,
        )


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())
