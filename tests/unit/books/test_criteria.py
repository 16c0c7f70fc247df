"""Which words a title is found by, and what a query means."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from books_service.application.criteria import (
    MAX_INDEXED_WORDS,
    MAX_QUERY_WORDS,
    MAX_SORT_KEY,
    MIN_SORT_KEY,
    Criteria,
    id_in,
    indexed_words,
    sort_key,
    terms_of,
)
from books_service.domain.stock import Copy, CopyStatus
from books_service.domain.title import MAX_GENRE, MAX_TITLE
from library_common.ids import new_id
from tests.fakes.books import a_book, a_description

pytestmark = pytest.mark.unit

ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
FREE = [Copy("c1")]


def matches(criteria: Criteria, **described: Any) -> bool:
    return criteria.matches(a_book(FREE, **described))


class TestTheOrderOfTitles:
    def test_articles_accents_case_and_punctuation_do_not_count(self) -> None:
        titles = ["The Zebra", "a Éclair!", "An apple", "«Banana»", "apple, an"]
        assert sorted(titles, key=lambda title: sort_key(title, ID)) == [
            "An apple",
            "apple, an",
            "«Banana»",
            "a Éclair!",
            "The Zebra",
        ]

    def test_a_title_comes_before_its_longer_namesakes(self) -> None:
        titles = ["Emma in love", "Emma", "Emma's war", "Emma 2"]
        assert min(titles, key=lambda title: sort_key(title, ID)) == "Emma"

    @given(st.text(max_size=MAX_TITLE))
    def test_a_key_fits_the_store_and_gives_the_id_back(self, title: str) -> None:
        key = sort_key(title, ID)
        assert id_in(key) == ID
        assert MIN_SORT_KEY <= len(key) <= MAX_SORT_KEY
        assert len(key.encode("utf-8", "replace")) <= 1024

    @given(st.text(max_size=80), st.text(max_size=80))
    def test_the_stores_order_is_ours(self, one: str, other: str) -> None:
        # DynamoDB compares UTF-8 bytes, Python code points: the same order.
        a, b = sort_key(one, ID), sort_key(other, ID)
        if "\ud800" <= max(a + b) <= "\udfff":
            return
        assert (a < b) == (a.encode("utf-8", "surrogatepass") < b.encode("utf-8", "surrogatepass"))


class TestTheIndex:
    def test_terms(self) -> None:
        described = a_description(
            title="The Left Hand",
            author="Le Guin",
            subjects=("Winter",),
            isbn="9780306406157",
            genre="Sci-Fi ",
            language="en",
        )
        assert terms_of(described) == {
            "*",
            *("w:" + word for word in ("the", "left", "hand", "le", "guin", "winter")),
            "i:9780306406157",
            "g:sci-fi",
            "l:en",
        }

    def test_a_sprawling_title_leaves_room_for_author_and_subject(self) -> None:
        title = " ".join(f"t{n}" for n in range(80))
        words = indexed_words(a_description(title=title, author="Anna Seghers", subjects=("exile",)))
        assert len(words) == MAX_INDEXED_WORDS
        assert {"anna", "seghers", "exile", "t0"} <= set(words)

    @given(st.text(max_size=MAX_TITLE), st.text(max_size=MAX_GENRE))
    def test_every_term_fits_the_store(self, text: str, genre: str) -> None:
        for term in terms_of(a_description(title=text or "x", genre=genre)):
            assert len(f"TERM#{term}".encode("utf-8", "replace")) <= 2048


class TestMatching:
    @pytest.mark.parametrize(
        "search", ["hand", "HAND le", "darkness guin", "GUÍN", "gender", "0-306-40615-2", "winter's"]
    )
    def test_any_words_of_title_author_subjects_and_isbn(self, search: str) -> None:
        described = {"subjects": ("Gender", "Winters"), "isbn": "9780306406157"}
        assert matches(Criteria(search=search), **described)

    @pytest.mark.parametrize("search", ["hands", "hand wizard", "9780306406158", "0306406152 hand"])
    def test_all_words_have_to_be_there(self, search: str) -> None:
        assert not matches(Criteria(search=search))

    def test_title_and_author_words_have_to_be_in_their_field(self) -> None:
        assert matches(Criteria(title="darkness left", author="ursula"))
        assert not matches(Criteria(title="ursula"))
        assert not matches(Criteria(author="darkness"))

    def test_genre_language_isbn(self) -> None:
        described = {"genre": "Science Fiction", "language": "en", "isbn": "9780306406157"}
        assert matches(Criteria(genre="science  FICTION", language="en", isbn="9780306406157"), **described)
        assert not matches(Criteria(genre="science"), **described)
        assert not matches(Criteria(language="de"), **described)
        assert not matches(Criteria(isbn="9791090636071"), **described)

    def test_availability(self) -> None:
        lost = a_book([Copy("c1", CopyStatus.LOST)])
        free = a_book(FREE)
        assert [Criteria(available=wanted).matches(free) for wanted in (True, False, None)] == [True, False, True]
        assert [Criteria(available=wanted).matches(lost) for wanted in (True, False, None)] == [False, True, True]

    @pytest.mark.parametrize("text", ["!!!", "—", "?"])
    def test_a_query_without_a_word_in_it_matches_nothing(self, text: str) -> None:
        assert Criteria(search=text).impossible
        assert Criteria(title=text).impossible
        assert not Criteria(search="a!").impossible
        assert not Criteria().impossible

    @given(st.lists(st.sampled_from(["dune", "herbert", "frank", "desert", "the", "of", "x1", "x2", "x3", "x4", "x5"])))
    def test_few_terms_are_looked_up_however_many_are_asked_for(self, words: list[str]) -> None:
        criteria = Criteria(search=" ".join(words), isbn="9780306406157")
        leading = criteria.leading_terms()
        assert set(leading) <= criteria.terms()
        assert 1 <= len(leading) <= MAX_QUERY_WORDS
        assert leading[0] == "i:9780306406157", "the rarest first"


def test_ids_do_not_matter_to_what_matches() -> None:
    assert Criteria(search="hand").matches(a_book(FREE, book_id=new_id()))
