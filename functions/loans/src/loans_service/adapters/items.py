"""The items of the loans table: a loan and a member's account as they are stored, and how items are changed.

A change names the attributes it sets, so that what a newer version stored stays. Some attributes had other names in
older versions. Readers understand both names; the next versioned write of an item stores the new names and removes the
old ones.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import Expression, Item
from loans_service.domain.loan import STORED_STATUSES, Account, Loan, LoanStatus

OLD_NAMES = {"version": "v", "extensions": "ext"}
"""Names of a loan's attributes in older versions."""

RELEASE_PENDING = "settling"
"""The attribute of `Loan.release_pending`. It keeps its old name: during a deployment the previous version's publisher
reads the images of new writes, and if it took such a loan for finished, the copy would be lost."""

# Attribute -> field of `Loan`.
_AS_THEY_ARE = {
    "member": "user_id", "role": "role", "book": "book_id", "version": "version", "wanted": "wanted_barcode",
    "barcode": "barcode", "title": "title", "genre": "genre", "digest": "request_digest",
}  # fmt: skip
_UNLESS_ZERO = {"extensions": "extensions", "damaged": "damaged", RELEASE_PENDING: "release_pending"}
_TIMESTAMPS = {
    "requested": "requested_at", "due": "due_at", "issued": "issued_at", "first_due": "first_due_at",
    "returned": "returned_at", "anonymised": "anonymised_at",
}  # fmt: skip


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
    return {
        **{name: getattr(loan, field) for name, field in _AS_THEY_ARE.items()},
        **{name: getattr(loan, field) or None for name, field in _UNLESS_ZERO.items()},
        **{name: _text(getattr(loan, field)) for name, field in _TIMESTAMPS.items()},
        "status": str(loan.status),
        # Stored only where it differs, for returns that were dated back.
        "closed": _text(loan.closed_at) if loan.closed_at != loan.returned_at else None,
        "lease": epoch(loan.lease_until) if loan.lease_until else None,
        "refusal": list(loan.refusal) if loan.refusal else None,
        "open_copy": loan.barcode if loan.is_open else None,
    }


def loan_of(stored: Mapping[str, Any]) -> Loan:
    """A stored loan. A status that this version does not know stays as it is."""
    # An anonymised loan has no member; every other field without a default is in every item.
    item = {"member": None, **with_current_names(stored, OLD_NAMES)}
    refusal = item.get("refusal")
    status = item["status"]
    fields: dict[str, Any] = {
        **{field: item[name] for name, field in (_AS_THEY_ARE | _UNLESS_ZERO).items() if name in item},
        **{field: from_rfc3339(item[name]) for name, field in _TIMESTAMPS.items() if name in item},
    }
    return Loan(
        **fields,
        id=loan_id_of(item),
        status=LoanStatus(status) if status in STORED_STATUSES else status,
        closed_at=_timestamp(item.get("closed") or item.get("returned")),
        lease_until=datetime.fromtimestamp(item["lease"], UTC) if item.get("lease") else None,
        refusal=(refusal[0], refusal[1]) if refusal else None,
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


# -- changes ----------------------------------------------------------------------------------


def with_current_names(item: Mapping[str, Any], old_names: Mapping[str, str]) -> Item:
    """The item with its old attributes under their new names. old_names: new name -> old name."""
    return {**item, **{new: item[old] for new, old in old_names.items() if old in item and new not in item}}


def set_only(attributes: Mapping[str, Any], *, remove: Iterable[str] = ()) -> Expression:
    """An update that sets these attributes and no others. It removes those that are None, and those in `remove`."""
    values = {name: value for name, value in attributes.items() if value is not None}
    removed = [*(name for name in attributes if name not in values), *remove]
    clauses = [
        "SET " + ", ".join(f"#{name} = :{name}" for name in values) if values else "",
        "REMOVE " + ", ".join(f"#{name}" for name in removed) if removed else "",
    ]
    return Expression(" ".join(clauses), {name: name for name in (*values, *removed)}, values)


def was_version(version: int) -> Expression:
    """The condition that the item still has this version, under the new or the old name of the attribute."""
    return Expression(
        "(#version = :was_version OR (attribute_not_exists(#version) AND #v = :was_version))",
        {"version": "version", "v": "v"},
        {"was_version": version},
    )
