"""Finding titles: the same answers from memory and from the index."""

import random
from collections.abc import Mapping
from typing import Any

import pytest

from books_service.application.criteria import Criteria
from books_service.application.ports import BookEvents, Catalogue, Position
from books_service.domain.stock import Copy, CopyStatus
from books_service.domain.title import Book
from tests.fakes.books import MemoryCatalogue, a_book, a_description
from tests.support.clock import NOON

pytestmark = pytest.mark.adapter

NOTHING = BookEvents()


def fill(catalogue: Catalogue, **titles: Mapping[str, Any]) -> None:
    """Adds titles by a short name; each has a copy on the shelf unless `copies` says otherwise."""
    for name, described in titles.items():
        catalogue.add(a_book(**{"copies": [Copy(f"copy-{name}")], **described}), NOTHING, None)


def found(catalogue: Catalogue, criteria: Criteria, limit: int = 100) -> list[str]:
    """The titles of all pages; no page is longer than the limit."""
    titles: list[str] = []
    position: Position | None = None
    while True:
        books, position = catalogue.find(criteria, limit=limit, start=position)
        assert len(books) <= limit
        titles += [book.title.metadata.title for book in books]
        if position is None:
            return titles


@pytest.fixture
def shelves(catalogue: Catalogue) -> Catalogue:
    fill(
        catalogue,
        dune={"title": "Dune", "author": "Frank Herbert", "genre": "Science Fiction", "isbn": "9780441013593"},
        messiah={"title": "Dune Messiah", "author": "Frank Herbert", "copies": [], "language": "en"},
        emma={"title": "Emma", "author": "Jane Austen", "language": "en", "subjects": ("England", "Manners")},
        hobbit={"title": "The Hobbit", "author": "J. R. R. Tolkien", "copies": [Copy("x", CopyStatus.LOST)]},
        stars={"title": "Étoiles d'été", "author": "Frank Dune", "language": "fr", "genre": "science fiction"},
        odd={"title": "???", "author": "Anon"},
    )
    return catalogue


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        (Criteria(), ["???", "Dune", "Dune Messiah", "Emma", "Étoiles d'été", "The Hobbit"]),
        (Criteria(sort="-title"), ["The Hobbit", "Étoiles d'été", "Emma", "Dune Messiah", "Dune", "???"]),
        (Criteria(search="dune"), ["Dune", "Dune Messiah", "Étoiles d'été"]),
        (Criteria(search="FRANK dune", sort="-title"), ["Étoiles d'été", "Dune Messiah", "Dune"]),
        (Criteria(search="etoiles"), ["Étoiles d'été"]),
        (Criteria(search="manners"), ["Emma"]),
        (Criteria(search="0-441-01359-7"), ["Dune"]),
        (Criteria(isbn="9780441013593"), ["Dune"]),
        (Criteria(title="dune"), ["Dune", "Dune Messiah"]),
        (Criteria(author="dune"), ["Étoiles d'été"]),
        (Criteria(author="frank", language="en"), ["Dune Messiah"]),
        (Criteria(genre="SCIENCE  fiction"), ["Dune", "Étoiles d'été"]),
        (Criteria(available=True), ["???", "Dune", "Emma", "Étoiles d'été"]),
        (Criteria(available=False), ["Dune Messiah", "The Hobbit"]),
        (Criteria(search="nothing like it"), []),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_filters(shelves: Catalogue, criteria: Criteria, expected: list[str], limit: int) -> None:
    assert found(shelves, criteria, limit) == expected


def test_the_last_page_says_so(shelves: Catalogue) -> None:
    books, position = shelves.find(Criteria(title="dune"), limit=2, start=None)
    assert len(books) == 2
    assert position is None


def test_archived_titles_are_hidden(shelves: Catalogue) -> None:
    (dune,), _ = shelves.find(Criteria(isbn="9780441013593"), limit=1, start=None)
    shelves.save(dune, Book(dune.title.archive(NOON), dune.stock.archive()), NOTHING)
    assert found(shelves, Criteria(title="dune")) == ["Dune Messiah"]
    assert found(shelves, Criteria(title="dune", include_archived=True)) == ["Dune", "Dune Messiah"]


def test_a_changed_description_is_found_by_its_new_words_only(shelves: Catalogue) -> None:
    (dune,), _ = shelves.find(Criteria(isbn="9780441013593"), limit=1, start=None)
    changed = a_description(title="Arrakis", author="F. Herbert", language="la")
    after = Book(dune.title.described_as(changed, NOON), dune.stock.titled("Arrakis", None))
    shelves.save(dune, after, NOTHING)
    for criteria in (Criteria(search="arrakis"), Criteria(language="la"), Criteria(author="f")):
        assert found(shelves, criteria) == ["Arrakis"]
    for criteria in (Criteria(isbn="9780441013593"), Criteria(genre="Science Fiction", author="frank herbert")):
        assert found(shelves, criteria) == []
    assert found(shelves, Criteria()) == ["???", "Arrakis", "Dune Messiah", "Emma", "Étoiles d'été", "The Hobbit"]
    # And back again: nothing of the old entries was left behind.
    shelves.save(
        after, Book(after.title.described_as(dune.title.metadata, NOON), after.stock.titled("Dune", None)), NOTHING
    )
    assert found(shelves, Criteria(search="arrakis")) == []
    assert found(shelves, Criteria(search="dune frank herbert")) == ["Dune", "Dune Messiah"]


def test_namesakes_are_all_found_once(catalogue: Catalogue) -> None:
    fill(catalogue, **{f"n{n}": {"title": "Poems", "author": f"Poet {n}"} for n in range(7)})
    for limit in (1, 3, 7):
        assert found(catalogue, Criteria(search="poems"), limit) == ["Poems"] * 7
        assert found(catalogue, Criteria(sort="-title"), limit) == ["Poems"] * 7


def test_random_queries_have_the_answers_of_a_plain_comparison(catalogue: Catalogue) -> None:
    dice = random.Random(7)
    words = ["dune", "emma", "night", "day", "the", "of", "sea", "x"]
    plain = MemoryCatalogue()
    for n in range(60):
        title = " ".join(dice.choices(words, k=dice.randrange(1, 4)))
        book = a_book(
            [Copy(f"c{n}")] * dice.randrange(2),
            title=title,
            author=dice.choice(words),
            subjects=tuple(dice.choices(words, k=dice.randrange(3))),
            genre=dice.choice([None, "prose", "verse"]),
            language=dice.choice(["en", "de", None]),
        )
        catalogue.add(book, NOTHING, None)
        plain.add(book, NOTHING, None)
    for _ in range(60):
        criteria = Criteria(
            search=dice.choice([None, *words, "the sea", "of night day"]),
            title=dice.choice([None, None, *words]),
            author=dice.choice([None, None, *words]),
            genre=dice.choice([None, "prose"]),
            language=dice.choice([None, "en"]),
            available=dice.choice([None, True]),
            sort=dice.choice(["title", "-title"]),
        )
        expected, _ = plain.find(criteria, limit=100, start=None)
        assert found(catalogue, criteria, limit=7) == [book.title.metadata.title for book in expected]
