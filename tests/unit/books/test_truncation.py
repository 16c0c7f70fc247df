"""Titles that are too long say so, and end where a word does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from books_service.domain.truncation import truncate

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Middlemarch", "Middlemarch"),
        ("Exactly so long as 20", "Exactly so long as…"),
        ("A study, of provinces", "A study, of…"),
        ("Provincial life: a study", "Provincial life: a…"),
        ("Twelve years, and a half", "Twelve years, and a…"),
        ("The life of Donaudampfschifffahrt", "The life of…"),
        ("My Donaudampfschifffahrt", "My Donaudampfschiff…"),
        ("Donaudampfschifffahrtsgesellschaft", "Donaudampfschifffah…"),
        ("The province - a study", "The province - a…"),
        ("The provinces, - studies", "The provinces…"),
    ],
)
def test_it_ends_after_a_word(title: str, shown: str) -> None:
    assert truncate(title, 20) == shown


@given(st.text(max_size=60), st.integers(2, 40))
def test_it_is_never_longer_and_only_marked_when_cut(title: str, max_length: int) -> None:
    short = truncate(title, max_length)

    assert len(short) <= max_length
    assert short == title if len(title) <= max_length else short.endswith("…") and title.startswith(short[:-1])
