"""The events of the books service.

The events are small because they live inside the stored item until its next write. They say what
changed, not everything: a consumer that shows a title reads it again, which is also right when two
events arrive in the wrong order.
"""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from books_service.domain.stock import CopyStatus, CopyStatusChange, Stock
from books_service.domain.title import Metadata, Title
from books_service.domain.truncation import truncate

EVENT_TEXT = 120
"""Characters of a title or author that travel with an event."""

EVENT_GENRE = 60
"""Characters of a genre that travel with an event: as many as it may have today."""


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True)


class _AboutTitle(_Event):
    book_id: str
    book_version: int


class _Described(_AboutTitle):
    """What the title is like now. `title` and `author` may be cut, after a word and with `…`; `genre` is missing where
    there is none.
    """

    title: Annotated[str, Field(max_length=EVENT_TEXT)]
    author: Annotated[str, Field(max_length=EVENT_TEXT)]
    genre: Annotated[str, Field(max_length=EVENT_GENRE)] | None = None


class BookAdded(_Described):
    """A title entered the catalogue. Version 2 added `genre`."""

    type: ClassVar[str] = "BookAdded"
    version: ClassVar[int] = 2

    isbn: str | None = None
    total_copies: int

    @classmethod
    def of(cls, title: Title, stock: Stock) -> "BookAdded":
        return cls(
            book_id=title.id,
            book_version=title.version,
            **_described(title),
            isbn=title.metadata.isbn,
            total_copies=stock.total,
        )


class BookUpdated(_Described):
    """The description changed. `changed` names the fields. Version 2 added what the title is like now."""

    type: ClassVar[str] = "BookUpdated"
    version: ClassVar[int] = 2

    changed: list[str]

    @classmethod
    def of(cls, title: Title, before: Metadata) -> "BookUpdated":
        return cls(
            book_id=title.id,
            book_version=title.version,
            **_described(title),
            changed=title.metadata.differing(before),
        )


def _described(title: Title) -> dict[str, Any]:
    described = title.metadata
    return {
        "title": truncate(described.title, EVENT_TEXT),
        "author": truncate(described.author, EVENT_TEXT),
        "genre": described.genre[:EVENT_GENRE] if described.genre else None,
    }


class BookRemoved(_AboutTitle):
    """The title was archived."""

    type: ClassVar[str] = "BookRemoved"
    version: ClassVar[int] = 1


class BookRestored(_AboutTitle):
    """An archived title is back in the catalogue."""

    type: ClassVar[str] = "BookRestored"
    version: ClassVar[int] = 1


class CopyChange(_Event):
    """One copy's change. Without `previous` the copy is new; without `status` it is no longer held by the library."""

    barcode: str
    previous: CopyStatus | None = None
    status: CopyStatus | None = None


class CopyStatusChanged(_Event):
    """Copies of one title were lent, came back, were added, removed or set right, all in one act.

    loan_id: the loan that caused it, when one did. There are no counts in it: reservations of one
    title do not wait for each other, so no single one knows the count after it.
    """

    type: ClassVar[str] = "CopyStatusChanged"
    version: ClassVar[int] = 1

    book_id: str
    copies: list[CopyChange]
    loan_id: str | None = None

    @classmethod
    def of(cls, book_id: str, changes: list[CopyStatusChange], loan_id: str | None = None) -> "CopyStatusChanged":
        return cls(
            book_id=book_id,
            copies=[CopyChange.model_validate(change, from_attributes=True) for change in changes],
            loan_id=loan_id,
        )
