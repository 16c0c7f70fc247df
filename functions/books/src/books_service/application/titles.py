"""Adds, finds, describes, archives and restores titles."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from books_service.application.criteria import MAX_SORT_KEY, MIN_SORT_KEY, Criteria
from books_service.application.lookups import book_event, copy_events, get_book
from books_service.application.optimistic_retries import OptimisticRetries
from books_service.application.ports import (
    BarcodeExists,
    BookEvents,
    Catalogue,
    IdempotentRequest,
    Position,
    StoredAnswer,
)
from books_service.domain.barcodes import BarcodeGenerator
from books_service.domain.errors import ChangeTooLarge
from books_service.domain.events import BookAdded, BookRemoved, BookRestored, BookUpdated
from books_service.domain.stock import MAX_SHORT_TITLE, Copy, Stock
from books_service.domain.title import Book, Metadata, Title
from books_service.domain.truncation import truncate
from library_common.clock import Clock
from library_common.events import DomainEvent
from library_common.problems import FieldError, InvalidRequest
from library_common.versions import VersionConflict

MAX_COPIES_AT_ONCE = 50
"""Copies added or removed by one request: each is an operation of the one transaction."""

type VersionCheck = Callable[[int], None]
"""Raises when the client asked for another version than this one."""


@dataclass(frozen=True)
class TitleChange:
    """A change of a title. fields: new values of fields of its `Metadata`. copies: the new number of copies, None to
    keep it."""

    fields: Mapping[str, Any]
    copies: int | None = None


@dataclass(frozen=True)
class TitleManagement:
    """Adds and lists titles, and changes their description, their number of copies and whether they are archived."""

    catalogue: Catalogue
    clock: Clock
    barcodes: BarcodeGenerator
    retries: OptimisticRetries
    new_book_id: Callable[[], str]

    def read(self, book_id: str) -> Book:
        """Raises BookNotFound."""
        return get_book(self.catalogue, book_id)

    def find(
        self, criteria: Criteria, *, limit: int, position: Mapping[str, object] | None
    ) -> tuple[list[Book], dict[str, str | int] | None]:
        """One page, and where the next one starts (None at the end).

        The work per request is limited: a page may be short, even empty, and still have a next one.
        Raises InvalidRequest for a position that this service did not make.
        """
        start = _position(position)
        if criteria.impossible:
            return [], None
        books, following = self.catalogue.find(criteria, limit=limit, start=start)
        if following is None:
            return books, None
        return books, {"key": following.key, "past": int(following.past)}

    def add(self, metadata: Metadata, copies: int, request: IdempotentRequest[Book] | None = None) -> Book:
        """Adds a title with that many new copies.

        Raises BookFieldsRefused, AlreadyAnswered, IdempotencyKeyReused.
        """
        now = self.clock.now()
        metadata.require_plausible(now)
        if request is not None:
            self.catalogue.require_unanswered(request.ticket, now)
        title = Title(id=self.new_book_id(), metadata=metadata, created_at=now, updated_at=now)
        short_title = truncate(metadata.title, MAX_SHORT_TITLE)

        def attempt(_: object) -> Book:
            new = {barcode: Copy(barcode) for barcode in self.barcodes.generate(copies)}
            book = Book(title, Stock(title.id, short_title, new, genre=metadata.genre))
            answer = StoredAnswer(request.ticket, request.render(book), now) if request else None
            events = BookEvents(title=book_event(BookAdded.of(title, book.stock), title.id, self.clock))
            self.catalogue.add(book, events, answer)
            return book

        return self.retries(attempt, on=(BarcodeExists,))

    def change(self, book_id: str, change: TitleChange, check: VersionCheck) -> Book:
        """Changes the description of a title and the number of its copies. `check` gets the version of the title.

        Raises BookNotFound, BookFieldsRefused, CopiesInUse, TooManyCopies, BookArchived, ChangeTooLarge, and what
        `check` raises.
        """

        def changed(before: Book) -> Book:
            check(before.title.version)
            now = self.clock.now()
            title = before.title.described_as(replace(before.title.metadata, **change.fields), now)
            title.metadata.require_plausible(now)
            stock = before.stock.titled(title.metadata.title, title.metadata.genre)
            if change.copies is not None:
                stock = self._with_count(stock, change.copies)
            if stock.total != before.stock.total and title.version == before.title.version:
                title = title.recounted(now)
            return Book(title, stock)

        return self._update(book_id, changed)

    def archive(self, book_id: str) -> Book:
        """Takes a title out of lists and lending. Raises BookNotFound, CopiesOut."""
        return self._update(book_id, lambda book: Book(book.title.archive(self.clock.now()), book.stock.archive()))

    def restore(self, book_id: str) -> Book:
        """Undoes `archive`. Raises BookNotFound."""
        return self._update(book_id, lambda book: Book(book.title.restore(self.clock.now()), book.stock.restore()))

    def _update(self, book_id: str, update: Callable[[Book], Book]) -> Book:
        def attempt(_: object) -> Book:
            before = get_book(self.catalogue, book_id)
            after = update(before)
            self._save(before, after)
            return after

        return self.retries(attempt, on=(VersionConflict, BarcodeExists))

    def _with_count(self, stock: Stock, count: int) -> Stock:
        more = count - stock.total
        if more == 0:
            return stock
        # The rules about stock come first: a number that they refuse is refused the same way, however large it is.
        if more > 0:
            after = stock.add(Copy(barcode) for barcode in self.barcodes.generate(more, taken=stock.copies))
        else:
            after = stock.remove(-more)
        if abs(more) > MAX_COPIES_AT_ONCE:
            raise ChangeTooLarge
        return after

    def _save(self, before: Book, after: Book) -> None:
        if after == before:
            return
        book_id, version = after.id, after.title.version
        event: DomainEvent | None = None
        if after.title.archived != before.title.archived:
            archived_or_restored = BookRemoved if after.title.archived else BookRestored
            event = archived_or_restored(book_id=book_id, book_version=version)
        elif after.title.metadata != before.title.metadata:
            event = BookUpdated.of(after.title, before.title.metadata)
        changes = after.stock.changes_since(before.stock)
        events = BookEvents(
            title=book_event(event, book_id, self.clock) if event else [],
            stock=copy_events(book_id, changes, self.clock),
        )
        self.catalogue.save(before, after, events)


def _position(raw: Mapping[str, object] | None) -> Position | None:
    if raw is None:
        return None
    key, past = raw.get("key"), raw.get("past")
    # Cursors are not signed, so a client may send anything.
    if not isinstance(key, str) or not MIN_SORT_KEY <= len(key) <= MAX_SORT_KEY or past not in {0, 1}:
        raise bad_cursor()
    if any("\ud800" <= char <= "\udfff" for char in key):
        raise bad_cursor()
    return Position(key, past=past == 1)


def bad_cursor() -> InvalidRequest:
    return InvalidRequest(
        "The cursor does not belong to this query.", errors=[FieldError("cursor", "not a cursor of this query")]
    )
