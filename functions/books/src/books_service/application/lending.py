"""Taking a copy off the shelf for a loan, and putting it back.

Called by the loans service, over and over if it has to: both are idempotent on the loan's id, and
in whatever order they arrive, a loan ends up with at most one copy, and with none once it was
released.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from books_service.application.finding import announce_copies, the_stock
from books_service.application.ports import Catalogue, LostRace
from books_service.application.racing import RetryPolicy
from books_service.application.views import ReleaseView, ReservationView
from books_service.domain.barcodes import RandomBelow
from books_service.domain.errors import (
    BookArchived,
    CopyNotAvailable,
    CopyNotFound,
    NoCopiesAvailable,
    ReservationExpired,
)
from books_service.domain.stock import Reservation, Stock
from library_common.clock import Clock

_FINAL: Final = (BookArchived, CopyNotAvailable, CopyNotFound, NoCopiesAvailable)


class Lending:
    """Reserves and releases copies."""

    def __init__(self, catalogue: Catalogue, clock: Clock, random_below: RandomBelow, retries: RetryPolicy) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._random_below = random_below
        self._retries = retries

    def reserve(
        self, book_id: str, loan_id: str, barcode: str | None = None, valid_until: datetime | None = None
    ) -> tuple[ReservationView, bool]:
        """Takes an available copy (the one with `barcode` if given) for a loan; and whether it had it already.

        A refusal is final for the loan: it is remembered as long as the request may be delivered again,
        which is `valid_until` where the request says so.

        Raises BookNotFound, CopyNotFound, BookArchived, NoCopiesAvailable, CopyNotAvailable,
        LoanAlreadyReleased, LoanHoldsAnotherCopy, ReservationExpired.
        """
        stock = the_stock(self._catalogue, book_id)
        tries = self._retries.tries()
        while True:
            # A loan that has its copy is told so, however late; only nothing new is taken for it.
            if valid_until is not None and self._clock.now() > valid_until and loan_id not in stock.held:
                raise ReservationExpired
            try:
                reservation = self._reserve(stock, loan_id, barcode, valid_until)
            except LostRace as lost:
                tries.again()
                stock = lost.stock or the_stock(self._catalogue, book_id)
                continue
            taken = ReservationView(
                loan_id=loan_id,
                book_id=book_id,
                barcode=reservation.held.barcode,
                title=stock.title,
                genre=stock.genre,
            )
            return taken, reservation.repeated

    def _reserve(self, stock: Stock, loan_id: str, barcode: str | None, valid_until: datetime | None) -> Reservation:
        now = self._clock.now()
        try:
            reservation = stock.reserve(loan_id, barcode=barcode, choose=self._any, now=now)
        except _FINAL:
            refused = stock.refuse(loan_id, valid_until=valid_until, now=now)
            if not refused.idle:
                self._catalogue.release(stock.book_id, refused, ())
            raise
        if not reservation.repeated:
            events = announce_copies(stock.book_id, [reservation.change], self._clock, loan_id)
            self._catalogue.reserve(stock.book_id, reservation, events)
        return reservation

    def release(self, book_id: str, loan_id: str, barcode: str | None = None, *, damaged: bool = False) -> ReleaseView:
        """Gives the loan's copy back. Raises BookNotFound, LoanHoldsAnotherCopy."""
        stock = the_stock(self._catalogue, book_id)
        tries = self._retries.tries()
        while True:
            release = stock.release(loan_id, barcode=barcode, damaged=damaged, now=self._clock.now())
            if not release.idle:
                events = announce_copies(book_id, release.changes, self._clock, loan_id)
                try:
                    self._catalogue.release(book_id, release, events)
                except LostRace as lost:
                    tries.again()
                    stock = lost.stock or the_stock(self._catalogue, book_id)
                    continue
            return ReleaseView(
                loan_id=loan_id,
                book_id=book_id,
                title=stock.title,
                released=release.held is not None,
                barcode=release.held.barcode if release.held else None,
                status=release.after,
            )

    def _any(self, barcodes: Sequence[str]) -> str:
        # At random, so that members who come at the same moment rarely reach for the same copy.
        return barcodes[self._random_below(len(barcodes))]
