"""Reserving and releasing copies, one after the other; simultaneous ones are in test_simultaneous_reservations."""

from datetime import timedelta
from functools import partial

import pytest

from books_service.domain.errors import (
    BookArchived,
    BookNotFound,
    CopyNotAvailable,
    CopyNotFound,
    LoanAlreadyReleased,
    LoanHoldsAnotherCopy,
    NoCopiesAvailable,
    ReservationExpired,
)
from books_service.domain.stock import CLOCK_MARGIN_SECONDS, LATE_REQUEST_SECONDS, CopyStatus
from library_common.problems import ServiceUnavailable
from tests.fakes.books import Library
from tests.support.clock import NOON

pytestmark = pytest.mark.unit

TRIES = 12
HOUR = timedelta(seconds=LATE_REQUEST_SECONDS)


class TestReserving:
    def test_the_same_loan_gets_the_same_copy(self, library: Library) -> None:
        book_id = library.add(copies=3)
        first = library.use_cases.reservations.reserve(book_id, "L1")
        assert not first.repeated
        assert first.stock.title == "The Left Hand of Darkness"
        for barcode in (None, first.barcode):
            again = library.use_cases.reservations.reserve(book_id, "L1", barcode)
            assert again.repeated
            assert again.held == first.held
        assert library.stock(book_id).out == 1
        assert [e.type for e in library.catalogue.published] == ["BookAdded", "CopyStatusChanged"]

    def test_is_announced(self, library: Library) -> None:
        book_id = library.add(copies=1)
        reservation = library.use_cases.reservations.reserve(book_id, "L1")
        event = library.catalogue.published[-1]
        assert (event.type, event.subject) == ("CopyStatusChanged", f"book:{book_id}")
        assert event.data == {
            "book_id": book_id,
            "copies": [{"barcode": reservation.barcode, "previous": "available", "status": "on_loan"}],
            "loan_id": "L1",
        }

    def test_every_copy_once(self, library: Library) -> None:
        book_id = library.add(copies=3)
        lent = {library.use_cases.reservations.reserve(book_id, loan).barcode for loan in ("L1", "L2", "L3")}
        assert lent == set(library.stock(book_id).copies)
        with pytest.raises(NoCopiesAvailable):
            library.use_cases.reservations.reserve(book_id, "L4")

    def test_when_somebody_takes_the_very_copy_another_is_taken(self, library: Library) -> None:
        book_id = library.add(copies=2)
        one, two = library.stock(book_id).copies
        library.numbers = [0]
        library.catalogue.meanwhile.append(lambda: library.use_cases.reservations.reserve(book_id, "L1", one))
        reservation = library.use_cases.reservations.reserve(book_id, "L2")
        assert (reservation.barcode, reservation.repeated) == (two, False)

    def test_when_the_last_copy_goes_meanwhile(self, library: Library) -> None:
        book_id = library.add(copies=1)
        library.catalogue.meanwhile.append(lambda: library.use_cases.reservations.reserve(book_id, "L1"))
        with pytest.raises(NoCopiesAvailable):
            library.use_cases.reservations.reserve(book_id, "L2")

    def test_when_the_very_copy_asked_for_goes_meanwhile(self, library: Library) -> None:
        book_id = library.add(copies=2)
        one, _ = library.stock(book_id).copies
        library.catalogue.meanwhile.append(lambda: library.use_cases.reservations.reserve(book_id, "L1", one))
        with pytest.raises(CopyNotAvailable):
            library.use_cases.reservations.reserve(book_id, "L2", one)

    def test_when_its_twin_was_faster_it_answers_the_twins_copy(self, library: Library) -> None:
        book_id = library.add(copies=5)
        twin: list[str] = []
        reserve = library.use_cases.reservations.reserve
        library.catalogue.meanwhile.append(lambda: twin.append(reserve(book_id, "L1").barcode))
        reservation = reserve(book_id, "L1")
        assert reservation.repeated
        assert [reservation.barcode] == twin
        assert library.stock(book_id).out == 1

    def test_gives_up_when_somebody_is_always_faster(self, library: Library) -> None:
        book_id = library.add(copies=2)
        reservations = library.use_cases.reservations
        one, two = library.stock(book_id).copies
        reservations.reserve(book_id, "X0", two)

        def takes_the_free_copy_and_frees_the_other(n: int) -> None:
            reservations.reserve(book_id, f"X{n + 1}", (one, two)[n % 2])
            reservations.release(book_id, f"X{n}")

        library.catalogue.meanwhile = [partial(takes_the_free_copy_and_frees_the_other, n) for n in range(100)]
        with pytest.raises(ServiceUnavailable):
            reservations.reserve(book_id, "L1")
        assert "L1" not in library.stock(book_id).held
        assert len(library.catalogue.meanwhile) == 100 - TRIES

    @pytest.mark.parametrize("book_id", ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "nonsense"])
    def test_of_no_title(self, library: Library, book_id: str) -> None:
        with pytest.raises(BookNotFound):
            library.use_cases.reservations.reserve(book_id, "L1")
        with pytest.raises(BookNotFound):
            library.use_cases.reservations.release(book_id, "L1")


class TestRefusals:
    """A refused loan is cancelled by its service, so no later delivery of the request may take a copy for it."""

    def test_are_final_for_the_loan(self, library: Library) -> None:
        book_id = library.add(copies=1)
        library.use_cases.reservations.reserve(book_id, "L1")
        with pytest.raises(NoCopiesAvailable):
            library.use_cases.reservations.reserve(book_id, "L2")
        library.use_cases.reservations.release(book_id, "L1")
        with pytest.raises(LoanAlreadyReleased):
            library.use_cases.reservations.reserve(book_id, "L2")
        assert library.stock(book_id).available == 1
        assert library.use_cases.reservations.reserve(book_id, "L3").stock.book_id == book_id, (
            "others are not concerned"
        )

    def test_for_a_copy_or_an_archived_title_are_too(self, library: Library) -> None:
        book_id = library.add(copies=1)
        with pytest.raises(CopyNotFound):
            library.use_cases.reservations.reserve(book_id, "L1", "another titles")
        library.use_cases.titles.archive(book_id)
        with pytest.raises(BookArchived):
            library.use_cases.reservations.reserve(book_id, "L2")
        library.use_cases.titles.restore(book_id)
        for loan in ("L1", "L2"):
            with pytest.raises(LoanAlreadyReleased):
                library.use_cases.reservations.reserve(book_id, loan)

    def test_repeated_write_nothing_more(self, library: Library) -> None:
        book_id = library.add(copies=0)
        for _ in range(3):
            with pytest.raises(NoCopiesAvailable):
                library.use_cases.reservations.reserve(book_id, "L1")
        assert library.stock(book_id).version == 2
        assert [event.type for event in library.catalogue.published] == ["BookAdded"]

    def test_are_none_if_the_twin_got_a_copy_meanwhile(self, library: Library) -> None:
        book_id = library.add(copies=1)
        reservations = library.use_cases.reservations

        def comes_back_and_goes_to_the_twin() -> None:
            reservations.release(book_id, "L0")
            reservations.reserve(book_id, "L1")

        reservations.reserve(book_id, "L0")
        library.catalogue.meanwhile.append(comes_back_and_goes_to_the_twin)
        assert reservations.reserve(book_id, "L1").repeated

    def test_are_forgotten_when_the_request_is_no_longer_valid(self, library: Library) -> None:
        book_id = library.add(copies=0)
        until = library.clock.now() + timedelta(seconds=30)
        with pytest.raises(NoCopiesAvailable):
            library.use_cases.reservations.reserve(book_id, "L1", valid_until=until)
        library.clock.advance(timedelta(seconds=30 + CLOCK_MARGIN_SECONDS))
        with pytest.raises(ReservationExpired):
            library.use_cases.reservations.reserve(book_id, "L1", valid_until=until)
        assert set(library.stock(book_id).released) == {"L1"}
        library.use_cases.reservations.release(book_id, "another")
        assert set(library.stock(book_id).released) == {"another"}

    def test_of_an_expired_request_leave_no_trace(self, library: Library) -> None:
        book_id = library.add(copies=1)
        now = library.clock.now()
        with pytest.raises(ReservationExpired):
            library.use_cases.reservations.reserve(book_id, "L1", valid_until=now - timedelta(seconds=1))
        assert library.stock(book_id).version == 1
        assert not library.use_cases.reservations.reserve(book_id, "L1", valid_until=now).repeated


class TestReleasing:
    def test_brings_the_copy_back_once(self, library: Library) -> None:
        book_id = library.add(copies=1)
        reserved = library.use_cases.reservations.reserve(book_id, "L1")
        release = library.use_cases.reservations.release(book_id, "L1")
        assert (release.held, release.after) == (reserved.held, "available")
        version = library.stock(book_id).version
        again = library.use_cases.reservations.release(book_id, "L1")
        assert (again.released, again.held, again.after) == (False, None, None)
        stock = library.stock(book_id)
        assert (stock.available, stock.version) == (1, version), "the repeat writes nothing"
        assert [e.data.get("copies", [{}])[0].get("status") for e in library.catalogue.published[1:]] == [
            "on_loan",
            "available",
        ]

    def test_a_damaged_copy(self, library: Library) -> None:
        book_id = library.add(copies=1)
        library.use_cases.reservations.reserve(book_id, "L1")
        assert library.use_cases.reservations.release(book_id, "L1", damaged=True).after == "damaged"
        assert library.stock(book_id).by_status()[CopyStatus.DAMAGED] == 1

    def test_the_release_of_a_loan_that_came_late_does_not_touch_the_next_loan(self, library: Library) -> None:
        book_id = library.add(copies=1)
        library.use_cases.reservations.reserve(book_id, "L1")
        library.use_cases.reservations.release(book_id, "L1")
        library.use_cases.reservations.reserve(book_id, "L2")
        assert not library.use_cases.reservations.release(book_id, "L1").released
        assert library.stock(book_id).out == 1

    def test_with_the_wrong_copy(self, library: Library) -> None:
        book_id = library.add(copies=2)
        reserved = library.use_cases.reservations.reserve(book_id, "L1")
        (other,) = set(library.stock(book_id).copies) - {reserved.barcode}
        with pytest.raises(LoanHoldsAnotherCopy):
            library.use_cases.reservations.release(book_id, "L1", other)

    def test_overtaking_its_reservation_voids_it(self, library: Library) -> None:
        book_id = library.add(copies=1)
        assert not library.use_cases.reservations.release(book_id, "L1").released
        with pytest.raises(LoanAlreadyReleased):
            library.use_cases.reservations.reserve(book_id, "L1")
        assert library.stock(book_id).available == 1

    def test_between_the_reservations_look_and_its_write_voids_it(self, library: Library) -> None:
        book_id = library.add(copies=1)
        library.catalogue.meanwhile.append(lambda: library.use_cases.reservations.release(book_id, "L1"))
        with pytest.raises(LoanAlreadyReleased):
            library.use_cases.reservations.reserve(book_id, "L1")

    def test_between_the_releases_look_and_its_write_the_copy_still_comes_back(self, library: Library) -> None:
        book_id = library.add(copies=1)
        library.catalogue.meanwhile.append(lambda: library.use_cases.reservations.reserve(book_id, "L1"))
        assert library.use_cases.reservations.release(book_id, "L1").released
        assert library.stock(book_id).available == 1

    def test_a_late_copy_of_the_reservation_is_refused_after_the_return(self, library: Library) -> None:
        book_id = library.add(copies=1)
        library.use_cases.reservations.reserve(book_id, "L1")
        library.clock.advance(timedelta(seconds=LATE_REQUEST_SECONDS - 1))
        library.use_cases.reservations.release(book_id, "L1")
        with pytest.raises(LoanAlreadyReleased):
            library.use_cases.reservations.reserve(book_id, "L1")

    def test_an_ordinary_return_leaves_nothing_behind(self, library: Library) -> None:
        book_id = library.add(copies=1)
        library.use_cases.reservations.reserve(book_id, "L1")
        library.clock.advance(timedelta(days=14))
        library.use_cases.reservations.release(book_id, "L1")
        assert library.stock(book_id).released == {}

    def test_what_was_remembered_is_forgotten_in_time(self, library: Library) -> None:
        book_id = library.add(copies=2)
        library.use_cases.reservations.release(book_id, "old")
        library.clock.advance(HOUR / 2)
        library.use_cases.reservations.release(book_id, "young")
        library.clock.advance(HOUR / 2)
        library.use_cases.reservations.reserve(book_id, "L1")
        assert set(library.stock(book_id).released) == {"young"}


def test_a_loan_that_has_its_copy_is_told_so_however_late_it_asks() -> None:
    library = Library()
    book_id = library.add(copies=1)
    first = library.use_cases.reservations.reserve(book_id, "L1", valid_until=NOON + timedelta(seconds=30))

    again = library.use_cases.reservations.reserve(book_id, "L1", valid_until=NOON - timedelta(seconds=1))

    assert (again.held, again.repeated) == (first.held, True)
    with pytest.raises(ReservationExpired):
        library.use_cases.reservations.reserve(book_id, "L2", valid_until=NOON - timedelta(seconds=1))
