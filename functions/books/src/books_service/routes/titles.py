"""Titles: add, list, read, change, archive, restore."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import Query, Response

from books_service.application.ports import AlreadyAnswered, IdempotentRequest
from books_service.application.titles import TitleChange
from books_service.bootstrap import UseCases
from books_service.domain import errors as e
from books_service.domain.title import Book
from books_service.schemas import BookChanges, BookQuery, BookView, NewBook, WholeBook
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

ANYBODY = Access(public=True)
LIBRARIAN = Access(librarian=True)


def declare(api: ServiceApi, provide: Callable[[], UseCases]) -> None:
    """The routes on the use cases that `provide` returns."""

    @api.post("/api/books", access=LIBRARIAN, raises=[e.BookFieldsRefused, IdempotencyKeyReused], status=201)
    def add_book(body: NewBook, caller: CurrentCaller, key: IdempotencyKey, response: Response) -> BookView:
        """Adds a title, with copies that get barcodes. Two titles may have the same ISBN: publishers use one again,
        and a set and its volumes can share one. If you have more copies of a title, add copies to it.
        """
        ticket = Ticket.of(caller, "POST /api/books", key, body.model_dump_json())
        request = IdempotentRequest.of(ticket, _json)
        try:
            view, replayed = BookView.of(provide().titles.add(body.metadata(), body.copies, request)), False
        except AlreadyAnswered as earlier:
            view, replayed = BookView.model_validate_json(earlier.json), True
        mark_replayed(response, replayed)
        response.headers["Location"] = f"/api/books/{view.id}"
        set_etag(response, view.version)
        return view

    @api.get("/api/books", access=ANYBODY)
    def list_books(query: Annotated[BookQuery, Query()], caller: CurrentCaller) -> Page[BookView]:
        """Lists and finds titles in the order of their names. A page may be short and still have a next one."""
        if query.include_archived and not caller.is_staff:
            raise NotAllowed("Only librarians see archived titles.")
        cursors = Cursors(query.model_dump(mode="json", exclude={"limit", "cursor"}))
        books, following = provide().titles.find(
            query.criteria(), limit=query.limit, position=cursors.decode(query.cursor)
        )
        return Page(items=[BookView.of(book) for book in books], next_cursor=cursors.encode(following))

    @api.get("/api/books/{book_id}", access=ANYBODY, raises=[e.BookNotFound])
    def read_book(book_id: str, response: Response) -> BookView:
        """One title, also an archived one."""
        return _tagged(provide().titles.read(book_id), response)

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
    def replace_book(book_id: str, body: WholeBook, if_match: IfMatch, response: Response) -> BookView:
        """Replaces the description. `copies` also sets the number of copies."""
        change = TitleChange(vars(body.metadata()), body.copies)
        return _tagged(provide().titles.change(book_id, change, partial(require_version, if_match)), response)

    @api.patch("/api/books/{book_id}", access=LIBRARIAN, raises=changing)
    def change_book(book_id: str, body: BookChanges, if_match: IfMatch, response: Response) -> BookView:
        """Changes the fields that are sent; null clears one. `copies` also sets the number of copies."""
        change = TitleChange(body.described(), body.count())
        return _tagged(provide().titles.change(book_id, change, partial(require_version, if_match)), response)

    @api.delete("/api/books/{book_id}", access=LIBRARIAN, raises=[e.BookNotFound, e.CopiesOut])
    def archive_book(book_id: str, response: Response) -> BookView:
        """Archives a title: it is not listed or lent any more, but can be read by its id."""
        return _tagged(provide().titles.archive(book_id), response)

    @api.post("/api/books/{book_id}/restore", access=LIBRARIAN, raises=[e.BookNotFound])
    def restore_book(book_id: str, response: Response) -> BookView:
        """Undoes archiving."""
        return _tagged(provide().titles.restore(book_id), response)


def _json(book: Book) -> str:
    return BookView.of(book).model_dump_json()


def _tagged(book: Book, response: Response) -> BookView:
    set_etag(response, book.title.version)
    return BookView.of(book)
