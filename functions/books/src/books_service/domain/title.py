"""A title: what the library knows about a work it owns, whatever happens to the copies."""

from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from books_service.domain.errors import BookFieldsRefused
from books_service.domain.stock import Stock

MAX_TITLE = 500
MAX_AUTHOR = 300
MAX_SUBJECTS = 20
MAX_SUBJECT = 200
MAX_DESCRIPTION = 4000
MAX_PUBLISHER = 200
MAX_EDITION = 200
MAX_GENRE = 60
MAX_URL = 500

YEARS_AHEAD = 2
"""Publishers announce this far ahead, and libraries order from the announcement."""


@dataclass(frozen=True)
class Price:
    """An amount in a currency's minor units (cents), as it is stored."""

    minor_units: int
    currency: str


@dataclass(frozen=True)
class Metadata:
    """The description of a title. `isbn` is 13 digits; `language` a lower-case ISO 639 code."""

    title: str
    author: str
    isbn: str | None = None
    published_year: int | None = None
    genre: str | None = None
    language: str | None = None
    publisher: str | None = None
    edition: str | None = None
    subjects: tuple[str, ...] = ()
    description: str | None = None
    cover_url: str | None = None
    replacement_price: Price | None = None

    def require_plausible(self, now: datetime) -> None:
        """Raises BookFieldsRefused for a year of publication that is further ahead than announcements go."""
        latest = now.year + YEARS_AHEAD
        if self.published_year is not None and self.published_year > latest:
            raise BookFieldsRefused([("published_year", f"must not be later than {latest}")])

    def differing(self, other: "Metadata") -> list[str]:
        """The names of the fields in which the two differ."""
        return [field.name for field in fields(self) if getattr(self, field.name) != getattr(other, field.name)]


@dataclass(frozen=True)
class Title:
    """A catalogued title. `version` counts what librarians change: the metadata, `archived`, the number of
    copies of the title or on the shelf. Lending is not among it."""

    id: str
    metadata: Metadata
    created_at: datetime
    updated_at: datetime
    archived: bool = False
    version: int = 1

    def described_as(self, metadata: Metadata, now: datetime) -> "Title":
        """The title with other metadata; the very same when nothing differs."""
        return self if metadata == self.metadata else self._next(now, metadata=metadata)

    def recounted(self, now: datetime) -> "Title":
        """The number of its copies was set: whoever set it by what they had read before is to be told."""
        return self._next(now)

    def archive(self, now: datetime) -> "Title":
        """Out of lists and lending; idempotent."""
        return self if self.archived else self._next(now, archived=True)

    def restore(self, now: datetime) -> "Title":
        """Undoes `archive`; idempotent."""
        return self._next(now, archived=False) if self.archived else self

    def _next(self, now: datetime, **changes: Any) -> "Title":
        return replace(self, **changes, version=self.version + 1, updated_at=now)


@dataclass(frozen=True)
class Book:
    """Two things with one id that change independently: the description, and the copies."""

    title: Title
    stock: Stock

    @property
    def id(self) -> str:
        return self.title.id
