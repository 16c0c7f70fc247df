"""Sample invocations of books: `make events` writes them to events/invoke."""

from tools.sample_events import (
    ANONYMOUS,
    AS_LIBRARIAN,
    AS_LOANS,
    AS_MEMBER,
    BARCODE,
    BOOK,
    LOAN,
    NO_AUTHORIZER,
    Samples,
    outbox,
    request,
    stream,
)


def books() -> Samples:
    """Titles and copies."""
    one = "/api/books/{book_id}"
    book = {"book_id": BOOK}
    yield (
        "add",
        201,
        request(
            "POST",
            "/api/books",
            AS_LIBRARIAN,
            body={
                "title": "A Wizard of Earthsea",
                "author": "Ursula K. Le Guin",
                "isbn": "978-0-547-72202-3",
                "published_year": 1968,
                "genre": "fantasy",
                "language": "en",
                "subjects": ["magic", "coming of age"],
                "copies": 2,
            },
            headers={"Idempotency-Key": "sample-add-1"},
        ),
    )
    yield "search", 200, request("GET", "/api/books", ANONYMOUS, query={"search": "darkness", "available": "true"})
    yield "read", 200, request("GET", one, NO_AUTHORIZER, path=book)
    yield "availability", 200, request("GET", f"{one}/availability", NO_AUTHORIZER, path=book)
    yield "change", 200, request("PATCH", one, AS_LIBRARIAN, path=book, body={"genre": "science fiction"})
    yield (
        "change_stale",
        412,
        request("PATCH", one, AS_LIBRARIAN, path=book, body={"genre": "novel"}, headers={"If-Match": 'W/"99"'}),
    )
    yield (
        "add_copies",
        201,
        request("POST", f"{one}/copies", AS_LIBRARIAN, path=book, body={"count": 2, "shelf": "SF 3"}),
    )
    yield "list_copies", 200, request("GET", f"{one}/copies", AS_LIBRARIAN, path=book)
    yield "find_copy", 200, request("GET", "/api/books/copies/{barcode}", AS_LOANS, path={"barcode": BARCODE})
    yield "reserve", 200, request("POST", f"{one}/reserve", AS_LOANS, path=book, body={"loan_id": LOAN})
    yield "release", 200, request("POST", f"{one}/release", AS_LOANS, path=book, body={"loan_id": LOAN})
    yield "reserve_as_member", 403, request("POST", f"{one}/reserve", AS_MEMBER, path=book, body={"loan_id": LOAN})
    yield "archive", 409, request("DELETE", one, AS_LIBRARIAN, path=book)


def books_stream() -> Samples:
    """Images of titles and of their copies."""
    title = {"pk": f"BOOK#{BOOK}", "sk": "META", "title": "The Left Hand of Darkness", "version": 1}
    stock = {"pk": f"BOOK#{BOOK}", "sk": "STOCK", "total": 3, "available": 2, "version": 2}
    yield (
        "changes",
        {"published": 2, "set_aside": 0},
        stream(
            "BooksTable",
            title | {"events": outbox("books", "BookAdded")},
            stock | {"events": outbox("books", "CopyStatusChanged")},
        ),
    )
    # Moves to the dead-letter queue.
    yield (
        "not_an_envelope",
        {"published": 0, "set_aside": 1},
        stream("BooksTable", title | {"events": '[{"type":"BookAdded"}]'}),
    )


FUNCTIONS = {
    "BooksFunction": books,
    "BooksPublisher": books_stream,
}
