"""What the use cases need from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from books_service.application.criteria import Criteria
from books_service.domain.book import Book
from books_service.domain.stock import Release, Reservation, Stock
from library_common.events import Envelope
from library_common.idempotency import Ticket


@dataclass(frozen=True)
class Answer:
    """The answer of an idempotent request, to be kept with its effect. `json` is the response body."""

    ticket: Ticket
    json: str
    now: datetime


@dataclass(frozen=True)
class Happened:
    """The events of one write: those about the title, those about its copies."""

    title: Sequence[Envelope] = ()
    stock: Sequence[Envelope] = ()


@dataclass(frozen=True)
class Position:
    """A place in the list of titles: at the entry `key`, or just past it."""

    key: str
    past: bool


class LostRace(Exception):
    """Somebody else's write came first; nothing was written. `stock` is how it is now, when the store told."""

    def __init__(self, stock: Stock | None = None) -> None:
        super().__init__("another write came first")
        self.stock = stock


class BarcodeExists(Exception):
    """Another copy has this barcode; nothing was written."""

    def __init__(self, barcode: str) -> None:
        super().__init__(barcode)
        self.barcode = barcode


class AnsweredBefore(Exception):
    """The idempotent request was carried out meanwhile; nothing was written. `json` is its answer."""

    def __init__(self, json: str) -> None:
        super().__init__("answered before")
        self.json = json


class Catalogue(Protocol):
    """Where titles and copies are kept. Reads see every write that was finished before them."""

    def book(self, book_id: str) -> Book | None: ...

    def stock(self, book_id: str) -> Stock | None: ...

    def book_id_of(self, barcode: str) -> str | None: ...

    def find(self, criteria: Criteria, *, limit: int, start: Position | None) -> tuple[list[Book], Position | None]:
        """Matching titles in order from `start` on, and where to go on; None at the end."""
        ...

    def earlier_answer(self, ticket: Ticket, now: datetime) -> str | None:
        """Raises IdempotencyKeyReused."""
        ...

    def add(self, book: Book, happened: Happened, answer: Answer | None) -> None:
        """All of a new title at once. Raises BarcodeExists, AnsweredBefore."""
        ...

    def save(self, before: Book, after: Book, happened: Happened, answer: Answer | None = None) -> None:
        """All differences at once, if neither title nor stock was written since `before` was read.

        Raises LostRace, BarcodeExists, AnsweredBefore, and ChangeTooLarge when it cannot be done at once.
        """
        ...

    def save_stock(self, before: Stock, after: Stock, events: Sequence[Envelope]) -> None:
        """The stock, its copies being the same ones. Raises LostRace."""
        ...

    def reserve(self, book_id: str, reservation: Reservation, events: Sequence[Envelope]) -> None:
        """Lends the copy if it is still available and the loan has neither a copy nor been released.

        Raises LostRace with the stock as it is now.
        """
        ...

    def release(self, book_id: str, release: Release, events: Sequence[Envelope]) -> None:
        """Ends the loan's claim, if that is still as it was read. Raises LostRace with the stock as it is now."""
        ...
