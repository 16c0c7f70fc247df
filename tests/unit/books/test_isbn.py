"""ISBNs are accepted as people write them and kept as thirteen digits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from books_service.application.isbn import IsAnIsmn, NotAnIsbn, isbn13_or_none, to_isbn13

pytestmark = pytest.mark.unit


def _isbn10(first_nine: str) -> str:
    total = sum((10 - place) * int(digit) for place, digit in enumerate(first_nine))
    check = -total % 11
    return first_nine + ("X" if check == 10 else str(check))


def _isbn13(first_twelve: str) -> str:
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(first_twelve))
    return first_twelve + str(-total % 10)


nine_digits = st.text("0123456789", min_size=9, max_size=9)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("0-306-40615-2", "9780306406157"),
        ("0306406152", "9780306406157"),
        ("978-0-306-40615-7", "9780306406157"),
        ("978 0 306 40615 7", "9780306406157"),
        ("080442957X", "9780804429573"),
        ("080442957x", "9780804429573"),
        ("9791090636071", "9791090636071"),
    ],
)
def test_spellings(written: str, kept: str) -> None:
    assert to_isbn13(written) == kept


@pytest.mark.parametrize(
    "text", ["", "0306406153", "9780306406158", "978030640615", "9770306406150", "ISBN", "X" * 10, "٠٣٠٦٤٠٦١٥٢"]
)
def test_what_is_no_isbn(text: str) -> None:
    with pytest.raises(NotAnIsbn):
        to_isbn13(text)
    assert isbn13_or_none(text) is None


@given(st.text("0123456789", min_size=8, max_size=8), st.lists(st.integers(1, 8), max_size=3))
def test_an_sbn_of_nine_digits_is_an_isbn_without_its_zero(body: str, cuts: list[int]) -> None:
    isbn = _isbn10("0" + body)
    sbn = isbn[1:]
    for cut in sorted(set(cuts), reverse=True):
        sbn = sbn[:cut] + "-" + sbn[cut:]

    assert to_isbn13(sbn) == to_isbn13(isbn) == isbn13_or_none(sbn)


def test_nine_digits_with_a_wrong_check_digit_are_no_sbn() -> None:
    with pytest.raises(NotAnIsbn):
        to_isbn13("306406153")


@pytest.mark.parametrize("text", ["979-0-2600-0043-8", "9790260000438", "979 0 2600 0043 9"])
def test_printed_music_is_told_that_its_number_is_no_isbn(text: str) -> None:
    with pytest.raises(IsAnIsmn, match="is an ISMN"):
        to_isbn13(text)
    assert isbn13_or_none(text) is None


@given(nine_digits, st.lists(st.integers(0, 9), max_size=4), st.sampled_from("- "))
def test_ten_and_thirteen_digits_with_any_separators_are_the_same_book(
    body: str, cuts: list[int], separator: str
) -> None:
    short, long = _isbn10(body), _isbn13("978" + body)
    for cut in sorted(set(cuts) - {0}, reverse=True):
        short = short[:cut] + separator + short[cut:]
    assert to_isbn13(short) == to_isbn13(long) == long


@given(nine_digits, st.integers(0, 8), st.integers(1, 9))
def test_one_wrong_digit_is_refused(body: str, place: int, off_by: int) -> None:
    right = _isbn10(body)
    wrong = right[:place] + str((int(right[place]) + off_by) % 10) + right[place + 1 :]
    with pytest.raises(NotAnIsbn):
        to_isbn13(wrong)


@given(st.text(max_size=40))
def test_any_text_is_an_isbn_or_is_not(text: str) -> None:
    found = isbn13_or_none(text)
    assert found is None or (len(found) == 13 and found.isascii() and found.isdigit())
