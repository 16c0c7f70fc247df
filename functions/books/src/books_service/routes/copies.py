"""Copies: find, list, add, correct; how many are available."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import Query, Response

from books_service import schemas as s
from books_service.application.copies import AddedCopies
from books_service.application.ports import AlreadyAnswered, IdempotentRequest
from books_service.bootstrap import UseCases
from books_service.domain import errors as e
from library_common.access import Access
from library_common.http import (
    CurrentCaller,
    IdempotencyKey,
    IfMatch,
    ServiceApi,
    mark_replayed,
    require_version,
    set_etag,
)
from library_common.idempotency import Ticket
from library_common.paging import Cursors, Page
from library_common.problems import IdempotencyKeyReused, StaleVersion

LIBRARIAN = Access(librarian=True)
LIBRARIAN_OR_INVENTORY = Access(librarian=True, scope="inventory:write")


def declare(api: ServiceApi, provide: Callable[[], UseCases]) -> None:
    """The routes on the use cases that `provide` returns."""

    @api.get("/api/books/copies/{barcode}", access=LIBRARIAN_OR_INVENTORY, raises=[e.CopyNotFound])
    def find_copy(barcode: str, response: Response) -> s.FoundCopyView:
        """The copy with a barcode, and its title."""
        copy, book = provide().copies.find(barcode)
        set_etag(response, book.stock.version)
        return s.FoundCopyView.found(copy, book)

    @api.get("/api/books/{book_id}/availability", access=Access(public=True), raises=[e.BookNotFound])
    def read_availability(book_id: str) -> s.AvailabilityView:
        """How many copies have which status."""
        return s.AvailabilityView.of(provide().copies.availability(book_id))

    @api.patch(
        "/api/books/{book_id}/availability",
        access=LIBRARIAN_OR_INVENTORY,
        raises=[e.BookNotFound, e.ExceedsStock, StaleVersion],
    )
    def correct_availability(book_id: str, body: s.Availability, if_match: IfMatch, response: Response) -> s.BookView:
        """Corrects the number of available copies: missing ones become lost, found ones available. Lent ones stay."""
        book = provide().copies.correct_availability(book_id, body.available_copies, partial(require_version, if_match))
        set_etag(response, book.title.version)
        return s.BookView.of(book)

    @api.get("/api/books/{book_id}/copies", access=LIBRARIAN, raises=[e.BookNotFound])
    def list_copies(book_id: str, query: Annotated[s.CopyQuery, Query()]) -> Page[s.CopyView]:
        """The copies of a title in the order of their barcodes."""
        cursors = Cursors({"book_id": book_id, "status": query.status})
        stock, copies, following = provide().copies.page(
            book_id, status=query.status, limit=query.limit, position=cursors.decode(query.cursor)
        )
        return Page(items=[s.CopyView.of(copy, stock) for copy in copies], next_cursor=cursors.encode(following))

    @api.post(
        "/api/books/{book_id}/copies",
        access=LIBRARIAN,
        raises=[e.BookNotFound, e.BookArchived, e.BarcodeTaken, e.TooManyCopies, IdempotencyKeyReused],
        status=201,
    )
    def add_copies(
        book_id: str, body: s.NewCopies, caller: CurrentCaller, key: IdempotencyKey, response: Response
    ) -> s.CopiesView:
        """Adds copies with generated barcodes, or one with a barcode of your own."""
        ticket = Ticket.of(caller, f"POST /api/books/{book_id}/copies", key, body.model_dump_json())
        request = IdempotentRequest.of(ticket, _json)
        try:
            added = provide().copies.add(
                book_id, count=body.count, barcode=body.barcode, shelf=body.shelf, request=request
            )
            view, replayed = s.CopiesView.of(*added), False
        except AlreadyAnswered as earlier:
            view, replayed = s.CopiesView.model_validate_json(earlier.json), True
        mark_replayed(response, replayed)
        response.headers["Location"] = f"/api/books/{book_id}/copies"
        return view

    @api.patch(
        "/api/books/{book_id}/copies/{barcode}",
        access=LIBRARIAN,
        raises=[e.BookNotFound, e.CopyNotFound, e.CopyOnLoan, StaleVersion],
    )
    def change_copy(
        book_id: str, barcode: str, body: s.CopyChanges, if_match: IfMatch, response: Response
    ) -> s.CopyView:
        """Sets a copy's status or shelf. If-Match takes the version of all of the title's copies."""
        copy, stock = provide().copies.edit(book_id, barcode, body.sent(), partial(require_version, if_match))
        set_etag(response, stock.version)
        return s.CopyView.of(copy, stock)


def _json(added: AddedCopies) -> str:
    return s.CopiesView.of(*added).model_dump_json()
