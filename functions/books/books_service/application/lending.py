"""Taking a copy off the shelf for a loan, and putting it back.

Called by the loans service, over and over if it has to: both are idempotent on the loan's id, and
in whatever order they arrive, a loan ends up with at most one copy, and with none once it was
released.
"""

from collections.abc import Sequence

from books_service.application.finding import announce_copies, the_stock
from books_service.application.ports import Catalogue, LostRace
from books_service.application.racing import Patience
from books_service.application.views import ReleaseView, ReservationView
from books_service.domain.barcodes import RandomBelow
from library_common.clock import Clock


class Lending:
    """Reserves and releases copies."""

    def __init__(self, catalogue: Catalogue, clock: Clock, random_below: RandomBelow, patience: Patience) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._random_below = random_below
        self._patience = patience

    def reserve(self, book_id: str, loan_id: str, barcode: str | None = None) -> tuple[ReservationView, bool]:
        """Takes an available copy (the one with `barcode` if given) for a loan; and whether it had it already.

        Raises BookNotFound, CopyNotFound, BookArchived, NoCopiesAvailable, CopyNotAvailable,
        LoanAlreadyReleased, LoanHoldsAnotherCopy.
        """
        stock = the_stock(self._catalogue, book_id)
        tries = self._patience.tries()
        while True:
            reservation = stock.reserve(loan_id, barcode=barcode, choose=self._any, now=self._clock.now())
            if not reservation.repeated:
                events = announce_copies(book_id, [reservation.change], self._clock, loan_id)
                try:
                    self._catalogue.reserve(book_id, reservation, events)
                except LostRace as lost:
                    tries.again()
                    stock = lost.stock or the_stock(self._catalogue, book_id)
                    continue
            return (
                ReservationView(loan_id=loan_id, book_id=book_id, barcode=reservation.held.barcode, title=stock.title),
                reservation.repeated,
            )

    def release(self, book_id: str, loan_id: str, barcode: str | None = None, *, damaged: bool = False) -> ReleaseView:
        """Gives the loan's copy back. Raises BookNotFound, LoanHoldsAnotherCopy."""
        stock = the_stock(self._catalogue, book_id)
        tries = self._patience.tries()
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
