"""A community in memory for every test."""

import pytest

from tests.fakes.users import Community


@pytest.fixture
def community() -> Community:
    return Community()
