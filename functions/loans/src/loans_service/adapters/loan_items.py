"""The items of a loan and of a member's account, as they are stored."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import Item
from loans_service.adapters.stored_items import with_current_names
from loans_service.domain.loan import STORED_STATUSES, Account, Loan, LoanStatus

OLD_NAMES = {"version": "v", "extensions": "ext"}
"""Names of a loan's attributes in older versions."""

RELEASE_PENDING = "settling"
"""The attribute of `Loan.release_pending`. It keeps its old name: during a deployment the previous version's publisher
reads the images of new writes, and if it took such a loan for finished, the copy would be lost."""


def loan_key(loan_id: str) -> dict[str, str]:
    return {"pk": f"LOAN#{loan_id}", "sk": "LOAN"}


def account_key(user_id: str) -> dict[str, str]:
    return {"pk": f"MEMBER#{user_id}", "sk": "ACCOUNT"}


def loan_id_of(item: Mapping[str, Any]) -> str:
    return str(item["pk"]).removeprefix("LOAN#")


def account_of(item: Mapping[str, Any]) -> Account:
    return Account(
        open={loan_id: from_rfc3339(due) for loan_id, due in item["open"].items()},
        closed_loans_since=_timestamp(item.get("since")),
        erased_at=_timestamp(item.get("erased")),
    )


def attributes_of(loan: Loan) -> Item:
    """A loan as stored, without its key. False and empty attributes are None, to be left out: the item stays small."""
    returned, closed = _text(loan.returned_at), _text(loan.closed_at)
    return {
        "member": loan.user_id,
        "role": loan.role,
        "book": loan.book_id,
        "status": str(loan.status),
        "requested": to_rfc3339(loan.requested_at),
        "due": to_rfc3339(loan.due_at),
        "version": loan.version,
        "wanted": loan.wanted_barcode,
        "barcode": loan.barcode,
        "title": loan.title,
        "genre": loan.genre,
        "issued": _text(loan.issued_at),
        "first_due": _text(loan.first_due_at),
        "returned": returned,
        # Stored only where it differs, for returns that were dated back.
        "closed": closed if closed != returned else None,
        "extensions": loan.extensions or None,
        RELEASE_PENDING: loan.release_pending or None,
        "damaged": loan.damaged or None,
        "lease": epoch(loan.lease_until) if loan.lease_until else None,
        "digest": loan.request_digest,
        "refusal": list(loan.refusal) if loan.refusal else None,
        "open_copy": loan.barcode if loan.is_open else None,
        "anonymised": _text(loan.anonymised_at),
    }


def loan_of(stored: Mapping[str, Any]) -> Loan:
    """A stored loan. A status that this version does not know stays as it is."""
    item = with_current_names(stored, OLD_NAMES)
    refusal = item.get("refusal")
    status = item["status"]
    return Loan(
        id=loan_id_of(item),
        user_id=item.get("member"),  # not there once the loan is anonymised
        role=item["role"],
        book_id=item["book"],
        status=LoanStatus(status) if status in STORED_STATUSES else status,
        requested_at=from_rfc3339(item["requested"]),
        due_at=from_rfc3339(item["due"]),
        version=item["version"],
        wanted_barcode=item.get("wanted"),
        barcode=item.get("barcode"),
        title=item.get("title"),
        genre=item.get("genre"),
        issued_at=_timestamp(item.get("issued")),
        first_due_at=_timestamp(item.get("first_due")),
        returned_at=_timestamp(item.get("returned")),
        closed_at=_timestamp(item.get("closed") or item.get("returned")),
        extensions=item.get("extensions", 0),
        release_pending=item.get(RELEASE_PENDING, False),
        damaged=item.get("damaged", False),
        lease_until=datetime.fromtimestamp(item["lease"], UTC) if item.get("lease") else None,
        request_digest=item.get("digest"),
        refusal=(refusal[0], refusal[1]) if refusal else None,
        anonymised_at=_timestamp(item.get("anonymised")),
    )


def unfinished_loan_id(image: Mapping[str, Any]) -> tuple[str, bool] | None:
    """For the stream: a loan's id and whether this image of it is unfinished. None for other items."""
    if image.get("sk") != "LOAN":
        return None
    # As Loan.is_unfinished, but it reads as little as possible: a loan that is damaged otherwise must not stop the
    # stream.
    status = str(image.get("status", LoanStatus.CANCELLED))
    is_open_or_closed = status in STORED_STATUSES - {LoanStatus.PENDING}
    return loan_id_of(image), not is_open_or_closed or bool(image.get(RELEASE_PENDING))


def epoch(timestamp: datetime) -> int:
    """Whole seconds, as the table's expiry wants them."""
    return int(timestamp.timestamp())


def _text(timestamp: datetime | None) -> str | None:
    return to_rfc3339(timestamp) if timestamp else None


def _timestamp(text: str | None) -> datetime | None:
    return from_rfc3339(text) if text else None
