"""What the use cases need from outside."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from books_service.application.criteria import Criteria
from books_service.domain.stock import Release, Reservation, Stock
from books_service.domain.title import Book
from library_common.events import Envelope
from library_common.idempotency import Ticket


@dataclass(frozen=True)
class IdempotentRequest[T]:
    """A request whose answer is stored with its effect. render: writes the response body for what was done."""

    ticket: Ticket
    render: Callable[[T], str]

    @classmethod
    def of(cls, ticket: Ticket | None, render: Callable[[T], str]) -> "IdempotentRequest[T] | None":
        """None for a request without a ticket."""
        return cls(ticket, render) if ticket else None


@dataclass(frozen=True)
class StoredAnswer:
    """The answer of an idempotent request. json: the response body."""

    ticket: Ticket
    json: str
    now: datetime


@dataclass(frozen=True)
class BookEvents:
    """The events of one write: those about the title, those about its copies."""

    title: Sequence[Envelope] = ()
    stock: Sequence[Envelope] = ()


@dataclass(frozen=True)
class Position:
    """A place in the list of titles: at the entry `key`, or just past it."""

    key: str
    past: bool


class BarcodeExists(Exception):
    """Another copy has this barcode; nothing was written."""

    def __init__(self, barcode: str) -> None:
        super().__init__(barcode)
        self.barcode = barcode


class AlreadyAnswered(Exception):
    """The idempotent request was carried out before; nothing was written. json: its answer."""

    def __init__(self, json: str) -> None:
        super().__init__("already answered")
        self.json = json


class Catalogue(Protocol):
    """The store of titles and copies. Reads see every write that was finished before them."""

    def book(self, book_id: str) -> Book | None: ...

    def stock(self, book_id: str) -> Stock | None: ...

    def book_id_of(self, barcode: str) -> str | None: ...

    def find(self, criteria: Criteria, *, limit: int, start: Position | None) -> tuple[list[Book], Position | None]:
        """Matching titles in order from `start` on, and where the next page starts; None at the end."""
        ...

    def require_unanswered(self, ticket: Ticket, now: datetime) -> None:
        """Raises AlreadyAnswered, IdempotencyKeyReused."""
        ...

    def add(self, book: Book, events: BookEvents, answer: StoredAnswer | None) -> None:
        """Writes all of a new title at once. Raises BarcodeExists, AlreadyAnswered, IdempotencyKeyReused."""
        ...

    def save(self, before: Book, after: Book, events: BookEvents, answer: StoredAnswer | None = None) -> None:
        """Writes all differences at once, if neither title nor stock was written since `before` was read.

        Raises VersionConflict, BarcodeExists, AlreadyAnswered, IdempotencyKeyReused, and ChangeTooLarge when it does
        not fit into one write.
        """
        ...

    def save_stock(self, before: Stock, after: Stock, events: Sequence[Envelope]) -> None:
        """Writes a stock with the same barcodes. Raises VersionConflict with the stock as it is now."""
        ...

    def reserve(self, reservation: Reservation, events: Sequence[Envelope]) -> None:
        """Lends the copy if it is still available and the loan neither holds a copy nor was released.

        Raises VersionConflict with the stock as it is now.
        """
        ...

    def release(self, release: Release, events: Sequence[Envelope]) -> None:
        """Ends the loan's claim if it is still as it was read. Raises VersionConflict with the stock as it is now."""
        ...
