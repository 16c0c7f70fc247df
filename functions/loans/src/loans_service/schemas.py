"""The bodies and queries of the loans API."""

from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from library_common.clock import to_rfc3339
from library_common.http import ListQuery, RequestBody, with_examples
from library_common.text import IN_ANY_CASE, Barcode, Line
from library_common.timestamps import Timestamp
from loans_service.application.history import StatusFilter
from loans_service.domain.loan import Condition, Loan, LoanStatus

Id = Annotated[Line, Field(min_length=1, max_length=40)]
_Status = Annotated[
    StatusFilter | None,
    IN_ANY_CASE,
    Field(description="In lower case or, as loans answer it, in capitals. `active` includes what is overdue."),
]


class CheckoutBody(RequestBody):
    """Lend a title, or one particular copy by its barcode, to a member."""

    model_config = with_examples(
        {"user_id": "01JD7Y3MT5W8Q2R6XKZ4B9CFHN", "book_id": "01JD7Y6P0GS4V1N8DAHX3E7KQW"},
        {"user_id": "01JD7Y3MT5W8Q2R6XKZ4B9CFHN", "barcode": "30001000000002"},
    )

    user_id: Id
    book_id: Id | None = None
    barcode: Barcode | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.book_id is None) == (self.barcode is None):
            raise ValueError("give either book_id or barcode")
        return self


class ReturnDetails(RequestBody):
    """How and when a copy came back. Only a librarian may send `returned_at`, or a condition other than good."""

    model_config = with_examples(
        {"condition": "damaged"}, {"condition": "good", "returned_at": "2026-11-20T17:30:00+03:00"}
    )

    returned_at: Timestamp | None = None
    condition: Condition = Condition.GOOD


class ReturnBody(ReturnDetails):
    """Which loan, by its id or by the barcode of its copy."""

    model_config = with_examples(
        {"barcode": "30001000000002"}, {"loan_id": "01JD7YC1R2ZK5T9M8WQH4XF6BE", "condition": "damaged"}
    )

    loan_id: Id | None = None
    barcode: Barcode | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.loan_id is None) == (self.barcode is None):
            raise ValueError("give either loan_id or barcode")
        return self


class LoanView(BaseModel):
    """One loan. Dates are RFC 3339 UTC; `return_date` is null while the copy is out."""

    id: str
    user_id: Annotated[
        str | None,
        Field(description="Null once the loan is anonymised; only staff and services can read it then, by its id."),
    ]
    book_id: str
    barcode: str
    title: str
    status: Annotated[LoanStatus | str, Field(description="A newer version may add others.")]
    issue_date: str
    due_date: str
    return_date: str | None
    extensions_count: int
    version: int

    @classmethod
    def of(cls, loan: Loan, status: LoanStatus | str) -> Self:
        """The loan, shown with this status (`Loan.status_at`)."""
        return cls(
            id=loan.id,
            user_id=loan.user_id,
            book_id=loan.book_id,
            barcode=loan.barcode or "",
            title=loan.title or "",
            status=status,
            issue_date=to_rfc3339(loan.issued_at or loan.requested_at),
            due_date=to_rfc3339(loan.due_at),
            return_date=to_rfc3339(loan.returned_at) if loan.returned_at else None,
            extensions_count=loan.extensions,
            version=loan.version,
        )


class ObligationsView(BaseModel):
    """What a member still owes the library."""

    open_loans: Annotated[int, Field(description="Copies the member has, and checkouts that are not finished yet.")]


class LoansQuery(ListQuery):
    """Whose loans, and which."""

    user_id: Annotated[Line | None, Field(max_length=40, description="Members may leave it out: their own.")] = None
    status: _Status = None


class MemberLoansQuery(ListQuery):
    """Which of the member's loans."""

    status: _Status = None
