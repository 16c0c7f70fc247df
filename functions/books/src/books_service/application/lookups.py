"""Reads that raise "not found", and the events of a write in their envelopes."""

from collections.abc import Callable

from books_service.application.ports import Catalogue
from books_service.domain.errors import BookNotFound
from books_service.domain.events import CopyStatusChanged
from books_service.domain.stock import CopyStatusChange, Stock
from books_service.domain.title import Book
from library_common.clock import Clock
from library_common.events import DomainEvent, Envelope, envelope_for
from library_common.ids import is_id


def get_book(catalogue: Catalogue, book_id: str) -> Book:
    """Raises BookNotFound, also for text that is not an id."""
    return _found(catalogue.book, book_id)


def get_stock(catalogue: Catalogue, book_id: str) -> Stock:
    """Raises BookNotFound, also for text that is not an id."""
    return _found(catalogue.stock, book_id)


def _found[T](look_up: Callable[[str], T | None], book_id: str) -> T:
    found = look_up(book_id) if is_id(book_id) else None
    if found is None:
        raise BookNotFound
    return found


def book_event(event: DomainEvent, book_id: str, clock: Clock) -> list[Envelope]:
    """One event about a title or its copies."""
    return [envelope_for(event, subject=f"book:{book_id}", at=clock.now())]


def copy_events(
    book_id: str, changes: list[CopyStatusChange], clock: Clock, loan_id: str | None = None
) -> list[Envelope]:
    """The event about changed copies; none when none changed."""
    return book_event(CopyStatusChanged.of(book_id, changes, loan_id), book_id, clock) if changes else []
