"""The HTTP API of the books service: the status of each refusal, and the routes by subject."""

from collections.abc import Callable

from books_service import bootstrap
from books_service.bootstrap import UseCases
from books_service.domain import errors as e
from books_service.routes import copies, reservations, titles
from library_common.http import ServiceApi

DESCRIPTION = (
    "The catalogue: titles, their physical copies with barcodes, and which of them are available. Anybody may read it."
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


def build(provide: Callable[[], UseCases]) -> ServiceApi:
    """The API on the use cases that `provide` returns; it is called for each request, not before the first."""
    api = ServiceApi(name="books", title="Smart Library: books", description=DESCRIPTION, problems=PROBLEMS)
    # Fixed paths come before those with an id in the same place.
    api.publish_openapi("/api/books/openapi.json")
    copies.declare(api, provide)
    titles.declare(api, provide)
    reservations.declare(api, provide)
    return api


api = build(bootstrap.use_cases)
handler = api
