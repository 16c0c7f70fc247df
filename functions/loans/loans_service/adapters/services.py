"""The users and books services over HTTP, behind the ports of `application.ports`."""

from collections.abc import Mapping
from typing import Any

from library_common.clock import from_rfc3339
from library_common.service_client import (
    Answered,
    NotFound,
    Refused,
    ServiceClient,
    Unavailable,
    UnknownOutcome,
    path_segment,
)
from loans_service.application.ports import Located, ShelfRefused, ShelfUnavailable, ShelfUnknown
from loans_service.domain import errors
from loans_service.domain.loan import Copy, Loan, Member

_SHELF_REFUSALS: dict[str, tuple[type[errors.LendingError], str]] = {
    "no_copies_available": (errors.NoCopiesAvailable, "No copy of this title is available."),
    "copy_not_available": (errors.CopyNotAvailable, "This copy is not available."),
    "book_archived": (errors.BookArchived, "This title is archived and not lent any more."),
    "loan_already_released": (errors.CheckoutCancelled, "The checkout was undone before it was completed."),
}


class HttpMembers:
    """Implements `application.ports.Members`."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    def find(self, user_id: str, deadline: float) -> Member:
        match self._client.get(f"/api/users/{path_segment(user_id)}", deadline=deadline):
            case Answered(body=body):
                return _member(body)
            case NotFound():
                raise errors.MemberNotFound("There is no such member.")
            case Refused() | Unavailable() | UnknownOutcome():
                raise errors.DependencyUnavailable("The members' accounts cannot be reached; nothing was done.")


class HttpShelf:
    """Implements `application.ports.Shelf`."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    def take(self, book_id: str, loan_id: str, barcode: str | None, deadline: float) -> Copy:
        body = {"loan_id": loan_id} if barcode is None else {"loan_id": loan_id, "barcode": barcode}
        match self._client.post(
            f"/api/books/{path_segment(book_id)}/reserve", body, idempotent=True, deadline=deadline
        ):
            case Answered(body=answer):
                return Copy(barcode=answer["barcode"], title=answer.get("title") or "")
            case NotFound(code="copy_not_found"):
                raise ShelfRefused(errors.CopyNotFound("There is no such copy of this title."), in_doubt=False)
            case NotFound():
                # Nothing that does not exist can have been taken.
                raise ShelfRefused(errors.BookNotFound("There is no such title."), in_doubt=False)
            case Refused(code=code, attempt_lost=lost):
                error, sentence = _SHELF_REFUSALS.get(code, (errors.CopyNotAvailable, "The copy cannot be lent."))
                raise ShelfRefused(error(sentence), in_doubt=lost)
            case Unavailable(why=why):
                raise ShelfUnavailable(why)
            case UnknownOutcome(why=why):
                raise ShelfUnknown(why)

    def give_back(self, loan: Loan, deadline: float) -> None:
        body: dict[str, Any] = {"loan_id": loan.id}
        if loan.damaged:
            body["condition"] = "damaged"
        match self._client.post(
            f"/api/books/{path_segment(loan.book_id)}/release", body, idempotent=True, deadline=deadline
        ):
            case Answered() | NotFound():
                # A title that is not there holds no copy.
                return
            case Refused(code=code) | Unavailable(why=code) | UnknownOutcome(why=code):
                raise ShelfUnavailable(code)

    def locate(self, barcode: str, deadline: float) -> Located:
        match self._client.get(f"/api/books/copies/{path_segment(barcode)}", deadline=deadline):
            case Answered(body=answer):
                return Located(book_id=answer["book_id"], loan_id=answer.get("loan_id"))
            case NotFound():
                raise errors.CopyNotFound("There is no copy with this barcode.")
            case Refused() | Unavailable() | UnknownOutcome():
                raise errors.DependencyUnavailable("The catalogue cannot be reached; nothing was done.")


def _member(body: Mapping[str, Any]) -> Member:
    expires_at = body.get("expires_at")
    return Member(
        id=body["id"],
        role=body["role"],
        status=body["status"],
        expires_at=from_rfc3339(expires_at) if expires_at else None,
    )
