"""The copies of a title as librarians handle them: add, find, correct."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from books_service.application.lookups import copy_events, get_book, get_stock
from books_service.application.optimistic_retries import OptimisticRetries
from books_service.application.ports import BarcodeExists, BookEvents, Catalogue, IdempotentRequest, StoredAnswer
from books_service.application.titles import VersionCheck, bad_cursor
from books_service.domain.barcodes import BarcodeGenerator, spellings
from books_service.domain.errors import BarcodeTaken, CopyNotFound
from books_service.domain.stock import Copy, CopyStatus, Stock
from books_service.domain.title import Book
from library_common.clock import Clock
from library_common.events import Envelope
from library_common.text import scanned
from library_common.versions import VersionConflict

type AddedCopies = tuple[list[Copy], Stock]
"""The new copies, and the stock that has them."""


@dataclass(frozen=True)
class CopyManagement:
    """Adds, finds and corrects copies."""

    catalogue: Catalogue
    clock: Clock
    barcodes: BarcodeGenerator
    retries: OptimisticRetries

    def page(
        self, book_id: str, *, status: CopyStatus | None, limit: int, position: Mapping[str, object] | None
    ) -> tuple[Stock, list[Copy], dict[str, str] | None]:
        """The stock, a page of its copies in the order of their barcodes, and where the next page starts (None at
        the end).

        Raises BookNotFound, InvalidRequest for a position that this service did not make.
        """
        after = _barcode_in(position)
        stock = get_stock(self.catalogue, book_id)
        wanted = [
            copy
            for barcode, copy in sorted(stock.copies.items())
            if barcode > after and (status is None or copy.status == status)
        ]
        page = wanted[:limit]
        return stock, page, {"after": page[-1].barcode} if len(wanted) > limit else None

    def availability(self, book_id: str) -> Stock:
        """Raises BookNotFound."""
        return get_stock(self.catalogue, book_id)

    def find(self, barcode: str) -> tuple[Copy, Book]:
        """The copy with a barcode, however it was typed or scanned, and its title. Raises CopyNotFound."""
        # First as it is: an older version may have stored capitals and small letters mixed.
        for wanted in dict.fromkeys((barcode.strip(), scanned(barcode))):
            book_id = self._book_id_of(wanted)
            book = self.catalogue.book(book_id) if book_id else None
            if book is not None:
                return book.stock.copy(wanted), book
        raise CopyNotFound

    def _book_id_of(self, barcode: str) -> str | None:
        found = (self.catalogue.book_id_of(spelling) for spelling in spellings(barcode))
        return next(filter(None, found), None)

    def add(
        self,
        book_id: str,
        *,
        count: int = 1,
        barcode: str | None = None,
        shelf: str | None = None,
        request: IdempotentRequest[AddedCopies] | None = None,
    ) -> AddedCopies:
        """Adds copies with generated barcodes, or one with the given barcode.

        Raises BookNotFound, BookArchived, BarcodeTaken, TooManyCopies, AlreadyAnswered, IdempotencyKeyReused.
        """

        def attempt(_: object) -> AddedCopies:
            now = self.clock.now()
            if request is not None:
                self.catalogue.require_unanswered(request.ticket, now)
            before = get_book(self.catalogue, book_id)
            # The write itself keeps two from getting one barcode. One in small letters only an older version made.
            if barcode is not None and self._book_id_of(barcode):
                raise BarcodeTaken(barcode)
            barcodes = [barcode] if barcode else self.barcodes.generate(count, taken=before.stock.copies)
            added = [Copy(new, shelf=shelf) for new in barcodes]
            stock = before.stock.add(added)
            answer = StoredAnswer(request.ticket, request.render((added, stock)), now) if request else None
            events = BookEvents(stock=self._events(before.stock, stock))
            try:
                self.catalogue.save(before, Book(before.title, stock), events, answer)
            except BarcodeExists as exists:
                if barcode is not None:
                    raise BarcodeTaken(exists.barcode) from exists
                raise
            return added, stock

        return self.retries(attempt, on=(VersionConflict, BarcodeExists))

    def edit(self, book_id: str, barcode: str, changes: Mapping[str, Any], check: VersionCheck) -> tuple[Copy, Stock]:
        """Sets a copy's `status` or `shelf`. `check` gets the version of the stock.

        Raises BookNotFound, CopyNotFound, CopyOnLoan, and what `check` raises.
        """

        def attempt(_: object) -> tuple[Copy, Stock]:
            before = get_stock(self.catalogue, book_id)
            check(before.version)
            copy = replace(before.copy(scanned(barcode)), **changes)
            after = before.with_copy(copy)
            if after != before:
                self.catalogue.save_stock(before, after, self._events(before, after))
            return copy, after

        return self.retries(attempt)

    def correct_availability(self, book_id: str, number: int, check: VersionCheck) -> Book:
        """Makes `number` copies available. Raises BookNotFound, ExceedsStock, and what `check` raises."""

        def attempt(_: object) -> Book:
            book = get_book(self.catalogue, book_id)
            check(book.title.version)
            stock = book.stock.with_available(number)
            if stock == book.stock:
                return book
            after = Book(book.title.recounted(self.clock.now()), stock)
            self.catalogue.save(book, after, BookEvents(stock=self._events(book.stock, stock)))
            return after

        return self.retries(attempt)

    def _events(self, before: Stock, after: Stock) -> list[Envelope]:
        return copy_events(after.book_id, after.changes_since(before), self.clock)


def _barcode_in(position: Mapping[str, object] | None) -> str:
    """The barcode a page starts after; before all others when there is no position."""
    if position is None:
        return ""
    after = position.get("after")
    # Cursors are not signed, so a client may send anything.
    if not isinstance(after, str):
        raise bad_cursor()
    return after
