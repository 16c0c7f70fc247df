"""The plain search of the catalogue: the words that a title is found by, and the criteria of a list query.

It sees every finished write, as the desk needs it. Ranking, spelling and facets are in the search service.
"""

from dataclasses import dataclass
from typing import Literal

from books_service.application.isbn import isbn13_or_none
from books_service.domain.title import Book, Metadata
from library_common.text import fold, words

MAX_INDEXED_WORDS = 40
"""Per title. A new name removes and adds every entry, which must fit with the rest into one transaction of 100
operations."""

MAX_QUERY_WORDS = 8
"""Words that are looked up. Further words of a query are checked on the titles that these find."""

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
    """A title's place in the list: its folded words without a leading article, cut, then its id.

    Two spaces separate the two, so that `Emma` comes before `Emma in love`.
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
    """The words that a title is found by: at most MAX_INDEXED_WORDS, the most important ones first."""
    title, author = _words(metadata.title), _words(metadata.author)
    subjects = _words(" / ".join(metadata.subjects))
    # A long title must not push its author out of the index.
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
    return frozenset({EVERYTHING, *(f"w:{word}" for word in indexed_words(metadata)), *_field_terms(metadata)})


def is_known_term(term: str) -> bool:
    """Whether `terms_of` could make the term. False for a kind of term that a newer version of the service added."""
    return term[0] in _KINDS


@dataclass(frozen=True)
class Criteria:
    """The criteria of a list query. A title must meet all that are given.

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
        """A text was given that has no words in it, so nothing can match."""
        return any(text and not _search_terms(text) for text in (self.search, self.title, self.author))

    def terms(self) -> frozenset[str]:
        """Every index term a match must have."""
        terms = _search_terms(self.search or "")
        terms |= {f"w:{word}" for text in (self.title, self.author) for word in _words(text or "")}
        terms |= _field_terms(self)
        return frozenset(terms or {EVERYTHING})

    def leading_terms(self) -> list[str]:
        """The terms to look up: the rarest by their kind and length, at most MAX_QUERY_WORDS."""
        rarest_first = sorted(self.terms(), key=lambda term: (_KINDS.index(term[0]), -len(term), term))
        return rarest_first[:MAX_QUERY_WORDS]

    def matches(self, book: Book) -> bool:
        """Whether a title, as it is now, meets the criteria."""
        metadata = book.title.metadata
        return (
            (self.include_archived or not book.title.archived)
            and (self.available is None or (book.stock.available > 0) == self.available)
            and self.terms() <= terms_of(metadata)
            and set(_words(self.title or "")) <= set(_words(metadata.title))
            and set(_words(self.author or "")) <= set(_words(metadata.author))
        )


def _words(text: str) -> list[str]:
    # Cut, because stored keys have a limited length. A query's words are cut the same way.
    return list(dict.fromkeys(word[:_MAX_WORD] for word in words(text)))


def _search_terms(text: str) -> set[str]:
    """ISBNs in the text, with or without hyphens, become ISBN terms; everything else becomes words."""
    if whole := isbn13_or_none(text):
        return {f"i:{whole}"}
    terms: set[str] = set()
    for part in text.split():
        isbn = isbn13_or_none(part)
        terms |= {f"i:{isbn}"} if isbn else {f"w:{word}" for word in _words(part)}
    return terms


def _field_terms(described: Metadata | Criteria) -> set[str]:
    """The terms of ISBN, language and genre, as far as they are given."""
    terms = {f"{kind}:{value}" for kind, value in (("i", described.isbn), ("l", described.language)) if value}
    return terms | {f"g:{fold(described.genre)[:_MAX_SORT]}"} if described.genre else terms
