"""The request and response bodies of the books API, and its query strings."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, model_validator

from books_service.application.criteria import Criteria, Sort
from books_service.application.isbn import to_isbn13
from books_service.application.titles import MAX_COPIES_AT_ONCE
from books_service.domain import stock as domain
from books_service.domain import title as limits
from books_service.domain.stock import MAX_COPIES, MAX_SHELF, Copy, CopyStatus, Stock
from books_service.domain.title import Book, Metadata, Price
from library_common.clock import to_rfc3339
from library_common.http import ListQuery, RequestBody, with_examples
from library_common.money import Money
from library_common.text import IN_ANY_CASE, Barcode, LanguageCode, Line, Prose
from library_common.timestamps import Timestamp


def _web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(char.isspace() for char in value):
        raise ValueError("must be an http or https address")
    return value


type TitleText = Annotated[Line, Field(min_length=1, max_length=limits.MAX_TITLE)]
type AuthorText = Annotated[Line, Field(min_length=1, max_length=limits.MAX_AUTHOR)]
type Isbn = Annotated[
    Line,
    Field(max_length=40, description="ISBN-10 or ISBN-13, hyphens and spaces allowed."),
    AfterValidator(to_isbn13),
]
type Genre = Annotated[Line, Field(min_length=1, max_length=limits.MAX_GENRE)]
type Subjects = Annotated[
    list[Annotated[Line, Field(min_length=1, max_length=limits.MAX_SUBJECT)]], Field(max_length=limits.MAX_SUBJECTS)
]
type Year = Annotated[int, Field(strict=True, ge=1, le=9999)]
type Publisher = Annotated[Line, Field(min_length=1, max_length=limits.MAX_PUBLISHER)]
type Edition = Annotated[Line, Field(min_length=1, max_length=limits.MAX_EDITION)]
type Description = Annotated[Prose, Field(min_length=1, max_length=limits.MAX_DESCRIPTION)]
type WebAddress = Annotated[Line, Field(max_length=limits.MAX_URL), AfterValidator(_web_address)]
type CopyCount = Annotated[int, Field(strict=True, ge=0, le=MAX_COPIES)]
type Shelf = Annotated[Line, Field(min_length=1, max_length=MAX_SHELF)]
type LoanId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class _Description(RequestBody):
    """What the bodies that describe a title have in common."""

    title: TitleText
    author: AuthorText
    isbn: Isbn | None = None
    published_year: Year | None = None
    genre: Genre | None = None
    language: LanguageCode | None = None
    publisher: Publisher | None = None
    edition: Edition | None = None
    subjects: Subjects | None = None
    description: Description | None = None
    cover_url: WebAddress | None = None
    replacement_price: Money | None = None

    def _metadata_fields(self, names: Iterable[str]) -> dict[str, Any]:
        """These fields, in the types of `Metadata`."""
        values = {name: getattr(self, name) for name in names}
        if "subjects" in values:
            values["subjects"] = tuple(values["subjects"] or ())
        if price := values.get("replacement_price"):
            values["replacement_price"] = Price(price.minor_units, price.currency)
        return values


class _Described(_Description):
    """The whole description of a title."""

    subjects: Subjects = Field(default_factory=list)

    def metadata(self) -> Metadata:
        return Metadata(**self._metadata_fields(_Described.model_fields))


class NewBook(_Described):
    """A new title with that many copies."""

    model_config = with_examples(
        {"title": "Clean Code", "author": "Robert C. Martin", "isbn": "978-0-13-235088-4", "copies": 3},
        {
            "title": "The Hobbit",
            "author": "J. R. R. Tolkien",
            "isbn": "0-261-10221-4",
            "published_year": 1991,
            "genre": "Fantasy",
            "language": "en",
            "publisher": "HarperCollins",
            "subjects": ["Dragons", "Journeys"],
            "description": "There and back again.",
            "replacement_price": {"amount": "12.50", "currency": "USD"},
            "copies": 2,
        },
    )

    copies: Annotated[int, Field(strict=True, ge=0, le=MAX_COPIES_AT_ONCE)] = 1


class WholeBook(_Described):
    """The whole description of a title. Fields that are left out are cleared, except `copies`."""

    copies: CopyCount | None = None


class BookChanges(_Description):
    """Changes of a title. Fields that are left out stay as they are; null clears an optional one."""

    # The factories make these fields optional but not nullable. Their values are never used.
    title: TitleText = Field(default_factory=str)
    author: AuthorText = Field(default_factory=str)
    copies: CopyCount = Field(default_factory=int)

    def described(self) -> dict[str, Any]:
        """The fields of `Metadata` that were sent, in the types of `Metadata`."""
        return self._metadata_fields(self.model_fields_set - {"copies"})

    def count(self) -> int | None:
        return self.copies if "copies" in self.model_fields_set else None


class Availability(RequestBody):
    """The number of available copies."""

    available_copies: CopyCount


class NewCopies(RequestBody):
    """`count` copies with generated barcodes, or one with a barcode of your own."""

    barcode: Barcode | None = None
    shelf: Shelf | None = None
    count: Annotated[int, Field(strict=True, ge=1, le=MAX_COPIES_AT_ONCE)] = 1

    @model_validator(mode="after")
    def _one_per_barcode(self) -> "NewCopies":
        if self.barcode is not None and self.count != 1:
            raise ValueError("a barcode belongs to one copy: omit count")
        return self


type StatusByHand = Literal[CopyStatus.AVAILABLE, CopyStatus.LOST, CopyStatus.DAMAGED, CopyStatus.WITHDRAWN]


class CopyChanges(RequestBody):
    """The new status or shelf of a copy. Lending sets the other statuses."""

    # Optional but not nullable, as in BookChanges.
    status: StatusByHand = Field(default_factory=lambda: CopyStatus.AVAILABLE)
    shelf: Shelf | None = None

    def sent(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class Reserve(RequestBody):
    """The loan that needs a copy. barcode: which copy; any if omitted. valid_until: when the request expires."""

    loan_id: LoanId
    barcode: Barcode | None = None
    valid_until: Timestamp | None = None


class Release(RequestBody):
    """The loan that gives its copy back, and the condition of the copy."""

    loan_id: LoanId
    barcode: Barcode | None = None
    condition: Literal["good", "damaged"] = "good"


class BookQuery(ListQuery):
    """Filters of the list of titles. A title must match all that are given."""

    search: Annotated[Line, Field(max_length=200, description="Words of title, author, subjects, or an ISBN.")] = ""
    title: Annotated[Line, Field(max_length=200, description="Words of the title.")] = ""
    author: Annotated[Line, Field(max_length=200, description="Words of the author.")] = ""
    genre: Genre | None = None
    isbn: Isbn | None = None
    language: LanguageCode | None = None
    available: bool | None = None
    include_archived: Annotated[bool, Field(description="Librarians only.")] = False
    sort: Sort = "title"

    def criteria(self) -> Criteria:
        return Criteria(**self.model_dump(exclude={"limit", "cursor"}))


class CopyQuery(ListQuery):
    """Filters of the list of copies."""

    status: Annotated[CopyStatus | None, IN_ANY_CASE, Field(description="In lower case or capitals.")] = None


# -- responses ------------------------------------------------------------------------------------

type ShownStatus = CopyStatus | str
"""A newer version of the service may have stored a status that this one does not know: it is shown as it is."""


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
        price = title.metadata.replacement_price
        described = vars(title.metadata) | {
            "subjects": list(title.metadata.subjects),
            "replacement_price": Money.from_minor_units(price.minor_units, price.currency) if price else None,
        }
        return cls(
            **described,
            id=title.id,
            total_copies=stock.total,
            available_copies=stock.available,
            archived=title.archived,
            version=title.version,
            created_at=to_rfc3339(title.created_at),
            updated_at=to_rfc3339(title.updated_at),
        )


class CopyView(BaseModel):
    """One physical copy. `loan_id` and `held_since` are null unless a loan holds it."""

    barcode: str
    status: ShownStatus
    shelf: str | None
    loan_id: str | None
    held_since: str | None

    @classmethod
    def of(cls, copy: Copy, stock: Stock) -> "CopyView":
        loan_id = stock.loan_of(copy.barcode)
        since = to_rfc3339(datetime.fromtimestamp(stock.held[loan_id].since, tz=UTC)) if loan_id else None
        return cls(barcode=copy.barcode, status=copy.status, shelf=copy.shelf, loan_id=loan_id, held_since=since)


class CopiesView(BaseModel):
    """The added copies, and the counts after that."""

    book_id: str
    items: list[CopyView]
    total_copies: int
    available_copies: int

    @classmethod
    def of(cls, copies: list[Copy], stock: Stock) -> "CopiesView":
        return cls(
            book_id=stock.book_id,
            items=[CopyView.of(copy, stock) for copy in copies],
            total_copies=stock.total,
            available_copies=stock.available,
        )


class FoundCopyView(CopyView):
    """A copy found by its barcode, with the title it belongs to."""

    book_id: str
    book: BookView

    @classmethod
    def found(cls, copy: Copy, book: Book) -> "FoundCopyView":
        return cls(**CopyView.of(copy, book.stock).model_dump(), book_id=book.id, book=BookView.of(book))


class AvailabilityView(BaseModel):
    """Where the copies of a title are.

    next_due_date and holds_waiting are always null and 0: this service does not know them yet.
    """

    book_id: str
    archived: bool
    total_copies: int
    available_copies: int
    by_status: dict[ShownStatus, int]
    next_due_date: str | None = None
    holds_waiting: int = 0

    @classmethod
    def of(cls, stock: Stock) -> "AvailabilityView":
        return cls(
            book_id=stock.book_id,
            archived=stock.archived,
            total_copies=stock.total,
            available_copies=stock.available,
            by_status=dict(stock.by_status()),
        )


class ReservationView(BaseModel):
    """The copy that the loan holds now."""

    loan_id: str
    book_id: str
    barcode: str
    title: str
    genre: str | None = None

    @classmethod
    def of(cls, reservation: domain.Reservation) -> "ReservationView":
        stock = reservation.stock
        return cls(
            loan_id=reservation.loan_id,
            book_id=stock.book_id,
            barcode=reservation.barcode,
            title=stock.title,
            genre=stock.genre,
        )


class ReleaseView(BaseModel):
    """The result of a release. `released` is false if the loan held no copy of this title.

    barcode and status are those of the copy that came back.
    """

    loan_id: str
    book_id: str
    title: str
    released: bool
    barcode: str | None = None
    status: ShownStatus | None = None

    @classmethod
    def of(cls, release: domain.Release) -> "ReleaseView":
        return cls(
            loan_id=release.loan_id,
            book_id=release.stock.book_id,
            title=release.stock.title,
            released=release.released,
            barcode=release.held.barcode if release.held else None,
            status=release.after,
        )
