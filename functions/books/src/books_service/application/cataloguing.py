"""Entering, describing, archiving and restoring titles."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from books_service.application.barcoding import Barcoding
from books_service.application.finding import announce, announce_copies, the_book, the_stock
from books_service.application.ports import Answer, AnsweredBefore, BarcodeExists, Catalogue, Happened, LostRace
from books_service.application.racing import RetryPolicy
from books_service.application.views import AvailabilityView, BookView
from books_service.domain.book import Book
from books_service.domain.errors import ChangeTooLarge
from books_service.domain.events import BookAdded, BookRemoved, BookRestored, BookUpdated
from books_service.domain.shortening import shortened
from books_service.domain.stock import MAX_SHORT_TITLE, Stock
from books_service.domain.title import Metadata, Title
from library_common.clock import Clock
from library_common.events import DomainEvent
from library_common.idempotency import Ticket

MAX_COPIES_AT_ONCE = 50
"""Copies added or removed by one request: each is an operation of the one transaction."""

type VersionCheck = Callable[[int], None]
"""Raises when the client wanted another version of the title."""


@dataclass(frozen=True)
class Change:
    """What to make of a title. `describe` gives the new description from the old one; `copies` is the new number
    of copies, None to leave them alone."""

    describe: Callable[[Metadata], Metadata]
    copies: int | None = None

    @classmethod
    def whole(cls, metadata: Metadata, copies: int | None) -> "Change":
        """Replaces the description."""
        return cls(lambda _: metadata, copies)

    @classmethod
    def some(cls, fields: Mapping[str, Any], copies: int | None) -> "Change":
        """Replaces the named fields of the description."""
        return cls(lambda old: replace(old, **fields), copies)


class Cataloguing:
    """Titles and how they are described."""

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Clock,
        barcoding: Barcoding,
        retries: RetryPolicy,
        new_book_id: Callable[[], str],
    ) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._barcoding = barcoding
        self._retries = retries
        self._new_book_id = new_book_id

    def read(self, book_id: str) -> BookView:
        """Raises BookNotFound."""
        return BookView.of(the_book(self._catalogue, book_id))

    def availability(self, book_id: str) -> AvailabilityView:
        """Raises BookNotFound."""
        return AvailabilityView.of(the_stock(self._catalogue, book_id))

    def add(self, metadata: Metadata, copies: int, ticket: Ticket | None) -> tuple[BookView, bool]:
        """Enters a title with new copies; and whether the same request had done so before.

        Raises BookFieldsRefused, IdempotencyKeyReused.
        """
        now = self._clock.now()
        metadata.require_plausible(now)
        if ticket is not None and (earlier := self._catalogue.earlier_answer(ticket, now)) is not None:
            return BookView.model_validate_json(earlier), True
        title = Title(id=self._new_book_id(), metadata=metadata, created_at=now, updated_at=now)
        tries = self._retries.tries()
        while True:
            made = self._barcoding.new_copies(copies)
            stock = Stock(
                title.id,
                shortened(metadata.title, MAX_SHORT_TITLE),
                {copy.barcode: copy for copy in made},
                genre=metadata.genre,
            )
            view = BookView.of(Book(title, stock))
            answer = Answer(ticket, view.model_dump_json(), now) if ticket else None
            added = Happened(title=announce(BookAdded.of(title, stock), title.id, self._clock))
            try:
                self._catalogue.add(Book(title, stock), added, answer)
            except BarcodeExists:
                tries.again()
            except AnsweredBefore as before:
                return BookView.model_validate_json(before.json), True
            else:
                return view, False

    def change(self, book_id: str, change: Change, check: VersionCheck) -> BookView:
        """Describes a title anew, and sets the number of its copies.

        Raises BookNotFound, BookFieldsRefused, CopiesInUse, TooManyCopies, BookArchived, ChangeTooLarge, and what
        `check` raises.
        """
        tries = self._retries.tries()
        while True:
            before = the_book(self._catalogue, book_id)
            check(before.title.version)
            now = self._clock.now()
            title = before.title.described_as(change.describe(before.title.metadata), now)
            title.metadata.require_plausible(now)
            stock = before.stock.titled(title.metadata.title, title.metadata.genre)
            if change.copies is not None:
                stock = self._with_count(stock, change.copies)
            if stock.total != before.stock.total and title.version == before.title.version:
                title = title.recounted(now)
            after = Book(title, stock)
            try:
                self._save(before, after)
            except (LostRace, BarcodeExists):
                tries.again()
            else:
                return BookView.of(after)

    def archive(self, book_id: str) -> BookView:
        """Takes a title out of lists and lending. Raises BookNotFound, CopiesOut."""
        return self._turn(book_id, lambda book: Book(book.title.archive(self._clock.now()), book.stock.archive()))

    def restore(self, book_id: str) -> BookView:
        """Undoes `archive`. Raises BookNotFound."""
        return self._turn(book_id, lambda book: Book(book.title.restore(self._clock.now()), book.stock.restore()))

    def _turn(self, book_id: str, turn: Callable[[Book], Book]) -> BookView:
        tries = self._retries.tries()
        while True:
            before = the_book(self._catalogue, book_id)
            after = turn(before)
            try:
                self._save(before, after)
            except LostRace:
                tries.again()
            else:
                return BookView.of(after)

    def _with_count(self, stock: Stock, count: int) -> Stock:
        more = count - stock.total
        if more == 0:
            return stock
        # The rule first, so that the answer does not depend on how far beyond it the number is.
        after = stock.add(self._barcoding.new_copies(more, besides=stock)) if more > 0 else stock.remove(-more)
        if abs(more) > MAX_COPIES_AT_ONCE:
            raise ChangeTooLarge
        return after

    def _save(self, before: Book, after: Book) -> None:
        if after == before:
            return
        book_id, version = after.title.id, after.title.version
        event: DomainEvent | None = None
        if after.title.archived != before.title.archived:
            turned = BookRemoved if after.title.archived else BookRestored
            event = turned(book_id=book_id, book_version=version)
        elif after.title.metadata != before.title.metadata:
            event = BookUpdated.of(after.title, before.title.metadata)
        changes = after.stock.changes_since(before.stock)
        happened = Happened(
            title=announce(event, book_id, self._clock) if event else [],
            stock=announce_copies(book_id, changes, self._clock),
        )
        self._catalogue.save(before, after, happened)
