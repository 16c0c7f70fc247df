"""Sample invocations of reviews: `make events` writes them to events/invoke."""

from tools.sample_events import (
    AS_LIBRARIAN,
    AS_MEMBER,
    BOOK,
    LIBRARIAN,
    MEMBER,
    NO_FAILURES,
    Samples,
    on_the_bus,
    outbox,
    queue,
    request,
    stream,
)


def reviews() -> Samples:
    """Reviews."""
    review = {"user_id": MEMBER, "book_id": BOOK, "stars": 5}
    yield "write", 201, request("POST", "/api/reviews", AS_MEMBER, body=review)
    yield "write_for_another", 403, request("POST", "/api/reviews", AS_MEMBER, body={**review, "user_id": LIBRARIAN})
    one = {"user_id": LIBRARIAN, "book_id": BOOK}
    yield "read_missing", 404, request("GET", "/api/reviews/{user_id}/{book_id}", AS_LIBRARIAN, path=one)


def reviews_stream() -> Samples:
    """A review that was written."""
    review = {"pk": f"USER#{MEMBER}", "sk": f"BOOK#{BOOK}", "stars": 5, "events": outbox("reviews", "ReviewWritten")}
    yield "written", {"published": 1, "set_aside": 0}, stream("ReviewsTable", review)


def loan_returns() -> Samples:
    """Titles that were returned."""
    returned = on_the_bus("loans", "LoanReturned")
    yield "returned_twice", NO_FAILURES, queue("ReviewInvitationsQueue", returned, returned)


FUNCTIONS = {
    "ReviewsFunction": reviews,
    "ReviewsPublisher": reviews_stream,
    "ReviewInvitations": loan_returns,
}
