"""What the use cases answer, in the shape the API gives it."""

from datetime import UTC, datetime

from pydantic import BaseModel

from books_service.domain.book import Book
from books_service.domain.stock import Copy, CopyStatus, Stock
from library_common.clock import to_rfc3339
from library_common.money import Money


class BookView(BaseModel):
    """A title with the counts of its copies."""

    id: str
    title: str
    author: str
    isbn: str | None
    published_year: int | None
    genre: str | None
    language: str | None
    publisher: str | None
    edition: str | None
    subjects: list[str]
    description: str | None
    cover_url: str | None
    replacement_price: Money | None
    total_copies: int
    available_copies: int
    archived: bool
    version: int
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, book: Book) -> "BookView":
        title, stock = book.title, book.stock
        described = title.metadata
        price = described.replacement_price
        return cls(
            id=title.id,
            title=described.title,
            author=described.author,
            isbn=described.isbn,
            published_year=described.published_year,
            genre=described.genre,
            language=described.language,
            publisher=described.publisher,
            edition=described.edition,
            subjects=list(described.subjects),
            description=described.description,
            cover_url=described.cover_url,
            replacement_price=Money.from_minor_units(price.minor_units, price.currency) if price else None,
            total_copies=stock.total,
            available_copies=stock.available,
            archived=title.archived,
            version=title.version,
            created_at=to_rfc3339(title.created_at),
            updated_at=to_rfc3339(title.updated_at),
        )


class CopyView(BaseModel):
    """One physical copy. `loan_id` and `held_since` are there while a loan holds it."""

    barcode: str
    status: CopyStatus
    shelf: str | None
    loan_id: str | None
    held_since: str | None

    @classmethod
    def of(cls, copy: Copy, stock: Stock) -> "CopyView":
        loan_id = stock.loan_of(copy.barcode)
        since = None
        if loan_id is not None:
            since = to_rfc3339(datetime.fromtimestamp(stock.held[loan_id].since, tz=UTC))
        return cls(barcode=copy.barcode, status=copy.status, shelf=copy.shelf, loan_id=loan_id, held_since=since)


class CopiesView(BaseModel):
    """Copies just added, with the counts after that."""

    book_id: str
    items: list[CopyView]
    total_copies: int
    available_copies: int


class FoundCopyView(CopyView):
    """A copy found by its barcode, with the title it belongs to."""

    book_id: str
    book: BookView

    @classmethod
    def found(cls, copy: Copy, book: Book) -> "FoundCopyView":
        return cls(**CopyView.of(copy, book.stock).model_dump(), book_id=book.title.id, book=BookView.of(book))


class AvailabilityView(BaseModel):
    """Where the copies of a title are.

    next_due_date and holds_waiting belong to circulation, which this service learns of through
    events; until it is told, no date is known (null) and nobody is known to wait (0).
    """

    book_id: str
    archived: bool
    total_copies: int
    available_copies: int
    by_status: dict[CopyStatus, int]
    next_due_date: str | None = None
    holds_waiting: int = 0

    @classmethod
    def of(cls, stock: Stock) -> "AvailabilityView":
        return cls(
            book_id=stock.book_id,
            archived=stock.archived,
            total_copies=stock.total,
            available_copies=stock.available,
            by_status=stock.by_status(),
        )


class ReservationView(BaseModel):
    """The copy a loan holds now."""

    loan_id: str
    book_id: str
    barcode: str
    title: str
    genre: str | None = None


class ReleaseView(BaseModel):
    """How a release ended. Not `released`: the loan held nothing of this title (any more).

    barcode and status are those of the copy that came back.
    """

    loan_id: str
    book_id: str
    title: str
    released: bool
    barcode: str | None = None
    status: CopyStatus | None = None
