"""The plain search of the catalogue: which words a title is found by, and what a list query asks for.

This is the desk's search, right to the last write. Ranking, spelling and facets are the search
service's.
"""

from dataclasses import dataclass
from typing import Literal

from books_service.application.isbn import isbn13_or_none
from books_service.domain.book import Book
from books_service.domain.title import Metadata
from library_common.text import fold, words

MAX_INDEXED_WORDS = 40
"""Per title. A change of the title's name rewrites every entry, removing and adding, and has to fit with all
the rest into one transaction of 100 operations."""

MAX_QUERY_WORDS = 8
"""Words a query is answered by. Further ones are verified on what those find."""

_TITLE_WORDS_FIRST = 28
_AUTHOR_WORDS_FIRST = 8
_MAX_WORD = 40
_MAX_SORT = 60
_ARTICLES = ("the ", "a ", "an ")
_BEFORE_ANY_WORD = "  "
_ID_LENGTH = 26
MIN_SORT_KEY = len(_BEFORE_ANY_WORD) + _ID_LENGTH
MAX_SORT_KEY = _MAX_SORT + MIN_SORT_KEY

EVERYTHING = "*"
_KINDS = "iwgl*"

type Sort = Literal["title", "-title"]


def sort_key(title: str, book_id: str) -> str:
    """Where a title stands in the list: its folded words without a leading article, cut, then its id.

    Two spaces part the two, so that `Emma` comes before `Emma in love`.
    """
    plain = " ".join("".join(c if c.isalnum() else " " for c in fold(title)).split())
    for article in _ARTICLES:
        if plain.startswith(article):
            plain = plain.removeprefix(article)
            break
    return plain[:_MAX_SORT].rstrip() + _BEFORE_ANY_WORD + book_id


def id_in(key: str) -> str:
    """The book id at the end of a sort key."""
    return key[-_ID_LENGTH:]


def indexed_words(metadata: Metadata) -> list[str]:
    """The words a title is found by: at most MAX_INDEXED_WORDS, the most telling ones first."""
    title, author = _words(metadata.title), _words(metadata.author)
    subjects = _words(" / ".join(metadata.subjects))
    # A sprawling title must not push its author out of the index.
    ranked = [
        *title[:_TITLE_WORDS_FIRST],
        *author[:_AUTHOR_WORDS_FIRST],
        *subjects,
        *title[_TITLE_WORDS_FIRST:],
        *author[_AUTHOR_WORDS_FIRST:],
    ]
    return list(dict.fromkeys(ranked))[:MAX_INDEXED_WORDS]


def terms_of(metadata: Metadata) -> frozenset[str]:
    """The index terms of a title: `*` of every title, `w:` words, `i:` ISBN, `g:` genre, `l:` language."""
    terms = {EVERYTHING, *(f"w:{word}" for word in indexed_words(metadata))}
    if metadata.isbn:
        terms.add(f"i:{metadata.isbn}")
    if metadata.genre:
        terms.add(_genre_term(metadata.genre))
    if metadata.language:
        terms.add(f"l:{metadata.language}")
    return frozenset(terms)


@dataclass(frozen=True)
class Criteria:
    """What a list is asked for. All given conditions have to hold.

    search: words of title, author or subjects, or an ISBN. title, author: words of that field.
    available: True for titles with a copy on the shelf, False for those without.
    """

    search: str | None = None
    title: str | None = None
    author: str | None = None
    genre: str | None = None
    isbn: str | None = None
    language: str | None = None
    available: bool | None = None
    include_archived: bool = False
    sort: Sort = "title"

    @property
    def descending(self) -> bool:
        return self.sort == "-title"

    @property
    def impossible(self) -> bool:
        """Words were asked for, but what was given has none in it: nothing can match."""
        return any(text and not _search_terms(text) for text in (self.search, self.title, self.author))

    def terms(self) -> frozenset[str]:
        """Every index term a match must have."""
        terms = _search_terms(self.search or "")
        terms |= {f"w:{word}" for text in (self.title, self.author) for word in _words(text or "")}
        if self.isbn:
            terms.add(f"i:{self.isbn}")
        if self.genre:
            terms.add(_genre_term(self.genre))
        if self.language:
            terms.add(f"l:{self.language}")
        return frozenset(terms or {EVERYTHING})

    def leading_terms(self) -> list[str]:
        """The terms to look up: the rarest by their kind and length, at most MAX_QUERY_WORDS."""
        rarest_first = sorted(self.terms(), key=lambda term: (_KINDS.index(term[0]), -len(term), term))
        return rarest_first[:MAX_QUERY_WORDS]

    def matches(self, book: Book) -> bool:
        """Whether a title, as it is now, is what was asked for."""
        metadata = book.title.metadata
        return (
            (self.include_archived or not book.title.archived)
            and (self.available is None or (book.stock.available > 0) == self.available)
            and self.terms() <= terms_of(metadata)
            and set(_words(self.title or "")) <= set(_words(metadata.title))
            and set(_words(self.author or "")) <= set(_words(metadata.author))
        )


def _words(text: str) -> list[str]:
    # Cut, because a stored key has an end; a query's words are cut alike.
    return list(dict.fromkeys(word[:_MAX_WORD] for word in words(text)))


def _search_terms(text: str) -> set[str]:
    """An ISBN anywhere in the text is looked for as one, hyphens or not; all else as words."""
    whole = isbn13_or_none(text)
    if whole:
        return {f"i:{whole}"}
    terms: set[str] = set()
    for part in text.split():
        isbn = isbn13_or_none(part)
        terms |= {f"i:{isbn}"} if isbn else {f"w:{word}" for word in _words(part)}
    return terms


def _genre_term(genre: str) -> str:
    return f"g:{fold(genre)[:_MAX_SORT]}"
