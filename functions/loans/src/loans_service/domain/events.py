"""The events of loans. Fields are the event's `data`."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

EVENT_GENRE = 60
"""Characters of a genre that travel with an event."""


class _LoanEvent(BaseModel):
    model_config = ConfigDict(frozen=True)

    loan_id: str
    user_id: str
    book_id: str
    barcode: str


class LoanCreated(_LoanEvent):
    """A copy was issued to a member (BookIssued in older descriptions). Moments are RFC 3339 UTC.

    Version 2 added `genre`, of the title when it was issued; missing where books said none.
    """

    type: ClassVar[str] = "LoanCreated"
    version: ClassVar[int] = 2

    title: str
    genre: Annotated[str, Field(max_length=EVENT_GENRE)] | None = None
    role: str
    issue_date: str
    due_date: str


class LoanRenewed(_LoanEvent):
    """The due date moved. `extensions_count` counts this one."""

    type: ClassVar[str] = "LoanRenewed"
    version: ClassVar[int] = 1

    title: str
    old_due_date: str
    due_date: str
    extensions_count: int


class LoanReturned(_LoanEvent):
    """The copy came back (BookReturned in older descriptions). `condition`: good or damaged."""

    type: ClassVar[str] = "LoanReturned"
    version: ClassVar[int] = 1

    title: str
    issue_date: str
    due_date: str
    return_date: str
    condition: str


ALL = (LoanCreated, LoanRenewed, LoanReturned)
