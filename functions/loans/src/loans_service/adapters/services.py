"""The users and books services over HTTP, behind the ports of `application.ports`."""

from collections.abc import Mapping
from typing import Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.service_client import (
    Answered,
    NotFound,
    Refused,
    ServiceClient,
    Unavailable,
    UnknownOutcome,
    path_segment,
)
from loans_service.application.ports import Located, ShelfUnavailable, ShelfUnknown
from loans_service.domain import errors
from loans_service.domain.loan import Copy, Loan, Member

_SHELF_REFUSALS: dict[str, tuple[type[errors.RefusedByBooks], str]] = {
    "no_copies_available": (errors.NoCopiesAvailable, "No copy of this title is available."),
    "copy_not_available": (errors.CopyNotAvailable, "This copy is not available."),
    "book_archived": (errors.BookArchived, "This title is archived and not lent any more."),
    "loan_already_released": (errors.CheckoutCancelled, "The checkout was undone before it was completed."),
    "reservation_expired": (errors.CheckoutCancelled, "The checkout took too long and was undone."),
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

    def take(self, loan: Loan, deadline: float) -> Copy:
        body: dict[str, Any] = {"loan_id": loan.id}
        if loan.wanted_barcode is not None:
            body["barcode"] = loan.wanted_barcode
        if loan.lease_until is not None:
            # Arriving later than this it must not take a copy: somebody else may have the loan by then.
            body["valid_until"] = to_rfc3339(loan.lease_until)
        path = f"/api/books/{path_segment(loan.book_id)}/reserve"
        match self._client.post(path, body, idempotent=True, deadline=deadline):
            case Answered(body=answer):
                return Copy(answer["barcode"], answer.get("title") or "", answer.get("genre"))
            case NotFound(code="copy_not_found"):
                raise errors.CopyNotFound("There is no such copy of this title.")
            case NotFound():
                raise errors.BookNotFound("There is no such title.")
            case Refused(code=code) if code in _SHELF_REFUSALS:
                error, sentence = _SHELF_REFUSALS[code]
                raise error(sentence)
            case Refused(code=code):
                # Not an answer of books about copies: what became of the attempts before it, it does not say.
                raise ShelfUnknown(code)
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
        keeps_history=_said((body.get("preferences") or {}).get("keep_history")),
    )


def _said(wish: object) -> bool | None:
    """What is neither yes nor no was not said."""
    return wish if isinstance(wish, bool) else None
