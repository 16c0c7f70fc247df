"""What clients send: request bodies and query strings, and what the use cases make of them."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from books_service.application.cataloguing import MAX_COPIES_AT_ONCE
from books_service.application.criteria import Criteria, Sort
from books_service.application.isbn import to_isbn13
from books_service.domain import title as limits
from books_service.domain.barcodes import BARCODE_PATTERN
from books_service.domain.stock import MAX_COPIES, MAX_SHELF, CopyStatus
from books_service.domain.title import Metadata, Price
from library_common.http import ListQuery, RequestBody, with_examples
from library_common.money import Money
from library_common.text import IN_ANY_CASE, LanguageCode, Line, Prose
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
type Barcode = Annotated[str, Field(pattern=BARCODE_PATTERN)]
type Shelf = Annotated[Line, Field(min_length=1, max_length=MAX_SHELF)]
type LoanId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class _Described(RequestBody):
    """The description of a title, whole."""

    title: TitleText
    author: AuthorText
    isbn: Isbn | None = None
    published_year: Year | None = None
    genre: Genre | None = None
    language: LanguageCode | None = None
    publisher: Publisher | None = None
    edition: Edition | None = None
    subjects: Subjects = Field(default_factory=list)
    description: Description | None = None
    cover_url: WebAddress | None = None
    replacement_price: Money | None = None

    def metadata(self) -> Metadata:
        return Metadata(
            title=self.title,
            author=self.author,
            isbn=self.isbn,
            published_year=self.published_year,
            genre=self.genre,
            language=self.language,
            publisher=self.publisher,
            edition=self.edition,
            subjects=tuple(self.subjects),
            description=self.description,
            cover_url=self.cover_url,
            replacement_price=_price(self.replacement_price),
        )


class NewBook(_Described):
    """A title to enter, with that many new copies."""

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
    """A title's description anew. What is left out is cleared; `copies` left out stays."""

    copies: CopyCount | None = None


class BookChanges(RequestBody):
    """Some of a title's description. What is left out stays; null clears what may be missing."""

    # The factories only make these fields optional without making them nullable: a field that was
    # not sent is never looked at.
    title: TitleText = Field(default_factory=str)
    author: AuthorText = Field(default_factory=str)
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
    copies: CopyCount = Field(default_factory=int)

    def described(self) -> dict[str, Any]:
        """The fields of `Metadata` that were sent, in its own types."""
        sent = {name: getattr(self, name) for name in self.model_fields_set - {"copies"}}
        if "subjects" in sent:
            sent["subjects"] = tuple(self.subjects or ())
        if "replacement_price" in sent:
            sent["replacement_price"] = _price(self.replacement_price)
        return sent

    def count(self) -> int | None:
        return self.copies if "copies" in self.model_fields_set else None


class Availability(RequestBody):
    """The number of copies that stand on the shelf."""

    available_copies: CopyCount


class NewCopies(RequestBody):
    """`count` copies with generated barcodes, or one with a barcode of the library's own."""

    barcode: Barcode | None = None
    shelf: Shelf | None = None
    count: Annotated[int, Field(strict=True, ge=1, le=MAX_COPIES_AT_ONCE)] = 1

    @model_validator(mode="after")
    def _one_per_barcode(self) -> "NewCopies":
        if self.barcode is not None and self.count != 1:
            raise ValueError("a barcode names one copy: leave count out")
        return self


type StatusByHand = Literal[CopyStatus.AVAILABLE, CopyStatus.LOST, CopyStatus.DAMAGED, CopyStatus.WITHDRAWN]


class CopyChanges(RequestBody):
    """What to set right about a copy. Lending sets the other states."""

    # Optional without being nullable, as in BookChanges.
    status: StatusByHand = Field(default_factory=lambda: CopyStatus.AVAILABLE)
    shelf: Shelf | None = None

    def sent(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class Reserve(RequestBody):
    """The loan that wants a copy, which one if not any, and until when it is any use to it."""

    loan_id: LoanId
    barcode: Barcode | None = None
    valid_until: Timestamp | None = None


class Release(RequestBody):
    """The loan that gives its copy back, and how the copy is."""

    loan_id: LoanId
    barcode: Barcode | None = None
    condition: Literal["good", "damaged"] = "good"


class BookQuery(ListQuery):
    """Filters of the list of titles; all given ones have to hold."""

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
        return Criteria(
            search=self.search or None,
            title=self.title or None,
            author=self.author or None,
            genre=self.genre,
            isbn=self.isbn,
            language=self.language,
            available=self.available,
            include_archived=self.include_archived,
            sort=self.sort,
        )


class CopyQuery(ListQuery):
    """Filters of the list of copies."""

    status: Annotated[CopyStatus | None, IN_ANY_CASE, Field(description="In lower case or capitals.")] = None


def _price(money: Money | None) -> Price | None:
    return Price(money.minor_units, money.currency) if money else None
