"""Copies as librarians handle them."""

from functools import partial

import pytest

from books_service.application.copies import AddedCopies
from books_service.application.ports import AlreadyAnswered, IdempotentRequest
from books_service.domain.errors import BarcodeTaken, BookArchived, BookNotFound, CopyNotFound, CopyOnLoan, ExceedsStock
from books_service.domain.stock import CopyStatus
from books_service.schemas import FoundCopyView
from library_common.access import Caller
from library_common.idempotency import Ticket
from library_common.ids import new_id
from library_common.problems import InvalidRequest, ServiceUnavailable
from tests.fakes.books import Library

pytestmark = pytest.mark.unit

DESK = Caller(kind="person", id="desk")


def any_version(_: int) -> None:
    """The client did not say which version it wants."""


def add(library: Library, book_id: str, count: int = 1, barcode: str | None = None) -> None:
    library.use_cases.copies.add(book_id, count=count, barcode=barcode, shelf="A 1")


class TestAdding:
    def test_with_generated_barcodes(self, library: Library) -> None:
        book_id = library.add(copies=1)
        added, stock = library.use_cases.copies.add(book_id, count=2, shelf="A 1")
        assert (stock.total, stock.available, len(added)) == (3, 3, 2)
        for copy in added:
            assert copy.shelf == "A 1"
            assert library.catalogue.barcodes[copy.barcode] == book_id
        assert library.catalogue.published[-1].data["copies"] == [
            {"barcode": barcode, "status": "available"} for barcode in sorted(copy.barcode for copy in added)
        ]

    @pytest.mark.parametrize("stored", ["OLD-17", "old-17"])
    def test_with_a_barcode_of_the_librarys_own(self, library: Library, stored: str) -> None:
        """Small letters are from an older version."""
        book_id, other = library.add(copies=0), library.add(copies=0)
        add(library, book_id, barcode=stored)
        for somebody in (book_id, other):
            with pytest.raises(BarcodeTaken):
                add(library, somebody, barcode="OLD-17")
        assert library.stock(book_id).total == 1
        assert library.stock(other).total == 0

    def test_survives_a_lost_race(self, library: Library) -> None:
        book_id = library.add(copies=1)
        library.catalogue.meanwhile.append(lambda: library.use_cases.reservations.reserve(book_id, "L1"))
        add(library, book_id, count=2)
        stock = library.stock(book_id)
        assert (stock.total, stock.available, stock.out) == (3, 2, 1)

    def test_the_same_request_again_adds_nothing(self, library: Library) -> None:
        book_id = library.add(copies=0)
        ticket = Ticket.of(DESK, f"POST /api/books/{book_id}/copies", "key", "{}")
        assert ticket is not None
        request: IdempotentRequest[AddedCopies] = IdempotentRequest(
            ticket, lambda added: " ".join(copy.barcode for copy in added[0])
        )
        copies = library.use_cases.copies
        library.catalogue.meanwhile.append(lambda: copies.add(book_id, count=2, request=request))
        with pytest.raises(AlreadyAnswered) as answered:
            copies.add(book_id, count=2, request=request)
        assert set(answered.value.json.split()) == set(library.stock(book_id).copies)
        assert library.stock(book_id).total == 2

    def test_not_to_an_archived_title(self, library: Library) -> None:
        book_id = library.add()
        library.use_cases.titles.archive(book_id)
        with pytest.raises(BookArchived):
            add(library, book_id)


class TestFinding:
    def test_by_barcode(self, library: Library) -> None:
        book_id = library.add(copies=2)
        reserved = library.use_cases.reservations.reserve(book_id, "L1")
        copy, book = library.use_cases.copies.find(reserved.barcode)
        view = FoundCopyView.found(copy, book)
        assert (view.book_id, view.book.id, view.barcode, view.status) == (
            book_id,
            book_id,
            reserved.barcode,
            "on_loan",
        )
        assert (view.loan_id, view.held_since) == ("L1", "2026-11-21T12:00:00Z")
        assert book.stock == library.stock(book_id)

    @pytest.mark.parametrize("barcode", ["30001000000002", "no such thing", ""])
    def test_of_nobody(self, library: Library, barcode: str) -> None:
        with pytest.raises(CopyNotFound):
            library.use_cases.copies.find(barcode)

    def test_pages(self, library: Library) -> None:
        book_id = library.add(copies=5)
        library.use_cases.reservations.reserve(book_id, "L1")
        for status, expected in ((None, 5), (CopyStatus.AVAILABLE, 4), (CopyStatus.LOST, 0)):
            found: list[str] = []
            position: dict[str, str] | None = None
            while True:
                _, page, position = library.use_cases.copies.page(book_id, status=status, limit=2, position=position)
                found += [copy.barcode for copy in page]
                if position is None:
                    break
                assert len(page) == 2
            assert found == sorted(set(found))
            assert len(found) == expected

    @pytest.mark.parametrize("position", [{}, {"after": 7}, {"after": None}])
    def test_an_invented_cursor(self, library: Library, position: dict[str, object]) -> None:
        with pytest.raises(InvalidRequest):
            library.use_cases.copies.page(library.add(), status=None, limit=2, position=position)


class TestSettingRight:
    def test_state_and_shelf(self, library: Library) -> None:
        book_id = library.add(copies=1)
        (barcode,) = library.stock(book_id).copies
        edit = library.use_cases.copies.edit
        copy, stock = edit(book_id, barcode, {"status": CopyStatus.DAMAGED}, any_version)
        assert (copy.status, copy.shelf, stock.version) == ("damaged", None, 2)
        copy, stock = edit(book_id, barcode, {"shelf": "B 2"}, any_version)
        assert (copy.status, copy.shelf, stock.version) == ("damaged", "B 2", 3)
        copy, stock = edit(book_id, barcode, {"shelf": None}, any_version)
        assert (copy.shelf, stock.version) == (None, 4)
        assert edit(book_id, barcode, {}, any_version)[1].version == 4, "nothing to write"
        assert [e.data["copies"] for e in library.catalogue.published[1:]] == [
            [{"barcode": barcode, "previous": "available", "status": "damaged"}]
        ], "a shelf is nobody else's business"

    def test_not_while_lent(self, library: Library) -> None:
        book_id = library.add(copies=1)
        (barcode,) = library.stock(book_id).copies
        library.catalogue.meanwhile.append(lambda: library.use_cases.reservations.reserve(book_id, "L1"))
        with pytest.raises(CopyOnLoan):
            library.use_cases.copies.edit(book_id, barcode, {"status": CopyStatus.LOST}, any_version)

    def test_gives_up_when_somebody_is_always_faster(self, library: Library) -> None:
        book_id = library.add(copies=1)
        (barcode,) = library.stock(book_id).copies
        edit = library.use_cases.copies.edit
        library.catalogue.meanwhile = [
            partial(edit, book_id, barcode, {"shelf": str(n)}, any_version) for n in range(100)
        ]
        with pytest.raises(ServiceUnavailable):
            edit(book_id, barcode, {"status": CopyStatus.LOST}, any_version)
        assert library.stock(book_id).available == 1

    def test_of_another_title(self, library: Library) -> None:
        (barcode,) = library.stock(library.add(copies=1)).copies
        with pytest.raises(CopyNotFound):
            library.use_cases.copies.edit(library.add(), barcode, {"status": CopyStatus.LOST}, any_version)
        with pytest.raises(BookNotFound):
            library.use_cases.copies.edit(new_id(), barcode, {"status": CopyStatus.LOST}, any_version)


class TestTheShelfCount:
    def test_correcting(self, library: Library) -> None:
        book_id = library.add(copies=4)
        library.use_cases.reservations.reserve(book_id, "L1")
        correct = library.use_cases.copies.correct_availability
        book = correct(book_id, 1, any_version)
        assert (book.stock.total, book.stock.available, book.title.version) == (4, 1, 2)
        assert library.stock(book_id).by_status()[CopyStatus.LOST] == 2
        assert correct(book_id, 3, any_version).stock.available == 3
        assert correct(book_id, 3, any_version).title.version == 3, "right already: no new version"
        with pytest.raises(ExceedsStock):
            correct(book_id, 4, any_version)

    def test_a_loan_made_meanwhile_counts(self, library: Library) -> None:
        book_id = library.add(copies=2)
        library.catalogue.meanwhile.append(lambda: library.use_cases.reservations.reserve(book_id, "L1"))
        assert library.use_cases.copies.correct_availability(book_id, 1, any_version).stock.available == 1
        assert library.stock(book_id).by_status()[CopyStatus.LOST] == 0, "the missing copy was lent"


class TestSpellingOfBarcodes:
    """Capitals are stored. A copy that an older version added may have small letters."""

    def test_a_stored_barcode_in_small_letters_is_found_and_lent_like_any_other(self, library: Library) -> None:
        book_id = library.add(copies=0)
        add(library, book_id, barcode="old-5")

        for typed in ("old-5", "OLD-5", " Old-5\r\n"):
            copy, book = library.use_cases.copies.find(typed)
            assert (copy.barcode, book.id) == ("old-5", book_id)
        library.use_cases.copies.edit(book_id, "OLD-5", {"shelf": "B 2"}, any_version)
        held = library.use_cases.reservations.reserve(book_id, "L1", "OLD-5")
        again = library.use_cases.reservations.reserve(book_id, "L1", "OLD-5")
        assert (held.barcode, again.barcode) == ("old-5", "old-5")
        assert library.stock(book_id).copies["old-5"].shelf == "B 2"

    def test_one_in_mixed_letters_is_found_as_it_is_printed(self, library: Library) -> None:
        book_id, other = library.add(copies=0), library.add(copies=0)
        add(library, book_id, barcode="Ab-12")
        add(library, other, barcode="AB-12")

        assert library.use_cases.copies.find("Ab-12\r\n")[1].id == book_id
        assert library.use_cases.copies.find("AB-12")[1].id == other
        with pytest.raises(BarcodeTaken):
            add(library, book_id, barcode="AB-12")
