"""The same catalogue twice: in memory, and on a DynamoDB table of moto's."""

import pytest

from books_service.adapters.dynamodb import DynamoCatalogue
from books_service.application.ports import Catalogue
from tests.fakes.books import MemoryCatalogue

TABLE = "books"


@pytest.fixture(params=["memory", "dynamodb"])
def catalogue(request: pytest.FixtureRequest) -> Catalogue:
    """The port, from either side."""
    if request.param == "memory":
        return MemoryCatalogue()
    return DynamoCatalogue(request.getfixturevalue("table"))
