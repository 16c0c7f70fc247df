"""The users and books services over HTTP, behind the ports of `application.ports`."""

from collections.abc import Mapping
from typing import Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.service_client import (
    Answered,
    NotFound,
    Refused,
    Result,
    ServiceClient,
    Unavailable,
    UnknownOutcome,
    path_segment,
)
from loans_service.application.ports import BooksOutcomeUnknown, BooksUnavailable, CopyLocation
from loans_service.domain import errors
from loans_service.domain.loan import Copy, Loan, Member

_BOOKS_REFUSALS: dict[str, tuple[type[errors.RefusedByBooks], str]] = {
    "no_copies_available": (errors.NoCopiesAvailable, "No copy of this title is available."),
    "copy_not_available": (errors.CopyNotAvailable, "This copy is not available."),
    "book_archived": (errors.BookArchived, "This title is archived and no longer lent."),
    "loan_already_released": (errors.CheckoutCancelled, "The checkout was undone before it was completed."),
    "reservation_expired": (errors.CheckoutCancelled, "The checkout took too long and was undone."),
}


class HttpMembers:
    """Implements `application.ports.Members`."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    def find(self, user_id: str, deadline: float) -> Member:
        answer = self._client.get(f"/api/users/{path_segment(user_id)}", deadline=deadline)
        body = _read(answer, "users", errors.MemberNotFound())
        expires_at = body.get("expires_at")
        keep_history = (body.get("preferences") or {}).get("keep_history")
        return Member(
            id=body["id"],
            role=body["role"],
            status=body["status"],
            expires_at=from_rfc3339(expires_at) if expires_at else None,
            keeps_history=keep_history if isinstance(keep_history, bool) else None,
        )


class HttpBooks:
    """Implements `application.ports.BooksGateway`."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    def reserve(self, loan: Loan, deadline: float) -> Copy:
        body: dict[str, Any] = {"loan_id": loan.id}
        if loan.wanted_barcode is not None:
            body["barcode"] = loan.wanted_barcode
        if loan.lease_until is not None:
            # After this it must not reserve a copy: another process may have taken the loan over.
            body["valid_until"] = to_rfc3339(loan.lease_until)
        path = f"/api/books/{path_segment(loan.book_id)}/reserve"
        match self._client.post(path, body, idempotent=True, deadline=deadline):
            case Answered(body=answer):
                return Copy(answer["barcode"], answer.get("title") or "", answer.get("genre"))
            case NotFound(code="copy_not_found"):
                raise errors.CopyNotFound("There is no such copy of this title.")
            case NotFound():
                raise errors.BookNotFound
            case Refused(code=code) if code in _BOOKS_REFUSALS:
                error, sentence = _BOOKS_REFUSALS[code]
                raise error(sentence)
            case Refused(code=code):
                # This refusal says nothing about copies, nor what became of earlier attempts.
                raise BooksOutcomeUnknown(code)
            case Unavailable(why=why):
                raise BooksUnavailable(why)
            case UnknownOutcome(why=why):
                raise BooksOutcomeUnknown(why)

    def release(self, loan: Loan, deadline: float) -> None:
        body: dict[str, Any] = {"loan_id": loan.id}
        if loan.damaged:
            body["condition"] = "damaged"
        match self._client.post(
            f"/api/books/{path_segment(loan.book_id)}/release", body, idempotent=True, deadline=deadline
        ):
            case Answered() | NotFound():
                # A title that does not exist holds no copy.
                return
            case Refused(code=code) | Unavailable(why=code) | UnknownOutcome(why=code):
                raise BooksUnavailable(code)

    def find_copy(self, barcode: str, deadline: float) -> CopyLocation:
        answer = self._client.get(f"/api/books/copies/{path_segment(barcode)}", deadline=deadline)
        body = _read(answer, "books", errors.CopyNotFound("There is no copy with this barcode."))
        return CopyLocation(book_id=body["book_id"], loan_id=body.get("loan_id"), status=body.get("status", ""))


def _read(answer: Result, service: str, missing: errors.LendingError) -> Mapping[str, Any]:
    """What was read. Raises `missing`, DependencyUnavailable."""
    match answer:
        case Answered(body=body):
            return body
        case NotFound():
            raise missing
        case Refused() | Unavailable() | UnknownOutcome():
            raise errors.DependencyUnavailable(f"The {service} service is unavailable. Nothing was done.")
