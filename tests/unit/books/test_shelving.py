"""Copies as librarians handle them."""

from functools import partial

import pytest

from books_service.domain.errors import BarcodeTaken, BookArchived, BookNotFound, CopyNotFound, CopyOnLoan, ExceedsStock
from books_service.domain.stock import CopyStatus
from library_common.access import Caller
from library_common.idempotency import Ticket
from library_common.ids import new_id
from library_common.problems import InvalidRequest, ServiceUnavailable
from tests.fakes.books import Library

pytestmark = pytest.mark.unit

DESK = Caller(kind="person", id="desk")


def any_version(_: int) -> None:
    """The client did not say which version it wants."""


def add(
    library: Library, book_id: str, count: int = 1, barcode: str | None = None, ticket: Ticket | None = None
) -> None:
    library.use_cases.shelving.add(book_id, count=count, barcode=barcode, shelf="A 1", ticket=ticket)


class TestAdding:
    def test_with_generated_barcodes(self, library: Library) -> None:
        book_id = library.add(copies=1)
        view, _ = library.use_cases.shelving.add(book_id, count=2, barcode=None, shelf="A 1", ticket=None)
        assert (view.total_copies, view.available_copies, len(view.items)) == (3, 3, 2)
        for copy in view.items:
            assert copy.shelf == "A 1"
            assert library.catalogue.barcodes[copy.barcode] == book_id
        assert library.catalogue.published[-1].data["copies"] == [
            {"barcode": barcode, "status": "available"} for barcode in sorted(copy.barcode for copy in view.items)
        ]

    def test_with_a_barcode_of_the_librarys_own(self, library: Library) -> None:
        book_id, other = library.add(copies=0), library.add(copies=0)
        add(library, book_id, barcode="OLD-17")
        for somebody in (book_id, other):
            with pytest.raises(BarcodeTaken):
                add(library, somebody, barcode="OLD-17")
        assert library.stock(book_id).total == 1
        assert library.stock(other).total == 0

    def test_survives_a_lost_race(self, library: Library) -> None:
        book_id = library.add(copies=1)
        library.catalogue.meanwhile.append(lambda: library.use_cases.lending.reserve(book_id, "L1"))
        add(library, book_id, count=2)
        stock = library.stock(book_id)
        assert (stock.total, stock.available, stock.out) == (3, 2, 1)

    def test_the_same_request_again_adds_nothing(self, library: Library) -> None:
        book_id = library.add(copies=0)
        ticket = Ticket.of(DESK, f"POST /api/books/{book_id}/copies", "key", "{}")
        library.catalogue.meanwhile.append(lambda: add(library, book_id, 2, ticket=ticket))
        view, replayed = library.use_cases.shelving.add(book_id, count=2, barcode=None, shelf=None, ticket=ticket)
        assert replayed
        assert {copy.barcode for copy in view.items} == set(library.stock(book_id).copies)
        assert library.stock(book_id).total == 2

    def test_not_to_an_archived_title(self, library: Library) -> None:
        book_id = library.add()
        library.use_cases.cataloguing.archive(book_id)
        with pytest.raises(BookArchived):
            add(library, book_id)


class TestFinding:
    def test_by_barcode(self, library: Library) -> None:
        book_id = library.add(copies=2)
        reserved, _ = library.use_cases.lending.reserve(book_id, "L1")
        view, version = library.use_cases.shelving.find(reserved.barcode)
        assert (view.book_id, view.book.id, view.barcode, view.status) == (
            book_id,
            book_id,
            reserved.barcode,
            "on_loan",
        )
        assert (view.loan_id, view.held_since) == ("L1", "2026-11-21T12:00:00Z")
        assert version == library.stock(book_id).version

    @pytest.mark.parametrize("barcode", ["30001000000002", "no such thing", ""])
    def test_of_nobody(self, library: Library, barcode: str) -> None:
        with pytest.raises(CopyNotFound):
            library.use_cases.shelving.find(barcode)

    def test_pages(self, library: Library) -> None:
        book_id = library.add(copies=5)
        library.use_cases.lending.reserve(book_id, "L1")
        for status, expected in ((None, 5), (CopyStatus.AVAILABLE, 4), (CopyStatus.LOST, 0)):
            found: list[str] = []
            position: dict[str, str] | None = None
            while True:
                page, position = library.use_cases.shelving.copies(book_id, status=status, limit=2, position=position)
                found += [copy.barcode for copy in page]
                if position is None:
                    break
                assert len(page) == 2
            assert found == sorted(set(found))
            assert len(found) == expected

    @pytest.mark.parametrize("position", [{}, {"after": 7}, {"after": None}])
    def test_an_invented_cursor(self, library: Library, position: dict[str, object]) -> None:
        with pytest.raises(InvalidRequest):
            library.use_cases.shelving.copies(library.add(), status=None, limit=2, position=position)


class TestSettingRight:
    def test_state_and_shelf(self, library: Library) -> None:
        book_id = library.add(copies=1)
        (barcode,) = library.stock(book_id).copies
        edit = library.use_cases.shelving.edit
        view, version = edit(book_id, barcode, {"status": CopyStatus.DAMAGED}, any_version)
        assert (view.status, view.shelf, version) == ("damaged", None, 2)
        view, version = edit(book_id, barcode, {"shelf": "B 2"}, any_version)
        assert (view.status, view.shelf, version) == ("damaged", "B 2", 3)
        view, version = edit(book_id, barcode, {"shelf": None}, any_version)
        assert (view.shelf, version) == (None, 4)
        assert edit(book_id, barcode, {}, any_version)[1] == 4, "nothing to write"
        assert [e.data["copies"] for e in library.catalogue.published[1:]] == [
            [{"barcode": barcode, "previous": "available", "status": "damaged"}]
        ], "a shelf is nobody else's business"

    def test_not_while_lent(self, library: Library) -> None:
        book_id = library.add(copies=1)
        (barcode,) = library.stock(book_id).copies
        library.catalogue.meanwhile.append(lambda: library.use_cases.lending.reserve(book_id, "L1"))
        with pytest.raises(CopyOnLoan):
            library.use_cases.shelving.edit(book_id, barcode, {"status": CopyStatus.LOST}, any_version)

    def test_gives_up_when_somebody_is_always_faster(self, library: Library) -> None:
        book_id = library.add(copies=1)
        (barcode,) = library.stock(book_id).copies
        edit = library.use_cases.shelving.edit
        library.catalogue.meanwhile = [
            partial(edit, book_id, barcode, {"shelf": str(n)}, any_version) for n in range(100)
        ]
        with pytest.raises(ServiceUnavailable):
            edit(book_id, barcode, {"status": CopyStatus.LOST}, any_version)
        assert library.stock(book_id).available == 1

    def test_of_another_title(self, library: Library) -> None:
        (barcode,) = library.stock(library.add(copies=1)).copies
        with pytest.raises(CopyNotFound):
            library.use_cases.shelving.edit(library.add(), barcode, {"status": CopyStatus.LOST}, any_version)
        with pytest.raises(BookNotFound):
            library.use_cases.shelving.edit(new_id(), barcode, {"status": CopyStatus.LOST}, any_version)


class TestTheShelfCount:
    def test_correcting(self, library: Library) -> None:
        book_id = library.add(copies=4)
        library.use_cases.lending.reserve(book_id, "L1")
        correct = library.use_cases.shelving.correct_availability
        view = correct(book_id, 1, any_version)
        assert (view.total_copies, view.available_copies, view.version) == (4, 1, 2)
        assert library.stock(book_id).by_status()[CopyStatus.LOST] == 2
        assert correct(book_id, 3, any_version).available_copies == 3
        assert correct(book_id, 3, any_version).version == 3, "right already: no new version"
        with pytest.raises(ExceedsStock):
            correct(book_id, 4, any_version)

    def test_a_loan_made_meanwhile_counts(self, library: Library) -> None:
        book_id = library.add(copies=2)
        library.catalogue.meanwhile.append(lambda: library.use_cases.lending.reserve(book_id, "L1"))
        assert library.use_cases.shelving.correct_availability(book_id, 1, any_version).available_copies == 1
        assert library.stock(book_id).by_status()[CopyStatus.LOST] == 0, "the missing copy was lent"
