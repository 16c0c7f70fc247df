"""The copies of one title, and every rule about their states.

A `Stock` is a value: a rule returns what is to be done, or the stock as it is afterwards, and never
changes it. Invariant: total = available + on_loan + awaiting_pickup + in_transit + lost + damaged +
withdrawn. It holds because every copy has exactly one status and every count is counted.

A newer version of this service may have stored a status that `CopyStatus` does not have. Such a copy is
shown with it, and is not available. Nobody lends it, removes it or changes its status by hand, and its
title is not archived: it counts as in use. A release ends the loan's claim and leaves the status.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from books_service.domain.errors import (
    BarcodeTaken,
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
from books_service.domain.truncation import truncate

MAX_COPIES = 500
"""Per title. All copies of a title are in one stored item; adapters/dynamodb.py says what that costs."""

MAX_SHELF = 40
MAX_SHORT_TITLE = 100
"""Characters of the title stored with the copies, so that a reservation answers it without another read."""

LATE_REQUEST_SECONDS = 300
"""How long a release is remembered, to refuse a reservation that was sent before it and arrives after it.

API Gateway ends a call after 29 s. Loans sends no reservation that is valid for longer than its lease of 30 s,
and none after it gave the loan up. Five minutes leave room for clocks that differ, and are short enough that
nobody fills a title's item with remembered releases by lending and returning in a loop.
"""

CLOCK_MARGIN_SECONDS = 60
"""How far the clocks of two functions may differ. A refused reservation is remembered this long after it expired."""

MAX_EXPIRED_AT_ONCE = 50
"""Remembered releases that one write removes: more than it adds, and few enough for one update expression."""


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

BY_HAND = frozenset(CopyStatus) - OUT
"""What librarians set."""

_REMOVED_FIRST = (CopyStatus.WITHDRAWN, CopyStatus.LOST, CopyStatus.DAMAGED, CopyStatus.AVAILABLE)
_RESTORED_FIRST = (CopyStatus.LOST, CopyStatus.DAMAGED, CopyStatus.WITHDRAWN)


@dataclass(frozen=True)
class Copy:
    """One physical copy.

    status: a CopyStatus, or what a newer version stored. shelf: where it stands, in the library's own notation.
    extra: attributes that a newer version stored; they are kept as they are.
    """

    barcode: str
    status: str = CopyStatus.AVAILABLE
    shelf: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Held:
    """A loan's claim on a copy, from reservation to release. `since` is in epoch seconds."""

    barcode: str
    since: int


@dataclass(frozen=True)
class CopyStatusChange:
    """What happened to one copy. No `previous`: it was added. No `status`: it was removed."""

    barcode: str
    previous: str | None
    status: str | None


@dataclass(frozen=True)
class Reservation:
    """The decision to lend a copy of `stock`.

    repeated: the loan holds the copy already, and nothing is to be written. expired: remembered releases to remove.
    """

    stock: "Stock"
    loan_id: str
    held: Held
    repeated: bool = False
    expired: tuple[str, ...] = ()

    @property
    def barcode(self) -> str:
        return self.held.barcode

    @property
    def changes(self) -> list[CopyStatusChange]:
        return [CopyStatusChange(self.barcode, CopyStatus.AVAILABLE, CopyStatus.ON_LOAN)]


@dataclass(frozen=True)
class Release:
    """The decision to end a loan's claim on a copy of `stock`.

    held: the claim, None when the loan has none. before, after: the status of the copy. remember_until: epoch
    seconds until which a late reservation of the loan is refused, None if none can come. repeated: it was released
    or refused before, and nothing is to be written. expired: remembered releases to remove.
    """

    stock: "Stock"
    loan_id: str
    held: Held | None = None
    before: str | None = None
    after: str | None = None
    remember_until: int | None = None
    repeated: bool = False
    expired: tuple[str, ...] = ()

    @property
    def released(self) -> bool:
        """Whether the loan held a copy."""
        return self.held is not None

    @property
    def changes(self) -> list[CopyStatusChange]:
        if self.held is None or self.before == self.after:
            return []
        return [CopyStatusChange(self.held.barcode, self.before, self.after)]


@dataclass(frozen=True)
class Stock:
    """All copies of one title.

    title: cut to MAX_SHORT_TITLE. genre: None also for a stock that was stored before it had one. held: by loan id.
    released: loans that were released or refused, with the epoch seconds until which that is remembered. version:
    grows with every write.
    """

    book_id: str
    title: str
    copies: Mapping[str, Copy] = field(default_factory=dict)
    held: Mapping[str, Held] = field(default_factory=dict)
    released: Mapping[str, int] = field(default_factory=dict)
    archived: bool = False
    version: int = 1
    genre: str | None = None

    # -- counting -----------------------------------------------------------------------------

    def by_status(self) -> dict[str, int]:
        """The number of copies by status: every CopyStatus, then those of a newer version."""
        counted = Counter(copy.status for copy in self.copies.values())
        return {status: counted.pop(status, 0) for status in CopyStatus} | dict(counted)

    @property
    def total(self) -> int:
        return len(self.copies)

    @property
    def available(self) -> int:
        return sum(copy.status == CopyStatus.AVAILABLE for copy in self.copies.values())

    @property
    def out(self) -> int:
        """Lent or promised."""
        return sum(copy.status in OUT for copy in self.copies.values())

    @property
    def in_use(self) -> int:
        """Copies that nobody may remove by hand: those out, those that a loan still holds (it may be lost or
        damaged), and those with a status of a newer version."""
        return self.total - sum(len(self._idle(status)) for status in BY_HAND)

    def loan_of(self, barcode: str) -> str | None:
        """The loan that holds a copy."""
        return next((loan_id for loan_id, held in self.held.items() if held.barcode == barcode), None)

    def copy(self, barcode: str) -> Copy:
        """The copy with a barcode, regardless of case. Raises CopyNotFound."""
        found = self.copies.get(barcode)
        if found is None:
            found = next((copy for copy in self.copies.values() if copy.barcode.upper() == barcode.upper()), None)
        if found is None:
            raise CopyNotFound
        return found

    # -- lending ------------------------------------------------------------------------------

    def reserve(
        self, loan_id: str, *, barcode: str | None, choose: Callable[[Sequence[str]], str], now: datetime
    ) -> Reservation:
        """Which copy the loan gets: the one it holds, the one asked for, or any available one that `choose` picks.

        Raises LoanHoldsAnotherCopy, LoanAlreadyReleased, BookArchived, CopyNotFound, CopyNotAvailable,
        NoCopiesAvailable.
        """
        already = self.held.get(loan_id)
        if already is not None:
            self._require_same(already, barcode)
            return Reservation(self, loan_id, already, repeated=True)
        if self.archived:
            raise BookArchived
        if barcode is None:
            free = [copy.barcode for copy in self.copies.values() if copy.status == CopyStatus.AVAILABLE]
            if not free:
                raise NoCopiesAvailable
            chosen = choose(free)
        else:
            asked_for = self.copy(barcode)
            if asked_for.status != CopyStatus.AVAILABLE:
                raise CopyNotAvailable(asked_for.status)
            chosen = asked_for.barcode
        # However long ago: loans never asks again for a loan that was released or refused.
        if loan_id in self.released:
            raise LoanAlreadyReleased
        return Reservation(self, loan_id, Held(chosen, _epoch(now)), expired=self._expired(now))

    def refuse(self, loan_id: str, *, valid_until: datetime | None, now: datetime) -> Release:
        """Makes a refusal final, so that the same reservation delivered again is refused too.

        Otherwise it could take a copy that came back meanwhile, for a loan that is cancelled.
        """
        if loan_id in self.released:
            return Release(self, loan_id, repeated=True)
        latest = _epoch(now) + LATE_REQUEST_SECONDS
        until = latest if valid_until is None else min(latest, _epoch(valid_until) + CLOCK_MARGIN_SECONDS)
        return Release(self, loan_id, remember_until=until, expired=self._expired(now))

    def release(self, loan_id: str, *, barcode: str | None, damaged: bool, now: datetime) -> Release:
        """What happens to the loan's copy. If the loan holds none, that is remembered, so that a reservation that
        arrives later is refused.

        Raises LoanHoldsAnotherCopy.
        """
        held = self.held.get(loan_id)
        until = _epoch(now) + LATE_REQUEST_SECONDS
        if held is None:
            if loan_id in self.released:
                return Release(self, loan_id, repeated=True)
            return Release(self, loan_id, remember_until=until, expired=self._expired(now))
        self._require_same(held, barcode)
        before = self.copies[held.barcode].status
        after = before
        # A copy that was set to lost, damaged or withdrawn meanwhile stays so.
        if before == CopyStatus.ON_LOAN:
            after = CopyStatus.DAMAGED if damaged else CopyStatus.AVAILABLE
        recent = held.since + LATE_REQUEST_SECONDS > _epoch(now)
        return Release(
            self,
            loan_id,
            held=held,
            before=before,
            after=after,
            remember_until=until if recent else None,
            expired=self._expired(now),
        )

    def _require_same(self, held: Held, barcode: str | None) -> None:
        if barcode is not None and barcode.upper() != held.barcode.upper():
            raise LoanHoldsAnotherCopy(held.barcode)

    def _expired(self, now: datetime) -> tuple[str, ...]:
        old = sorted((until, loan_id) for loan_id, until in self.released.items() if until <= _epoch(now))
        return tuple(loan_id for _, loan_id in old[:MAX_EXPIRED_AT_ONCE])

    # -- what librarians do -------------------------------------------------------------------

    def add(self, copies: Iterable[Copy]) -> "Stock":
        """Raises BookArchived, TooManyCopies, BarcodeTaken. The store ensures that no other title has the barcodes."""
        if self.archived:
            raise BookArchived
        added = {copy.barcode: copy for copy in copies}
        there = {barcode.upper() for barcode in self.copies}
        for barcode in added:
            if barcode.upper() in there:
                raise BarcodeTaken(barcode)
        after = {**self.copies, **added}
        if len(after) > MAX_COPIES:
            raise TooManyCopies(MAX_COPIES)
        return self._next(copies=after)

    def remove(self, number: int) -> "Stock":
        """Removes copies: first withdrawn, lost and damaged ones, then available ones.

        Raises CopiesInUse when there are not so many that may be removed.
        """
        removable = [barcode for status in _REMOVED_FIRST for barcode in self._idle(status)]
        if number > len(removable):
            raise CopiesInUse(self.in_use)
        removed = set(removable[:number])
        return self._next(copies={barcode: copy for barcode, copy in self.copies.items() if barcode not in removed})

    def with_available(self, number: int) -> "Stock":
        """Corrects the number of available copies. Missing ones become lost; found ones are taken from the lost,
        damaged and withdrawn, in that order. Returns the same stock when the number is right.

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
        """Replaces one copy; returns the same stock when nothing differs.

        Raises CopyNotFound, and CopyOnLoan when its status would change and may not be changed by hand.
        """
        before = self.copy(copy.barcode)
        if copy == before:
            return self
        if copy.status != before.status and (before.status not in BY_HAND or self.loan_of(copy.barcode) is not None):
            raise CopyOnLoan(before.status)
        return self._next(copies={**self.copies, copy.barcode: copy})

    def archive(self) -> "Stock":
        """Raises CopiesOut while copies are in use."""
        if self.in_use:
            raise CopiesOut(self.in_use)
        return self if self.archived else self._next(archived=True)

    def restore(self) -> "Stock":
        return self._next(archived=False) if self.archived else self

    def titled(self, title: str, genre: str | None) -> "Stock":
        """Takes over what a reservation answers of the title's description."""
        short = truncate(title, MAX_SHORT_TITLE)
        return self if (short, genre) == (self.title, self.genre) else self._next(title=short, genre=genre)

    def changes_since(self, before: "Stock") -> list[CopyStatusChange]:
        """What happened to each copy between two states of the same stock, by barcode."""
        return [
            CopyStatusChange(barcode, old.status if old else None, new.status if new else None)
            for barcode in sorted({*before.copies, *self.copies})
            for old, new in [(before.copies.get(barcode), self.copies.get(barcode))]
            if (old and old.status) != (new and new.status)
        ]

    def _idle(self, status: CopyStatus) -> list[str]:
        """Copies with a status that no loan holds, in the order of their barcodes."""
        claimed = {held.barcode for held in self.held.values()}
        return sorted(c.barcode for c in self.copies.values() if c.status == status and c.barcode not in claimed)

    def _with_status(self, barcodes: Sequence[str], status: CopyStatus) -> "Stock":
        return self._next(copies={**self.copies, **{b: replace(self.copies[b], status=status) for b in barcodes}})

    def _next(self, **changes: Any) -> "Stock":
        return replace(self, **changes, version=self.version + 1)


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())
