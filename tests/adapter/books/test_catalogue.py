"""What every catalogue promises: reads see finished writes, writes happen whole or not at all."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from books_service.application.lookups import copy_events
from books_service.application.ports import AlreadyAnswered, BarcodeExists, BookEvents, Catalogue, StoredAnswer
from books_service.domain.stock import Copy, CopyStatus, Held, Stock
from books_service.domain.title import Book, Price
from library_common.access import Caller
from library_common.idempotency import LIFETIME, Ticket
from library_common.ids import new_id
from library_common.problems import IdempotencyKeyReused
from library_common.versions import VersionConflict
from tests.fakes.books import a_book, a_description
from tests.support.clock import NOON, FixedClock

pytestmark = pytest.mark.adapter

NOTHING = BookEvents()
NOW = int(NOON.timestamp())


def in_catalogue(catalogue: Catalogue, book: Book) -> Book:
    catalogue.add(book, NOTHING, None)
    return book


def ticket(body: str = "{}") -> Ticket:
    made = Ticket.of(Caller(kind="person", id="desk"), "POST /api/books", "key", body)
    assert made is not None
    return made


def first(barcodes: Sequence[str]) -> str:
    return min(barcodes)


def reserve(catalogue: Catalogue, stock: Stock, loan: str, barcode: str | None = None) -> str:
    reservation = stock.reserve(loan, barcode=barcode, choose=first, now=NOON)
    catalogue.reserve(reservation, copy_events(stock.book_id, reservation.changes, FixedClock(), loan))
    return reservation.barcode


def stock_in(catalogue: Catalogue, book: Book) -> Stock:
    found = catalogue.stock(book.title.id)
    assert found is not None
    return found


class TestAdding:
    def test_everything_comes_back_as_it_was(self, catalogue: Catalogue) -> None:
        book = in_catalogue(
            catalogue,
            a_book(
                [Copy("c1", shelf="Ω 1"), Copy("c2", CopyStatus.DAMAGED)],
                title="Ὀδύσσεια",
                isbn="9780306406157",
                published_year=1969,
                genre="Fiction",
                language="en",
                publisher="Ace",
                edition="1st",
                subjects=("Gender", "Winter"),
                description="One line.\nAnother.",
                cover_url="https://example.org/c.jpg",
                replacement_price=Price(1250, "USD"),
            ),
        )
        assert catalogue.book(book.title.id) == book
        assert catalogue.stock(book.title.id) == book.stock
        assert catalogue.book_id_of("c1") == catalogue.book_id_of("c2") == book.title.id

    def test_the_barest_title(self, catalogue: Catalogue) -> None:
        book = in_catalogue(catalogue, a_book())
        assert catalogue.book(book.title.id) == book

    def test_what_is_not_there(self, catalogue: Catalogue) -> None:
        assert catalogue.book(new_id()) is None
        assert catalogue.stock(new_id()) is None
        assert catalogue.book_id_of("c1") is None

    def test_a_barcode_is_one_copys_only(self, catalogue: Catalogue) -> None:
        in_catalogue(catalogue, a_book([Copy("c1")]))
        second = a_book([Copy("c0"), Copy("c1")])
        with pytest.raises(BarcodeExists) as refused:
            catalogue.add(second, NOTHING, None)
        assert refused.value.barcode == "c1"
        assert catalogue.book(second.title.id) is None, "all or nothing"
        assert catalogue.book_id_of("c0") is None

    def test_the_largest_title_fits(self, catalogue: Catalogue) -> None:
        words = [f"word{n}" for n in range(60)]
        book = a_book(
            [Copy(f"c{n}") for n in range(50)],
            title=" ".join(words),
            isbn="9780306406157",
            genre="Fiction",
            language="en",
            subjects=tuple("x" * 200 for _ in range(20)),
            description="ä" * 4000,
        )
        catalogue.add(book, NOTHING, StoredAnswer(ticket(), "{}", NOON))
        assert catalogue.book(book.title.id) == book


class TestIdempotentRequests:
    def test_the_answer_is_kept_with_the_effect(self, catalogue: Catalogue) -> None:
        catalogue.require_unanswered(ticket(), NOON)
        catalogue.add(a_book(), NOTHING, StoredAnswer(ticket(), '{"a":1}', NOON))
        with pytest.raises(AlreadyAnswered) as answered:
            catalogue.require_unanswered(ticket(), NOON)
        assert answered.value.json == '{"a":1}'
        catalogue.require_unanswered(ticket(), NOON + LIFETIME * 2)

    def test_a_twin_is_not_carried_out(self, catalogue: Catalogue) -> None:
        catalogue.add(a_book(), NOTHING, StoredAnswer(ticket(), '{"a":1}', NOON))
        twin = a_book()
        with pytest.raises(AlreadyAnswered) as answered:
            catalogue.add(twin, NOTHING, StoredAnswer(ticket(), '{"a":2}', NOON))
        assert answered.value.json == '{"a":1}'
        assert catalogue.book(twin.title.id) is None

    def test_the_answer_counts_before_any_other_reason(self, catalogue: Catalogue) -> None:
        # The twin has the same barcode, too.
        book = in_catalogue(catalogue, a_book())
        after = Book(book.title, book.stock.add([Copy("c1")]))
        catalogue.save(book, after, NOTHING, StoredAnswer(ticket(), '{"a":1}', NOON))
        with pytest.raises(AlreadyAnswered):
            catalogue.save(book, after, NOTHING, StoredAnswer(ticket(), '{"a":2}', NOON))

    def test_the_key_with_another_request_is_refused(self, catalogue: Catalogue) -> None:
        catalogue.add(a_book(), NOTHING, StoredAnswer(ticket(), "{}", NOON))
        with pytest.raises(IdempotencyKeyReused):
            catalogue.require_unanswered(ticket("other"), NOON)
        with pytest.raises(IdempotencyKeyReused):
            catalogue.add(a_book(), NOTHING, StoredAnswer(ticket("other"), "{}", NOON))

    def test_a_forgotten_key_may_be_used_again(self, catalogue: Catalogue) -> None:
        catalogue.add(a_book(), NOTHING, StoredAnswer(ticket(), "{}", NOON))
        later = NOON + LIFETIME * 2
        catalogue.add(a_book(), NOTHING, StoredAnswer(ticket("other"), "{}", later))
        with pytest.raises(AlreadyAnswered):
            catalogue.require_unanswered(ticket("other"), later)


class TestSaving:
    def test_title_and_copies_together(self, catalogue: Catalogue) -> None:
        before = in_catalogue(catalogue, a_book([Copy("c1"), Copy("c2")]))
        after = Book(
            before.title.described_as(a_description(title="Winter", genre="Fiction"), NOON),
            before.stock.titled("Winter", None).remove(1).add([Copy("c3")]),
        )
        catalogue.save(before, after, NOTHING)
        assert catalogue.book(before.title.id) == after
        assert catalogue.book_id_of("c1") is None
        assert catalogue.book_id_of("c3") == before.title.id
        in_catalogue(catalogue, a_book([Copy("c1")]))

    def test_only_if_nobody_was_faster(self, catalogue: Catalogue) -> None:
        before = in_catalogue(catalogue, a_book([Copy("c1")]))
        faster = Book(before.title.described_as(a_description(title="Faster"), NOON), before.stock)
        catalogue.save(before, faster, NOTHING)
        slower = Book(before.title.described_as(a_description(title="Slower"), NOON), before.stock.add([Copy("c2")]))
        with pytest.raises(VersionConflict):
            catalogue.save(before, slower, NOTHING)
        assert catalogue.book(before.title.id) == faster
        assert catalogue.book_id_of("c2") is None

    def test_a_reservation_in_between_is_noticed(self, catalogue: Catalogue) -> None:
        before = in_catalogue(catalogue, a_book([Copy("c1")]))
        reserve(catalogue, before.stock, "L1")
        with pytest.raises(VersionConflict):
            catalogue.save(before, Book(before.title.archive(NOON), before.stock.archive()), NOTHING)
        with pytest.raises(VersionConflict) as lost:
            catalogue.save_stock(before.stock, before.stock.with_available(0), [])
        assert isinstance(lost.value.current, Stock)
        assert lost.value.current.held == {"L1": Held("c1", NOW)}

    def test_describing_does_not_mind_lending(self, catalogue: Catalogue) -> None:
        before = in_catalogue(catalogue, a_book([Copy("c1")]))
        reserve(catalogue, before.stock, "L1")
        after = Book(before.title.described_as(a_description(genre="Fiction"), NOON), before.stock)
        catalogue.save(before, after, NOTHING)
        assert stock_in(catalogue, before).out == 1

    def test_a_barcode_taken_meanwhile(self, catalogue: Catalogue) -> None:
        before = in_catalogue(catalogue, a_book())
        in_catalogue(catalogue, a_book([Copy("c1")]))
        with pytest.raises(BarcodeExists):
            catalogue.save(before, Book(before.title, before.stock.add([Copy("c1")])), NOTHING)
        assert stock_in(catalogue, before).total == 0

    def test_single_copies(self, catalogue: Catalogue) -> None:
        before = in_catalogue(catalogue, a_book([Copy("c1"), Copy("c2")])).stock
        after = before.with_copy(Copy("c1", CopyStatus.LOST, "B 2"))
        catalogue.save_stock(before, after, [])
        assert catalogue.stock(before.book_id) == after
        with pytest.raises(VersionConflict) as lost:
            catalogue.save_stock(before, before.with_copy(Copy("c2", CopyStatus.LOST)), [])
        assert lost.value.current == after


class TestReserving:
    def test_a_copy(self, catalogue: Catalogue) -> None:
        book = in_catalogue(catalogue, a_book([Copy("c1", shelf="A 1"), Copy("c2")]))
        reserve(catalogue, book.stock, "L1")
        stock = stock_in(catalogue, book)
        assert stock.copies["c1"] == Copy("c1", CopyStatus.ON_LOAN, "A 1")
        assert stock.held == {"L1": Held("c1", NOW)}
        assert stock.version == 2

    def test_different_loans_do_not_stand_in_each_others_way(self, catalogue: Catalogue) -> None:
        # All have looked before any of them writes.
        book = in_catalogue(catalogue, a_book([Copy(f"c{n}") for n in range(5)]))
        for n in range(5):
            reserve(catalogue, book.stock, f"L{n}", f"c{n}")
        stock = stock_in(catalogue, book)
        assert (stock.available, stock.out, stock.version) == (0, 5, 6)

    def test_one_copy_goes_to_one_loan(self, catalogue: Catalogue) -> None:
        book = in_catalogue(catalogue, a_book([Copy("c1"), Copy("c2")]))
        reserve(catalogue, book.stock, "L1", "c1")
        with pytest.raises(VersionConflict) as lost:
            reserve(catalogue, book.stock, "L2", "c1")
        assert lost.value.current == stock_in(catalogue, book)
        assert isinstance(lost.value.current, Stock)
        assert "L2" not in lost.value.current.held

    def test_one_loan_gets_one_copy(self, catalogue: Catalogue) -> None:
        # Two tries of the same loan that chose different copies.
        book = in_catalogue(catalogue, a_book([Copy("c1"), Copy("c2")]))
        reserve(catalogue, book.stock, "L1", "c1")
        with pytest.raises(VersionConflict):
            reserve(catalogue, book.stock, "L1", "c2")
        assert stock_in(catalogue, book).out == 1

    def test_not_after_a_release(self, catalogue: Catalogue) -> None:
        book = in_catalogue(catalogue, a_book([Copy("c1")]))
        catalogue.release(book.stock.release("L1", barcode=None, damaged=False, now=NOON), [])
        with pytest.raises(VersionConflict) as lost:
            reserve(catalogue, book.stock, "L1")
        assert isinstance(lost.value.current, Stock)
        assert "L1" in lost.value.current.released
        assert lost.value.current.available == 1

    def test_not_of_an_archived_title(self, catalogue: Catalogue) -> None:
        book = in_catalogue(catalogue, a_book([Copy("c1")]))
        catalogue.save(book, Book(book.title.archive(NOON), book.stock.archive()), NOTHING)
        with pytest.raises(VersionConflict):
            reserve(catalogue, book.stock, "L1")
        assert stock_in(catalogue, book).out == 0

    def test_not_a_copy_that_was_removed(self, catalogue: Catalogue) -> None:
        book = in_catalogue(catalogue, a_book([Copy("c1")]))
        catalogue.save(book, Book(book.title, book.stock.remove(1)), NOTHING)
        with pytest.raises(VersionConflict):
            reserve(catalogue, book.stock, "L1")
        assert stock_in(catalogue, book).copies == {}

    @pytest.mark.parametrize("loan", ["a.b", "#x", ":y", "copies", "0", "a-b_c"])
    def test_any_name_of_a_loan(self, catalogue: Catalogue, loan: str) -> None:
        book = in_catalogue(catalogue, a_book([Copy("status"), Copy("loan-1")]))
        reserve(catalogue, book.stock, loan, "status")
        stock = stock_in(catalogue, book)
        assert stock.held == {loan: Held("status", NOW)}
        catalogue.release(stock.release(loan, barcode=None, damaged=False, now=NOON), [])
        assert stock_in(catalogue, book).available == 2


class TestReleasing:
    @pytest.mark.parametrize(("damaged", "after"), [(False, CopyStatus.AVAILABLE), (True, CopyStatus.DAMAGED)])
    def test_a_copy(self, catalogue: Catalogue, damaged: bool, after: CopyStatus) -> None:
        book = in_catalogue(catalogue, a_book([Copy("c1", shelf="A 1")]))
        reserve(catalogue, book.stock, "L1")
        release = stock_in(catalogue, book).release("L1", barcode=None, damaged=damaged, now=NOON)
        catalogue.release(release, [])
        stock = stock_in(catalogue, book)
        assert stock.copies == {"c1": Copy("c1", after, "A 1")}
        assert stock.held == {}
        assert set(stock.released) == {"L1"}
        with pytest.raises(VersionConflict):
            catalogue.release(release, [])
        assert stock_in(catalogue, book) == stock

    def test_not_of_a_copy_that_another_loan_has_by_now(self, catalogue: Catalogue) -> None:
        book = in_catalogue(catalogue, a_book([Copy("c1")]))
        reserve(catalogue, book.stock, "L1")
        late = stock_in(catalogue, book).release("L1", barcode=None, damaged=False, now=NOON)
        catalogue.release(late, [])
        reserve(catalogue, stock_in(catalogue, book), "L2")
        with pytest.raises(VersionConflict):
            catalogue.release(late, [])
        assert stock_in(catalogue, book).held == {"L2": Held("c1", NOW)}

    def test_a_lost_copy_stays_lost(self, catalogue: Catalogue) -> None:
        book = in_catalogue(catalogue, a_book([Copy("c1", CopyStatus.LOST)], held={"L1": Held("c1", NOW)}))
        catalogue.release(book.stock.release("L1", barcode=None, damaged=False, now=NOON), [])
        stock = stock_in(catalogue, book)
        assert stock.copies["c1"].status == CopyStatus.LOST
        assert stock.held == {}

    def test_not_if_the_copys_state_changed_meanwhile(self, catalogue: Catalogue) -> None:
        book = in_catalogue(catalogue, a_book([Copy("c1", CopyStatus.ON_LOAN)], held={"L1": Held("c1", NOW)}))
        lost = replace(book.stock, copies={"c1": Copy("c1", CopyStatus.LOST)}, version=2)
        catalogue.save_stock(book.stock, lost, [])
        with pytest.raises(VersionConflict) as raced:
            catalogue.release(book.stock.release("L1", barcode=None, damaged=False, now=NOON), [])
        assert raced.value.current == lost

    def test_nothing_is_remembered_if_it_is_nothing_still(self, catalogue: Catalogue) -> None:
        book = in_catalogue(catalogue, a_book([Copy("c1")]))
        release = book.stock.release("L1", barcode=None, damaged=False, now=NOON)
        reserve(catalogue, book.stock, "L1")
        with pytest.raises(VersionConflict):
            catalogue.release(release, [])
        assert stock_in(catalogue, book).released == {}

    def test_forgets_what_is_too_old(self, catalogue: Catalogue) -> None:
        book = a_book([Copy("c1"), Copy("c2")])
        released = {"old.1": NOW - 1, "old-2": NOW, "young": NOW + 1}
        in_catalogue(catalogue, Book(book.title, replace(book.stock, released=released)))
        stock = stock_in(catalogue, book)
        catalogue.release(stock.release("L1", barcode=None, damaged=False, now=NOON), [])
        assert set(stock_in(catalogue, book).released) == {"young", "L1"}
