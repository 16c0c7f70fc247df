"""Text as the API accepts it, and as it is compared."""

import unicodedata
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from library_common.field_messages import field_message
from library_common.text import MAX_MARKS, MAX_TEXT, LanguageCode, Line, Prose, fold, require_few_marks, words

pytestmark = pytest.mark.unit

LINE: TypeAdapter[str] = TypeAdapter(Annotated[Line, Field(min_length=1, max_length=5)])
ANY_LINE: TypeAdapter[str] = TypeAdapter(Line)
PROSE: TypeAdapter[str] = TypeAdapter(Prose)
LANGUAGE: TypeAdapter[str] = TypeAdapter(LanguageCode)

EVERYTHING = st.text(st.characters(categories=None, exclude_categories=()))
"""Lone surrogates and control characters too."""


def is_refused(adapter: TypeAdapter[str], value: object) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return True
    return False


@pytest.mark.parametrize(
    ("given_text", "kept"),
    [
        ("Émile", "Émile"),
        ("E\u0301mile", "Émile"),
        ("  Ann \u00a0", "Ann"),
        ("\u2028Ann\u3000", "Ann"),
        ("🧑\u200d🚀", "🧑\u200d🚀"),
        ("\u0646\u200c\u0645", "\u0646\u200c\u0645"),
        ("\u05d0\u05b0", "\u05d0\u05b0"),
    ],
)
def test_a_line_is_composed_and_trimmed_and_otherwise_left_alone(given_text: str, kept: str) -> None:
    assert LINE.validate_python(given_text) == kept


@pytest.mark.parametrize("char", ["\x00", "\x1b", "\x7f", "\x85", "\n", "\r", "\t", "\ud800"])
@pytest.mark.parametrize("around", ["{}", "a{}b", "{}a"])
def test_a_line_takes_no_control_characters_and_no_lone_surrogates(char: str, around: str) -> None:
    assert is_refused(LINE, around.format(char))


@pytest.mark.parametrize(
    "invisible", ["\u200b", "\u200b\u200d\ufeff", "\u202e", "\u00ad", " \u200b ", "\u0301", "\u2060"]
)
def test_text_that_shows_nothing_is_refused(invisible: str) -> None:
    assert is_refused(ANY_LINE, invisible)
    assert is_refused(PROSE, invisible)


def test_lengths_count_what_is_kept() -> None:
    assert LINE.validate_python("   abcde   ") == "abcde"
    assert LINE.validate_python("e\u0301" * 5) == "é" * 5
    assert is_refused(LINE, "abcdef")
    assert is_refused(LINE, "     ")


@pytest.mark.parametrize("value", [None, 7, True, ["a"], {"a": 1}, b"a"])
def test_nothing_but_text_is_text(value: object) -> None:
    assert is_refused(TypeAdapter(Annotated[Line, Field(strict=True)]), value)


def test_prose_may_have_lines_and_has_one_kind_of_line_end() -> None:
    assert PROSE.validate_python("one\r\ntwo\n\tthree ") == "one\ntwo\n\tthree"
    assert is_refused(PROSE, "one\x00two")


@pytest.mark.parametrize(("given_text", "kept"), [("EN", "en"), (" swa ", "swa")])
def test_a_language_is_its_code_in_lower_case(given_text: str, kept: str) -> None:
    assert LANGUAGE.validate_python(given_text) == kept


@pytest.mark.parametrize("value", ["", "e", "engl", "e1", "en-GB", "ён"])
def test_a_language_is_nothing_else(value: str) -> None:
    assert is_refused(LANGUAGE, value)


def test_what_is_no_language_is_refused_in_words_and_documented_as_a_pattern() -> None:
    with pytest.raises(ValidationError) as refused:
        LANGUAGE.validate_python("french")
    assert field_message(refused.value.errors()[0]) == "must be a language code of two or three letters, like fr"
    assert LANGUAGE.json_schema()["pattern"] == "^[a-zA-Z]{2,3}$"


@given(EVERYTHING)
def test_accepted_text_is_clean_printable_and_stays_the_same(value: str) -> None:
    for adapter, line_breaks in ((ANY_LINE, ""), (PROSE, "\n\r\t")):
        try:
            kept = adapter.validate_python(value)
        except ValidationError:
            continue
        assert kept.encode("utf-8").decode("utf-8") == kept
        assert unicodedata.is_normalized("NFC", kept)
        assert kept == kept.strip()
        assert not any(unicodedata.category(c) == "Cc" and c not in line_breaks for c in kept)
        assert adapter.validate_python(kept) == kept


# -- comparing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Émile", "emile"),
        ("E\u0301mile", "ÉMILE"),
        ("Straße", "STRASSE"),
        ("İstanbul", "istanbul"),
        ("\uff37\uff49\uff44\uff45", "wide"),
        ("℡", "TEL"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("a  b\u00a0c", "A B C"),
        ("ﬁn", "FIN"),
    ],
)
def test_folding_makes_equal_what_people_call_equal(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@given(EVERYTHING)
def test_what_is_folded_stays_folded(value: str) -> None:
    once = fold(value)

    assert fold(once) == once
    assert fold(value.strip()) == once
    assert fold(unicodedata.normalize("NFD", value)) == fold(unicodedata.normalize("NFC", value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        ("…—!", []),
        ("The Left Hand of Darkness", ["the", "left", "hand", "of", "darkness"]),
        ("L'Étranger", ["letranger"]),
        ("L’Étranger", ["letranger"]),  # noqa: RUF001 - the typographic apostrophe is meant
        ("1984: a novel; 1984", ["1984", "a", "novel"]),
        ("Война и мир", ["воина", "и", "мир"]),
        ("中央図書館", ["中央図書館"]),
        ("to be or not to be", ["to", "be", "or", "not"]),
    ],
)
def test_words_are_runs_of_letters_and_digits_each_once(value: str, expected: list[str]) -> None:
    assert words(value) == expected


@given(EVERYTHING)
def test_words_are_folded_distinct_and_found_again(value: str) -> None:
    found = words(value)

    assert len(found) == len(set(found))
    assert all(word and fold(word) == word and word.isalnum() for word in found)
    assert words(" ".join(found)) == found
    assert words(value.casefold()) == found


@pytest.mark.parametrize("text", ["a" + "\u0300" * 31, "\u0f73" * 31, "\u0300" * 15 + "\u0316" * 16])
def test_long_runs_of_marks_are_refused(text: str) -> None:
    assert is_refused(ANY_LINE, text)
    assert is_refused(PROSE, text)


def test_no_text_that_passes_has_long_runs_of_marks_once_it_is_decomposed() -> None:
    """Sorting such a run takes time that grows with its square. Of every character of Unicode, many in a row."""
    for code in range(0x110000):
        char = chr(code)
        decomposed = unicodedata.normalize("NFD", char)
        if char == decomposed and not unicodedata.combining(char):
            continue  # it is no mark and stays what it is
        try:
            require_few_marks(char * 60)
        except ValueError:
            continue
        starters = sum(not unicodedata.combining(part) for part in decomposed)
        assert starters >= 1, f"U+{code:04X}"
        assert len(decomposed) - starters <= MAX_MARKS


def test_a_text_is_refused_for_its_length_before_anything_else() -> None:
    assert is_refused(ANY_LINE, "a" * (MAX_TEXT + 1))
    assert not is_refused(ANY_LINE, "a" * MAX_TEXT)
