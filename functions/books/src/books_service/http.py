"""The books service over HTTP: translation only."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import Query, Response

from books_service import bodies, bootstrap
from books_service.application.cataloguing import Change
from books_service.application.views import (
    AvailabilityView,
    BookView,
    CopiesView,
    CopyView,
    FoundCopyView,
    ReleaseView,
    ReservationView,
)
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
from library_common.problems import IdempotencyKeyReused, NotAllowed, StaleVersion

DESCRIPTION = (
    "The catalogue: titles, their physical copies with barcodes, and which of them stand on the shelf. Reading is open "
    "to anybody."
)
PROBLEMS: dict[type[Exception], int] = {
    e.BookNotFound: 404,
    e.CopyNotFound: 404,
    e.BookArchived: 409,
    e.NoCopiesAvailable: 409,
    e.CopyNotAvailable: 409,
    e.LoanAlreadyReleased: 409,
    e.LoanHoldsAnotherCopy: 409,
    e.ReservationExpired: 409,
    e.BarcodeTaken: 409,
    e.CopyOnLoan: 409,
    e.CopiesInUse: 409,
    e.CopiesOut: 409,
    e.ExceedsStock: 409,
    e.TooManyCopies: 409,
    e.BookFieldsRefused: 422,
    e.ChangeTooLarge: 422,
}

ANYBODY = Access(public=True)
LIBRARIAN = Access(librarian=True)
INVENTORY = Access(scope="inventory:write")
LIBRARIAN_OR_INVENTORY = Access(librarian=True, scope="inventory:write")

type Provide = Callable[[], UseCases]


def build(provide: Provide) -> ServiceApi:
    """The API on the use cases that `provide` answers; it is called when a request needs them."""
    api = ServiceApi(name="books", title="Smart Library: books", description=DESCRIPTION, problems=PROBLEMS)
    # Fixed paths come before those with an id in the same place.
    api.publish_openapi("/api/books/openapi.json")
    _find_copy(api, provide)
    _titles(api, provide)
    _title_state(api, provide)
    _copies(api, provide)
    _lending(api, provide)
    return api


def _find_copy(api: ServiceApi, provide: Provide) -> None:
    @api.get("/api/books/copies/{barcode}", access=LIBRARIAN_OR_INVENTORY, raises=[e.CopyNotFound])
    def find_copy(barcode: str, response: Response) -> FoundCopyView:
        """Which copy and title a barcode belongs to."""
        view, version = provide().shelving.find(barcode)
        set_etag(response, version)
        return view


def _titles(api: ServiceApi, provide: Provide) -> None:
    @api.post("/api/books", access=LIBRARIAN, raises=[e.BookFieldsRefused, IdempotencyKeyReused], status=201)
    def add_book(body: bodies.NewBook, caller: CurrentCaller, key: IdempotencyKey, response: Response) -> BookView:
        """Enters a title, with copies that get barcodes. An ISBN that another title has, too, is accepted: publishers
        use them again, and a set and its volumes can share one. Add copies to a title rather than the title twice.
        """
        ticket = Ticket.of(caller, "POST /api/books", key, body.model_dump_json())
        view, replayed = provide().cataloguing.add(body.metadata(), body.copies, ticket)
        mark_replayed(response, replayed)
        response.headers["Location"] = f"/api/books/{view.id}"
        set_etag(response, view.version)
        return view

    @api.get("/api/books", access=ANYBODY)
    def list_books(query: Annotated[bodies.BookQuery, Query()], caller: CurrentCaller) -> Page[BookView]:
        """Lists and finds titles in the order of their names. A page may be short and still have a next one."""
        if query.include_archived and not caller.is_staff:
            raise NotAllowed("Archived titles are shown to librarians only.")
        cursors = Cursors(query.model_dump(mode="json", exclude={"limit", "cursor"}))
        items, following = provide().searching.find(
            query.criteria(), limit=query.limit, position=cursors.decode(query.cursor)
        )
        return Page(items=items, next_cursor=cursors.encode(following))

    @api.get("/api/books/{book_id}", access=ANYBODY, raises=[e.BookNotFound])
    def read_book(book_id: str, response: Response) -> BookView:
        """One title, archived ones too."""
        view = provide().cataloguing.read(book_id)
        set_etag(response, view.version)
        return view

    changing = [
        e.BookNotFound,
        e.BookFieldsRefused,
        e.BookArchived,
        e.CopiesInUse,
        e.TooManyCopies,
        e.ChangeTooLarge,
        StaleVersion,
    ]

    @api.put("/api/books/{book_id}", access=LIBRARIAN, raises=changing)
    def replace_book(book_id: str, body: bodies.WholeBook, if_match: IfMatch, response: Response) -> BookView:
        """Replaces the description. `copies` also sets the number of copies."""
        change = Change.whole(body.metadata(), body.copies)
        view = provide().cataloguing.change(book_id, change, partial(require_version, if_match))
        set_etag(response, view.version)
        return view

    @api.patch("/api/books/{book_id}", access=LIBRARIAN, raises=changing)
    def change_book(book_id: str, body: bodies.BookChanges, if_match: IfMatch, response: Response) -> BookView:
        """Changes the fields that are sent; null clears one. `copies` also sets the number of copies."""
        change = Change.some(body.described(), body.count())
        view = provide().cataloguing.change(book_id, change, partial(require_version, if_match))
        set_etag(response, view.version)
        return view


def _title_state(api: ServiceApi, provide: Provide) -> None:
    @api.delete("/api/books/{book_id}", access=LIBRARIAN, raises=[e.BookNotFound, e.CopiesOut])
    def archive_book(book_id: str, response: Response) -> BookView:
        """Archives a title: out of lists and lending, still readable by its id."""
        view = provide().cataloguing.archive(book_id)
        set_etag(response, view.version)
        return view

    @api.post("/api/books/{book_id}/restore", access=LIBRARIAN, raises=[e.BookNotFound])
    def restore_book(book_id: str, response: Response) -> BookView:
        """Undoes archiving."""
        view = provide().cataloguing.restore(book_id)
        set_etag(response, view.version)
        return view

    @api.get("/api/books/{book_id}/availability", access=ANYBODY, raises=[e.BookNotFound])
    def read_availability(book_id: str) -> AvailabilityView:
        """How many copies are in which state."""
        return provide().cataloguing.availability(book_id)

    @api.patch(
        "/api/books/{book_id}/availability",
        access=LIBRARIAN_OR_INVENTORY,
        raises=[e.BookNotFound, e.ExceedsStock, StaleVersion],
    )
    def correct_availability(
        book_id: str, body: bodies.Availability, if_match: IfMatch, response: Response
    ) -> BookView:
        """Corrects the shelf count: missing copies become lost, found ones available. Lent ones are not touched."""
        view = provide().shelving.correct_availability(
            book_id, body.available_copies, partial(require_version, if_match)
        )
        set_etag(response, view.version)
        return view


def _copies(api: ServiceApi, provide: Provide) -> None:
    @api.get("/api/books/{book_id}/copies", access=LIBRARIAN, raises=[e.BookNotFound])
    def list_copies(book_id: str, query: Annotated[bodies.CopyQuery, Query()]) -> Page[CopyView]:
        """The copies of a title in the order of their barcodes."""
        cursors = Cursors({"book_id": book_id, "status": query.status})
        items, following = provide().shelving.copies(
            book_id, status=query.status, limit=query.limit, position=cursors.decode(query.cursor)
        )
        return Page(items=items, next_cursor=cursors.encode(following))

    @api.post(
        "/api/books/{book_id}/copies",
        access=LIBRARIAN,
        raises=[
            e.BookNotFound,
            e.BookArchived,
            e.BarcodeTaken,
            e.TooManyCopies,
            IdempotencyKeyReused,
        ],
        status=201,
    )
    def add_copies(
        book_id: str, body: bodies.NewCopies, caller: CurrentCaller, key: IdempotencyKey, response: Response
    ) -> CopiesView:
        """Adds copies, with generated barcodes or one with the library's own."""
        ticket = Ticket.of(caller, f"POST /api/books/{book_id}/copies", key, body.model_dump_json())
        view, replayed = provide().shelving.add(
            book_id, count=body.count, barcode=body.barcode, shelf=body.shelf, ticket=ticket
        )
        mark_replayed(response, replayed)
        response.headers["Location"] = f"/api/books/{book_id}/copies"
        return view

    @api.patch(
        "/api/books/{book_id}/copies/{barcode}",
        access=LIBRARIAN,
        raises=[e.BookNotFound, e.CopyNotFound, e.CopyOnLoan, StaleVersion],
    )
    def change_copy(
        book_id: str, barcode: str, body: bodies.CopyChanges, if_match: IfMatch, response: Response
    ) -> CopyView:
        """Sets a copy's state or shelf. If-Match takes the version of all of the title's copies."""
        view, version = provide().shelving.edit(book_id, barcode, body.sent(), partial(require_version, if_match))
        set_etag(response, version)
        return view


def _lending(api: ServiceApi, provide: Provide) -> None:
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
    def reserve_copy(book_id: str, body: bodies.Reserve, response: Response) -> ReservationView:
        """Takes one available copy for a loan. The same loan always gets the same copy."""
        view, repeated = provide().lending.reserve(book_id, body.loan_id, body.barcode, body.valid_until)
        mark_replayed(response, repeated)
        return view

    @api.post("/api/books/{book_id}/release", access=INVENTORY, raises=[e.BookNotFound, e.LoanHoldsAnotherCopy])
    def release_copy(book_id: str, body: bodies.Release) -> ReleaseView:
        """Gives a loan's copy back. Repeating it changes nothing, and a reservation that comes later is refused."""
        return provide().lending.release(book_id, body.loan_id, body.barcode, damaged=body.condition == "damaged")


api = build(bootstrap.use_cases)
handler = api
