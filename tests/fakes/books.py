"""The catalogue in memory, and the books service on top of it."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from books_service.application.criteria import Criteria, sort_key
from books_service.application.ports import AlreadyAnswered, BarcodeExists, BookEvents, Position, StoredAnswer
from books_service.bootstrap import UseCases, compose
from books_service.domain.stock import Copy, CopyStatus, Held, Release, Reservation, Stock
from books_service.domain.title import Book, Metadata, Title
from library_common.events import Envelope
from library_common.idempotency import Ticket
from library_common.ids import new_id
from library_common.versions import VersionConflict
from tests.support.clock import NOON, FixedClock


class MemoryCatalogue:
    """Implements `application.ports.Catalogue`.

    meanwhile: each is called once, just before a write of whoever is being tested: somebody was faster.
    """

    def __init__(self) -> None:
        self.books: dict[str, Book] = {}
        self.barcodes: dict[str, str] = {}
        self.answers: dict[str, dict[str, Any]] = {}
        self.published: list[Envelope] = []
        self.meanwhile: list[Callable[[], object]] = []

    def book(self, book_id: str) -> Book | None:
        return self.books.get(book_id)

    def stock(self, book_id: str) -> Stock | None:
        book = self.books.get(book_id)
        return book.stock if book else None

    def book_id_of(self, barcode: str) -> str | None:
        return self.barcodes.get(barcode)

    def find(self, criteria: Criteria, *, limit: int, start: Position | None) -> tuple[list[Book], Position | None]:
        placed = sorted(
            ((sort_key(book.title.metadata.title, book.title.id), book) for book in self.books.values()),
            key=lambda entry: entry[0],
            reverse=criteria.descending,
        )
        if start is not None:
            placed = [entry for entry in placed if _is_at_or_past(entry[0], start, criteria.descending)]
        found = [entry for entry in placed if criteria.matches(entry[1])]
        page = [book for _, book in found[:limit]]
        return page, Position(found[limit - 1][0], past=True) if len(found) > limit else None

    def require_unanswered(self, ticket: Ticket, now: datetime) -> None:
        answer = ticket.stored_answer(self.answers.get(ticket.record_key), now)
        if answer is not None:
            raise AlreadyAnswered(answer)

    def add(self, book: Book, events: BookEvents, answer: StoredAnswer | None) -> None:
        self._let_others_go_first()
        if answer is not None:
            self.require_unanswered(answer.ticket, answer.now)
        self._claim(set(book.stock.copies), book.title.id)
        self._keep(book, answer, events.title, events.stock)

    def save(self, before: Book, after: Book, events: BookEvents, answer: StoredAnswer | None = None) -> None:
        self._let_others_go_first()
        if answer is not None:
            self.require_unanswered(answer.ticket, answer.now)
        now = self.books[after.title.id]
        stale_title = after.title != before.title and now.title.version != before.title.version
        stale_stock = after.stock != before.stock and now.stock.version != before.stock.version
        if stale_title or stale_stock:
            raise VersionConflict
        old, new = set(before.stock.copies), set(after.stock.copies)
        self._claim(new - old, after.title.id)
        for barcode in old - new:
            del self.barcodes[barcode]
        merged = Book(
            after.title if after.title != before.title else now.title,
            after.stock if after.stock != before.stock else now.stock,
        )
        self._keep(merged, answer, events.title, events.stock)

    def save_stock(self, before: Stock, after: Stock, events: Sequence[Envelope]) -> None:
        self._let_others_go_first()
        now = self.books[after.book_id]
        if now.stock.version != before.version:
            raise VersionConflict(now.stock)
        self._keep(Book(now.title, after), None, events)

    def reserve(self, reservation: Reservation, events: Sequence[Envelope]) -> None:
        self._let_others_go_first()
        stock, loan_id, held = self.books[reservation.stock.book_id].stock, reservation.loan_id, reservation.held
        copy = stock.copies.get(held.barcode)
        free = copy is not None and copy.status == CopyStatus.AVAILABLE
        if not free or loan_id in stock.held or loan_id in stock.released or stock.archived:
            raise VersionConflict(stock)
        lent = _with_status(stock, held.barcode, CopyStatus.ON_LOAN)
        self._keep_stock(replace(lent, held={**stock.held, loan_id: held}), reservation.expired, events)

    def release(self, release: Release, events: Sequence[Envelope]) -> None:
        self._let_others_go_first()
        stock, loan_id = self.books[release.stock.book_id].stock, release.loan_id
        back = stock
        if release.held is None:
            if loan_id in stock.held:
                raise VersionConflict(stock)
        else:
            barcode = release.held.barcode
            unchanged = barcode in stock.copies and stock.copies[barcode].status == release.before
            if stock.held.get(loan_id, Held("", 0)).barcode != barcode or not unchanged:
                raise VersionConflict(stock)
            assert release.after is not None
            back = _with_status(stock, barcode, release.after)
            back = replace(back, held={loan: held for loan, held in stock.held.items() if loan != loan_id})
        if release.remember_until is not None:
            back = replace(back, released={**back.released, loan_id: release.remember_until})
        self._keep_stock(back, release.expired, events)

    def _let_others_go_first(self) -> None:
        if self.meanwhile:
            (somebody, *later), self.meanwhile = self.meanwhile, []
            somebody()
            self.meanwhile = later

    def _claim(self, barcodes: set[str], book_id: str) -> None:
        for barcode in sorted(barcodes):
            if barcode in self.barcodes:
                raise BarcodeExists(barcode)
        self.barcodes |= dict.fromkeys(barcodes, book_id)

    def _keep_stock(self, stock: Stock, expired: Sequence[str], events: Sequence[Envelope]) -> None:
        released = {loan_id: until for loan_id, until in stock.released.items() if loan_id not in expired}
        stock = replace(stock, released=released, version=stock.version + 1)
        self._keep(Book(self.books[stock.book_id].title, stock), None, events)

    def _keep(self, book: Book, answer: StoredAnswer | None, *events: Sequence[Envelope]) -> None:
        self.books[book.title.id] = book
        if answer is not None:
            self.answers[answer.ticket.record_key] = answer.ticket.record(answer.json, answer.now).item
        for some in events:
            self.published.extend(some)


class Library:
    """The books service on a catalogue, with a clock that stands still.

    numbers: what the dice show next; after that they are random, but the same for the same seed.
    """

    def __init__(self, catalogue: MemoryCatalogue | None = None, seed: int = 1) -> None:
        self.catalogue = catalogue or MemoryCatalogue()
        self.clock = FixedClock()
        self.numbers: list[int] = []
        self._dice = random.Random(seed)
        self.use_cases: UseCases = compose(
            self.catalogue, clock=self.clock, random_below=self._random_below, sleep=lambda _: None
        )

    def add(self, copies: int = 1, **described: Any) -> str:
        """The id of a new title."""
        return self.use_cases.titles.add(a_description(**described), copies).id

    def stock(self, book_id: str) -> Stock:
        return self.catalogue.books[book_id].stock

    def _random_below(self, below: int) -> int:
        return self.numbers.pop(0) if self.numbers else self._dice.randrange(below)


def a_description(**changes: Any) -> Metadata:
    return Metadata(**({"title": "The Left Hand of Darkness", "author": "Ursula K. Le Guin"} | changes))


def a_book(
    copies: Sequence[Copy] = (), *, held: dict[str, Held] | None = None, book_id: str | None = None, **described: Any
) -> Book:
    """A title with these copies, not yet in any catalogue."""
    metadata = a_description(**described)
    title = Title(book_id or new_id(), metadata, created_at=NOON, updated_at=NOON)
    return Book(
        title, Stock(title.id, metadata.title[:100], {c.barcode: c for c in copies}, held or {}, genre=metadata.genre)
    )


def _is_at_or_past(key: str, start: Position, descending: bool) -> bool:
    if key == start.key:
        return not start.past
    return key < start.key if descending else key > start.key


def _with_status(stock: Stock, barcode: str, status: str) -> Stock:
    return replace(stock, copies={**stock.copies, barcode: replace(stock.copies[barcode], status=status)})
