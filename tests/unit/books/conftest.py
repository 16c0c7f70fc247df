"""A library in memory for every test."""

import pytest

from tests.fakes.books import Library


@pytest.fixture
def library() -> Library:
    return Library()
