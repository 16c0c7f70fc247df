"""Takes a copy off the shelf for a loan, and puts it back.

The loans service may send each request several times and in any order. Both are idempotent on the
loan's id: a loan has at most one copy, and none after it was released.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from books_service.application.lookups import copy_events, get_stock
from books_service.application.optimistic_retries import OptimisticRetries
from books_service.application.ports import Catalogue
from books_service.domain.barcodes import RandomBelow
from books_service.domain.errors import (
    BookArchived,
    CopyNotAvailable,
    CopyNotFound,
    NoCopiesAvailable,
    ReservationExpired,
)
from books_service.domain.stock import Release, Reservation, Stock
from library_common.clock import Clock
from library_common.versions import VersionConflict

_FINAL: Final = (BookArchived, CopyNotAvailable, CopyNotFound, NoCopiesAvailable)


@dataclass(frozen=True)
class CopyReservations:
    """Reserves and releases copies."""

    catalogue: Catalogue
    clock: Clock
    random_below: RandomBelow
    retries: OptimisticRetries

    def reserve(
        self, book_id: str, loan_id: str, barcode: str | None = None, valid_until: datetime | None = None
    ) -> Reservation:
        """Takes an available copy (the one with `barcode` if given) for a loan; the same one if it has one already.

        A refusal is final for the loan. It is remembered as long as the request may be delivered again: until
        `valid_until` if the request has one.

        Raises BookNotFound, CopyNotFound, BookArchived, NoCopiesAvailable, CopyNotAvailable,
        LoanAlreadyReleased, LoanHoldsAnotherCopy, ReservationExpired.
        """

        def attempt(conflict: Exception | None) -> Reservation:
            stock = self._stock(book_id, conflict)
            # An expired request still gets the copy that the loan holds, but no new one.
            if valid_until is not None and self.clock.now() > valid_until and loan_id not in stock.held:
                raise ReservationExpired
            return self._reserve(stock, loan_id, barcode, valid_until)

        return self.retries(attempt)

    def _reserve(self, stock: Stock, loan_id: str, barcode: str | None, valid_until: datetime | None) -> Reservation:
        now = self.clock.now()
        try:
            reservation = stock.reserve(loan_id, barcode=barcode, choose=self._any, now=now)
        except _FINAL:
            refusal = stock.refuse(loan_id, valid_until=valid_until, now=now)
            if not refusal.repeated:
                self.catalogue.release(refusal, ())
            raise
        if not reservation.repeated:
            self.catalogue.reserve(reservation, copy_events(stock.book_id, reservation.changes, self.clock, loan_id))
        return reservation

    def release(self, book_id: str, loan_id: str, barcode: str | None = None, *, damaged: bool = False) -> Release:
        """Gives the loan's copy back. Raises BookNotFound, LoanHoldsAnotherCopy."""

        def attempt(conflict: Exception | None) -> Release:
            stock = self._stock(book_id, conflict)
            release = stock.release(loan_id, barcode=barcode, damaged=damaged, now=self.clock.now())
            if not release.repeated:
                self.catalogue.release(release, copy_events(book_id, release.changes, self.clock, loan_id))
            return release

        return self.retries(attempt)

    def _stock(self, book_id: str, conflict: Exception | None) -> Stock:
        """The stock as it is now, which a refused write says."""
        current = conflict.current if isinstance(conflict, VersionConflict) else None
        return current if isinstance(current, Stock) else get_stock(self.catalogue, book_id)

    def _any(self, barcodes: Sequence[str]) -> str:
        # At random, so that simultaneous requests rarely choose the same copy.
        return barcodes[self.random_below(len(barcodes))]
