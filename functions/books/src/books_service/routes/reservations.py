"""Reservations of copies for loans, called by the loans service: reserve, release."""

from collections.abc import Callable

from fastapi import Response

from books_service.bootstrap import UseCases
from books_service.domain import errors as e
from books_service.schemas import Release, ReleaseView, ReservationView, Reserve
from library_common.access import Access
from library_common.http import ServiceApi, mark_replayed

INVENTORY = Access(scope="inventory:write")


def declare(api: ServiceApi, provide: Callable[[], UseCases]) -> None:
    """The routes on the use cases that `provide` returns."""

    @api.post(
        "/api/books/{book_id}/reserve",
        access=INVENTORY,
        raises=[
            e.BookNotFound,
            e.CopyNotFound,
            e.BookArchived,
            e.NoCopiesAvailable,
            e.CopyNotAvailable,
            e.LoanAlreadyReleased,
            e.LoanHoldsAnotherCopy,
            e.ReservationExpired,
        ],
    )
    def reserve_copy(book_id: str, body: Reserve, response: Response) -> ReservationView:
        """Takes one available copy for a loan. The same loan always gets the same copy."""
        reservation = provide().reservations.reserve(book_id, body.loan_id, body.barcode, body.valid_until)
        mark_replayed(response, reservation.repeated)
        return ReservationView.of(reservation)

    @api.post("/api/books/{book_id}/release", access=INVENTORY, raises=[e.BookNotFound, e.LoanHoldsAnotherCopy])
    def release_copy(book_id: str, body: Release) -> ReleaseView:
        """Gives a loan's copy back. A repeat changes nothing, and a reservation that arrives later is refused."""
        damaged = body.condition == "damaged"
        return ReleaseView.of(provide().reservations.release(book_id, body.loan_id, body.barcode, damaged=damaged))
