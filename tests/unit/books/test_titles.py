"""Adding, describing, archiving and restoring titles."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from books_service.application.ports import AlreadyAnswered, IdempotentRequest
from books_service.application.titles import MAX_COPIES_AT_ONCE, TitleChange
from books_service.domain.barcodes import new_barcode
from books_service.domain.errors import (
    BookArchived,
    BookFieldsRefused,
    BookNotFound,
    ChangeTooLarge,
    CopiesInUse,
    CopiesOut,
    TooManyCopies,
)
from books_service.domain.title import Book, Price
from books_service.schemas import AvailabilityView, BookView
from library_common.access import Caller
from library_common.idempotency import Ticket
from library_common.ids import new_id
from library_common.problems import IdempotencyKeyReused, ServiceUnavailable, StaleVersion
from tests.fakes.books import Library, a_description

pytestmark = pytest.mark.unit

DESK = Caller(kind="person", id="desk")


def any_version(_: int) -> None:
    """The client did not say which version it wants."""


def only_version(wanted: int) -> Callable[[int], None]:
    def check(actual: int) -> None:
        if actual != wanted:
            raise StaleVersion("changed")

    return check


def some(**fields: Any) -> TitleChange:
    copies = fields.pop("copies", None)
    return TitleChange(fields, copies)


def request(body: str) -> IdempotentRequest[Book]:
    ticket = Ticket.of(DESK, "POST /api/books", "key", body)
    assert ticket is not None
    return IdempotentRequest(ticket, lambda book: book.id)


class TestAdding:
    def test_a_title_with_copies(self, library: Library) -> None:
        book = library.use_cases.titles.add(
            a_description(subjects=("Gender",), replacement_price=Price(1250, "USD")), 3
        )
        assert (book.stock.total, book.stock.available, book.title.version, book.title.archived) == (3, 3, 1, False)
        price = BookView.of(book).replacement_price
        assert price is not None
        assert price.model_dump() == {"amount": "12.50", "currency": "USD"}
        assert library.use_cases.titles.read(book.id) == book
        assert set(library.catalogue.barcodes) == set(library.stock(book.id).copies)

    def test_is_announced(self, library: Library) -> None:
        book_id = library.add(copies=2, title="x" * 300)
        (envelope,) = library.catalogue.published
        assert (envelope.type, envelope.subject) == ("BookAdded", f"book:{book_id}")
        assert envelope.data == {
            "book_id": book_id,
            "book_version": 1,
            "title": "x" * 119 + "…",
            "author": "Ursula K. Le Guin",
            "total_copies": 2,
        }

    def test_new_barcodes_are_made_when_others_have_them(self, library: Library) -> None:
        taken = new_barcode("0001", lambda _: 5)
        library.catalogue.barcodes[taken] = "somebody's"
        library.numbers = [5, 6]
        book_id = library.add(copies=1)
        assert list(library.stock(book_id).copies) == [new_barcode("0001", lambda _: 6)]

    def test_gives_up_when_every_barcode_is_taken(self, library: Library) -> None:
        library.catalogue.barcodes[new_barcode("0001", lambda _: 5)] = "somebody's"
        library.numbers = [5] * 100
        with pytest.raises(ServiceUnavailable):
            library.add(copies=1)
        assert library.catalogue.books == {}

    def test_a_year_too_far_ahead(self, library: Library) -> None:
        library.add(published_year=2028)
        with pytest.raises(BookFieldsRefused) as refused:
            library.add(published_year=2029)
        assert refused.value.errors == (("published_year", "must not be later than 2028"),)

    def test_the_same_request_again_is_the_same_title(self, library: Library) -> None:
        add = library.use_cases.titles.add
        first = add(a_description(), 1, request("{}"))
        with pytest.raises(AlreadyAnswered) as again:
            add(a_description(), 1, request("{}"))
        assert again.value.json == first.id
        assert len(library.catalogue.books) == 1
        with pytest.raises(IdempotencyKeyReused):
            add(a_description(), 1, request('{"other":1}'))

    def test_two_of_the_same_request_at_once_are_one_title(self, library: Library) -> None:
        twin: list[Book] = []
        add = library.use_cases.titles.add
        library.catalogue.meanwhile.append(lambda: twin.append(add(a_description(), 1, request("{}"))))
        with pytest.raises(AlreadyAnswered) as answered:
            add(a_description(), 1, request("{}"))
        assert [book.id for book in twin] == [answered.value.json]
        assert len(library.catalogue.books) == 1


class TestChanging:
    def test_some_fields(self, library: Library) -> None:
        book_id = library.add(genre="Fiction", isbn="9780306406157")
        title = library.use_cases.titles.change(book_id, some(title="Winter", isbn=None), any_version).title
        described = title.metadata
        assert (described.title, described.isbn, described.genre, title.version) == ("Winter", None, "Fiction", 2)
        assert library.stock(book_id).title == "Winter"
        assert library.catalogue.published[-1].data == {
            "book_id": book_id,
            "book_version": 2,
            "title": "Winter",
            "author": library.catalogue.published[0].data["author"],
            "genre": "Fiction",
            "changed": ["title", "isbn"],
        }

    def test_the_whole_description(self, library: Library) -> None:
        book_id = library.add(copies=2, genre="Fiction")
        change = TitleChange(vars(a_description(title="Winter")), None)
        book = library.use_cases.titles.change(book_id, change, any_version)
        assert (book.title.metadata, book.stock.total) == (a_description(title="Winter"), 2)

    def test_what_is_already_so_is_not_written(self, library: Library) -> None:
        book_id = library.add(copies=2)
        before = library.catalogue.books[book_id]
        view = library.use_cases.titles.change(book_id, TitleChange(vars(a_description()), 2), any_version)
        assert view.title.version == 1
        assert library.catalogue.books[book_id] is before
        assert len(library.catalogue.published) == 1

    def test_of_a_version_that_is_no_more(self, library: Library) -> None:
        book_id = library.add()
        change = library.use_cases.titles.change
        change(book_id, some(title="One"), only_version(1))
        with pytest.raises(StaleVersion):
            change(book_id, some(title="Two"), only_version(1))
        assert library.use_cases.titles.read(book_id).title.metadata.title == "One"

    def test_the_version_is_checked_again_after_a_lost_race(self, library: Library) -> None:
        book_id = library.add()
        change = library.use_cases.titles.change
        library.catalogue.meanwhile.append(lambda: change(book_id, some(title="Faster"), any_version))
        with pytest.raises(StaleVersion):
            change(book_id, some(title="Slower"), only_version(1))
        assert library.use_cases.titles.read(book_id).title.metadata.title == "Faster"

    def test_both_of_two_changes_at_once_are_kept(self, library: Library) -> None:
        book_id = library.add()
        change = library.use_cases.titles.change
        library.catalogue.meanwhile.append(lambda: change(book_id, some(genre="Fiction"), any_version))
        view = change(book_id, some(title="Winter"), any_version).title
        assert (view.metadata.title, view.metadata.genre, view.version) == ("Winter", "Fiction", 3)

    def test_gives_up_when_somebody_is_always_faster(self, library: Library) -> None:
        book_id = library.add()
        change = library.use_cases.titles.change
        library.catalogue.meanwhile = [
            partial(change, book_id, some(genre=f"Genre {n}"), any_version) for n in range(100)
        ]
        with pytest.raises(ServiceUnavailable):
            change(book_id, some(title="Winter"), any_version)

    def test_a_year_too_far_ahead_changes_nothing(self, library: Library) -> None:
        book_id = library.add()
        with pytest.raises(BookFieldsRefused):
            library.use_cases.titles.change(book_id, some(title="Other", published_year=3000), any_version)
        assert library.use_cases.titles.read(book_id).title.version == 1

    @pytest.mark.parametrize("book_id", ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "nonsense", "../x"])
    def test_of_no_title(self, library: Library, book_id: str) -> None:
        with pytest.raises(BookNotFound):
            library.use_cases.titles.change(book_id, some(title="x"), any_version)


class TestTheNumberOfCopies:
    def test_more_and_fewer(self, library: Library) -> None:
        book_id = library.add(copies=2)
        change = library.use_cases.titles.change
        old = set(library.stock(book_id).copies)

        assert change(book_id, some(copies=5), any_version).stock.total == 5
        new = set(library.stock(book_id).copies) - old
        event = library.catalogue.published[-1]
        assert event.type == "CopyStatusChanged"
        assert event.data["copies"] == [{"barcode": b, "status": "available"} for b in sorted(new)]

        book = change(book_id, some(copies=0), any_version)
        assert (book.stock.total, book.stock.available, book.title.version) == (0, 0, 3), "each count is a version"
        assert library.catalogue.barcodes == {}, "their barcodes are free again"
        assert {c["previous"] for c in library.catalogue.published[-1].data["copies"]} == {"available"}

    def test_never_below_what_is_lent(self, library: Library) -> None:
        book_id = library.add(copies=3)
        for loan in ("L1", "L2"):
            library.use_cases.reservations.reserve(book_id, loan)
        with pytest.raises(CopiesInUse) as refused:
            library.use_cases.titles.change(book_id, some(title="Winter", copies=1), any_version)
        assert refused.value.extra == {"in_use": 2}
        book = library.use_cases.titles.read(book_id)
        assert (book.title.metadata.title, book.stock.total) == ("The Left Hand of Darkness", 3), "all or nothing"
        assert library.use_cases.titles.change(book_id, some(copies=2), any_version).stock.available == 0

    def test_a_loan_made_meanwhile_counts(self, library: Library) -> None:
        book_id = library.add(copies=1)
        library.catalogue.meanwhile.append(lambda: library.use_cases.reservations.reserve(book_id, "L1"))
        with pytest.raises(CopiesInUse):
            library.use_cases.titles.change(book_id, some(copies=0), any_version)
        assert library.stock(book_id).out == 1

    def test_too_many_at_once(self, library: Library) -> None:
        book_id = library.add(copies=0)
        change = library.use_cases.titles.change
        with pytest.raises(ChangeTooLarge):
            change(book_id, some(copies=MAX_COPIES_AT_ONCE + 1), any_version)
        for count in range(MAX_COPIES_AT_ONCE, 501, MAX_COPIES_AT_ONCE):
            change(book_id, some(copies=count), any_version)
        with pytest.raises(TooManyCopies):
            change(book_id, some(copies=501), any_version)
        with pytest.raises(ChangeTooLarge):
            change(book_id, some(copies=0), any_version)
        assert library.stock(book_id).total == 500


class TestArchiving:
    def test_and_restoring(self, library: Library) -> None:
        book_id = library.add(copies=1)
        titles = library.use_cases.titles
        archived = titles.archive(book_id)
        assert (archived.title.archived, archived.title.version) == (True, 2)
        assert titles.archive(book_id) == archived, "twice is once"
        assert library.stock(book_id).archived
        with pytest.raises(BookArchived):
            titles.change(book_id, some(copies=2), any_version)

        restored = titles.restore(book_id)
        assert (restored.title.archived, restored.title.version) == (False, 3)
        assert titles.restore(book_id) == restored
        assert not library.stock(book_id).archived
        assert [e.type for e in library.catalogue.published] == ["BookAdded", "BookRemoved", "BookRestored"]

    def test_not_while_copies_are_out(self, library: Library) -> None:
        book_id = library.add(copies=2)
        library.use_cases.reservations.reserve(book_id, "L1")
        with pytest.raises(CopiesOut):
            library.use_cases.titles.archive(book_id)
        library.use_cases.reservations.release(book_id, "L1")
        assert library.use_cases.titles.archive(book_id).title.archived

    def test_a_loan_made_meanwhile_counts(self, library: Library) -> None:
        book_id = library.add(copies=1)
        library.catalogue.meanwhile.append(lambda: library.use_cases.reservations.reserve(book_id, "L1"))
        with pytest.raises(CopiesOut):
            library.use_cases.titles.archive(book_id)
        assert not library.use_cases.titles.read(book_id).title.archived

    def test_a_description_may_still_be_corrected(self, library: Library) -> None:
        book_id = library.add()
        library.use_cases.titles.archive(book_id)
        title = library.use_cases.titles.change(book_id, some(title="Winter"), any_version).title
        assert (title.metadata.title, title.archived) == ("Winter", True)


def test_availability_counts_by_state(library: Library) -> None:
    book_id = library.add(copies=3)
    library.use_cases.reservations.reserve(book_id, "L1")
    view = AvailabilityView.of(library.use_cases.copies.availability(book_id))
    assert (view.total_copies, view.available_copies) == (3, 2)
    assert {str(status): n for status, n in view.by_status.items() if n} == {"available": 2, "on_loan": 1}
    assert (view.next_due_date, view.holds_waiting) == (None, 0)
    with pytest.raises(BookNotFound):
        library.use_cases.copies.availability(new_id())
