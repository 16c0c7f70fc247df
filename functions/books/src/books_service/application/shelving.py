"""The copies of a title as librarians handle them: adding, finding, setting right."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from books_service.application.barcoding import Barcoding
from books_service.application.cataloguing import VersionCheck
from books_service.application.finding import announce_copies, the_book, the_stock
from books_service.application.ports import Answer, AnsweredBefore, BarcodeExists, Catalogue, Happened, LostRace
from books_service.application.racing import RetryPolicy
from books_service.application.searching import bad_cursor
from books_service.application.views import BookView, CopiesView, CopyView, FoundCopyView
from books_service.domain.barcodes import is_barcode
from books_service.domain.book import Book
from books_service.domain.errors import BarcodeTaken, CopyNotFound
from books_service.domain.stock import Copy, CopyStatus, Stock
from library_common.clock import Clock
from library_common.events import Envelope
from library_common.idempotency import Ticket


class Shelving:
    """Copies and where they are."""

    def __init__(self, catalogue: Catalogue, clock: Clock, barcoding: Barcoding, retries: RetryPolicy) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._barcoding = barcoding
        self._retries = retries

    def copies(
        self, book_id: str, *, status: CopyStatus | None, limit: int, position: Mapping[str, object] | None
    ) -> tuple[list[CopyView], dict[str, str] | None]:
        """A page of copies in the order of their barcodes, and where the next one starts (None at the end).

        Raises BookNotFound, InvalidRequest for a position that is none.
        """
        after = _barcode_in(position)
        stock = the_stock(self._catalogue, book_id)
        wanted = [
            copy
            for barcode, copy in sorted(stock.copies.items())
            if barcode > after and (status is None or copy.status is status)
        ]
        page = wanted[:limit]
        following = {"after": page[-1].barcode} if len(wanted) > limit else None
        return [CopyView.of(copy, stock) for copy in page], following

    def find(self, barcode: str) -> tuple[FoundCopyView, int]:
        """The copy with a barcode, its title, and the version of the title's stock. Raises CopyNotFound."""
        book_id = self._catalogue.book_id_of(barcode) if is_barcode(barcode) else None
        book = self._catalogue.book(book_id) if book_id else None
        if book is None:
            raise CopyNotFound
        return FoundCopyView.found(book.stock.copy(barcode), book), book.stock.version

    def add(
        self, book_id: str, *, count: int, barcode: str | None, shelf: str | None, ticket: Ticket | None
    ) -> tuple[CopiesView, bool]:
        """Adds copies with new barcodes, or one with the barcode given; and whether the same request had done so.

        Raises BookNotFound, BookArchived, BarcodeTaken, TooManyCopies, IdempotencyKeyReused.
        """
        tries = self._retries.tries()
        while True:
            now = self._clock.now()
            if ticket is not None and (earlier := self._catalogue.earlier_answer(ticket, now)) is not None:
                return CopiesView.model_validate_json(earlier), True
            before = the_book(self._catalogue, book_id)
            if barcode is not None and barcode in before.stock.copies:
                raise BarcodeTaken(barcode)
            made = (
                self._barcoding.new_copies(count, besides=before.stock, shelf=shelf)
                if barcode is None
                else [Copy(barcode, shelf=shelf)]
            )
            stock = before.stock.add(made)
            view = CopiesView(
                book_id=book_id,
                items=[CopyView.of(copy, stock) for copy in made],
                total_copies=stock.total,
                available_copies=stock.available,
            )
            answer = Answer(ticket, view.model_dump_json(), now) if ticket else None
            events = Happened(stock=self._changed(before.stock, stock))
            try:
                self._catalogue.save(before, Book(before.title, stock), events, answer)
            except BarcodeExists as exists:
                if barcode is not None:
                    raise BarcodeTaken(exists.barcode) from exists
                tries.again()
            except LostRace:
                tries.again()
            except AnsweredBefore as earlier_one:
                return CopiesView.model_validate_json(earlier_one.json), True
            else:
                return view, False

    def edit(self, book_id: str, barcode: str, changes: Mapping[str, Any], check: VersionCheck) -> tuple[CopyView, int]:
        """Sets a copy's `status` or `shelf`; answers the copy and the version of the stock.

        Raises BookNotFound, CopyNotFound, CopyOnLoan, and what `check` raises.
        """
        tries = self._retries.tries()
        while True:
            before = the_stock(self._catalogue, book_id)
            check(before.version)
            copy = replace(before.copy(barcode), **changes)
            after = before.with_copy(copy)
            try:
                self._save(before, after)
            except LostRace:
                tries.again()
            else:
                return CopyView.of(copy, after), after.version

    def correct_availability(self, book_id: str, number: int, check: VersionCheck) -> BookView:
        """Makes `number` copies available. Raises BookNotFound, ExceedsStock, and what `check` raises."""
        tries = self._retries.tries()
        while True:
            book = the_book(self._catalogue, book_id)
            check(book.title.version)
            stock = book.stock.with_available(number)
            if stock == book.stock:
                return BookView.of(book)
            after = Book(book.title.recounted(self._clock.now()), stock)
            try:
                self._catalogue.save(book, after, Happened(stock=self._changed(book.stock, stock)))
            except LostRace:
                tries.again()
            else:
                return BookView.of(after)

    def _save(self, before: Stock, after: Stock) -> None:
        if after != before:
            self._catalogue.save_stock(before, after, self._changed(before, after))

    def _changed(self, before: Stock, after: Stock) -> list[Envelope]:
        return announce_copies(after.book_id, after.changes_since(before), self._clock)


def _barcode_in(position: Mapping[str, object] | None) -> str:
    """The barcode a page starts after; before all others when there is no position."""
    if position is None:
        return ""
    after = position.get("after")
    # Cursors are not signed: what comes back may be anything.
    if not isinstance(after, str):
        raise bad_cursor()
    return after
