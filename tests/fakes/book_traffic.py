"""Everybody at one title at the same moment, and what has to be true at every moment of it.

Used on the catalogue in memory and on the real one: both have to stand the same traffic.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from books_service.application.criteria import Criteria
from books_service.application.ports import BookEvents, Catalogue, Position, StoredAnswer
from books_service.application.titles import TitleChange
from books_service.bootstrap import compose
from books_service.domain.errors import BooksError
from books_service.domain.stock import OUT, CopyStatus, Release, Reservation, Stock
from books_service.domain.title import Book, Metadata
from library_common.events import Envelope
from library_common.idempotency import Ticket
from library_common.ids import new_id
from library_common.problems import ServiceUnavailable
from library_common.versions import VersionConflict
from tests.support.clock import FixedClock
from tests.support.interleaving import Interleaver

BY_HAND = [CopyStatus.AVAILABLE, CopyStatus.LOST, CopyStatus.DAMAGED, CopyStatus.WITHDRAWN]


class SteppedCatalogue:
    """A catalogue at whose every call others may come in between, before and after it takes effect."""

    def __init__(self, inner: Catalogue, between: Interleaver, check: Callable[[], None]) -> None:
        self._inner = inner
        self._between = between
        self._check = check
        self.published: list[Envelope] = []
        self.lost_races = 0

    def book(self, book_id: str) -> Book | None:
        self._between.step()
        return self._inner.book(book_id)

    def stock(self, book_id: str) -> Stock | None:
        self._between.step()
        return self._inner.stock(book_id)

    def book_id_of(self, barcode: str) -> str | None:
        self._between.step()
        return self._inner.book_id_of(barcode)

    def find(self, criteria: Criteria, *, limit: int, start: Position | None) -> tuple[list[Book], Position | None]:
        self._between.step()
        return self._inner.find(criteria, limit=limit, start=start)

    def require_unanswered(self, ticket: Ticket, now: datetime) -> None:
        self._between.step()
        self._inner.require_unanswered(ticket, now)

    def add(self, book: Book, events: BookEvents, answer: StoredAnswer | None) -> None:
        self._write(lambda: self._inner.add(book, events, answer), [*events.title, *events.stock])

    def save(self, before: Book, after: Book, events: BookEvents, answer: StoredAnswer | None = None) -> None:
        self._write(lambda: self._inner.save(before, after, events, answer), [*events.title, *events.stock])

    def save_stock(self, before: Stock, after: Stock, events: Sequence[Envelope]) -> None:
        self._write(lambda: self._inner.save_stock(before, after, events), events)

    def reserve(self, reservation: Reservation, events: Sequence[Envelope]) -> None:
        self._write(lambda: self._inner.reserve(reservation, events), events)

    def release(self, release: Release, events: Sequence[Envelope]) -> None:
        self._write(lambda: self._inner.release(release, events), events)

    def _write(self, write: Callable[[], None], events: Sequence[Envelope]) -> None:
        self._between.step()
        try:
            write()
        except VersionConflict:
            self.lost_races += 1
            raise
        self.published.extend(events)
        self._check()
        self._between.step()


class Traffic:
    """One title with a few copies; loans reserve and release, librarians edit, some die in between.

    Every request may be sent several times, and the orders of a loan's requests are shuffled too.
    """

    def __init__(self, catalogue: Catalogue, seed: int) -> None:
        self.dice = random.Random(seed)
        self._catalogue = catalogue
        self._between = Interleaver(self.dice, crash=self.dice.choice([0.0, 0.0, 0.05]))
        self.stepped = SteppedCatalogue(catalogue, self._between, self.check)
        self.book_id = new_id()
        self._cases = compose(
            self.stepped,
            clock=FixedClock(),
            random_below=self.dice.randrange,
            sleep=lambda _: self._between.step(),
            new_book_id=lambda: self.book_id,
        )
        self.taken: dict[str, set[str]] = {}
        self.refused: set[str] = set()
        self.released: set[str] = set()

    def run(self) -> None:
        """Sends everything, then gives back what loans that were released may not hold; checks throughout."""
        metadata = Metadata(title="Traffic", author="Everybody")
        self._cases.titles.add(metadata, self.dice.randrange(4))
        started_with = self._stock()
        loans = [f"L{n}" for n in range(self.dice.randrange(1, 6))]
        requests: list[Callable[[], object]] = []
        for loan in loans:
            requests += [self._reserve(loan)] * self.dice.randrange(1, 4)
            requests += [self._release(loan)] * self.dice.randrange(3)
        requests += [self._edit() for _ in range(self.dice.randrange(4))]
        self.dice.shuffle(requests)
        self._between.run([self._answered(request) for request in requests])

        for loan in loans:
            assert len(self.taken.get(loan, set())) <= 1, f"{loan} was told of several copies"
            if loan in self.released:
                assert loan not in self._stock().held, f"{loan} was released and holds a copy"
        self._replay(started_with)

    def check(self) -> None:
        """What is true at every moment."""
        stock = self._stock()
        lent = [held.barcode for held in stock.held.values()]
        assert len(lent) == len(set(lent)), "two loans hold one copy"
        assert set(lent) == {copy.barcode for copy in stock.copies.values() if copy.status in OUT}
        assert sum(stock.by_status().values()) == stock.total
        assert not set(stock.held) & set(stock.released), "a loan is held and released at once"
        assert not (stock.archived and stock.out), "archived with copies out"
        assert not self.refused & set(stock.held), "a loan that was refused holds a copy"
        for barcode in stock.copies:
            assert self._catalogue.book_id_of(barcode) == self.book_id

    def _replay(self, started_with: Stock) -> None:
        """The events alone, in the order they were written, tell the state of every copy."""
        told: dict[str, str | None] = {barcode: str(copy.status) for barcode, copy in started_with.copies.items()}
        for envelope in self.stepped.published:
            for change in envelope.data["copies"] if envelope.type == "CopyStatusChanged" else []:
                assert told.get(change["barcode"]) == change.get("previous"), "an event that does not follow"
                told[change["barcode"]] = change.get("status")
        there = {barcode: str(copy.status) for barcode, copy in self._stock().copies.items()}
        assert {barcode: status for barcode, status in told.items() if status} == there

    def _stock(self) -> Stock:
        stock = self._catalogue.stock(self.book_id)
        assert stock is not None
        return stock

    def _answered(self, request: Callable[[], object]) -> Callable[[], None]:
        def act() -> None:
            with suppress(BooksError, ServiceUnavailable):
                request()

        return act

    def _reserve(self, loan: str) -> Callable[[], object]:
        def act() -> None:
            try:
                reservation = self._cases.reservations.reserve(self.book_id, loan)
            except BooksError:
                self.refused.add(loan)
                raise
            self.taken.setdefault(loan, set()).add(reservation.barcode)

        return act

    def _release(self, loan: str) -> Callable[[], object]:
        def act() -> None:
            self._cases.reservations.release(self.book_id, loan, damaged=self.dice.random() < 0.2)
            self.released.add(loan)

        return act

    def _edit(self) -> Callable[[], object]:
        copies, titles = self._cases.copies, self._cases.titles
        number = self.dice.randrange(5)

        def one_copy() -> object:
            barcodes = sorted(self._stock().copies)
            if not barcodes:
                return None
            change = {"status": self.dice.choice(BY_HAND)}
            return copies.edit(self.book_id, self.dice.choice(barcodes), change, lambda _: None)

        return self.dice.choice(
            [
                one_copy,
                lambda: titles.change(self.book_id, TitleChange({}, number), lambda _: None),
                lambda: titles.change(self.book_id, TitleChange({"title": f"Traffic {number}"}, None), lambda _: None),
                lambda: copies.correct_availability(self.book_id, number, lambda _: None),
                lambda: copies.add(self.book_id, count=1),
                lambda: titles.archive(self.book_id),
                lambda: titles.restore(self.book_id),
            ]
        )
