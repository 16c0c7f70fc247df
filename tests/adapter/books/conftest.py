"""The same catalogue twice: in memory, and on a DynamoDB table of moto's."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from books_service.adapters.dynamodb import DynamoCatalogue
from books_service.application.ports import Catalogue
from library_common.dynamodb import Table
from tests.fakes.books import MemoryCatalogue
from tests.support.tables import create_table, dynamodb_in_moto

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "books"


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator["DynamoDBClient"]:
    """A client of an empty engine with the books table in it."""
    with dynamodb_in_moto(monkeypatch) as client:
        create_table(client, "BooksTable", TABLE)
        yield client


@pytest.fixture
def table(dynamodb: "DynamoDBClient") -> Table:
    return Table(TABLE, lambda: dynamodb, sleep=lambda _: None)


@pytest.fixture(params=["memory", "dynamodb"])
def catalogue(request: pytest.FixtureRequest) -> Catalogue:
    """The port, from either side."""
    if request.param == "memory":
        return MemoryCatalogue()
    return DynamoCatalogue(request.getfixturevalue("table"))
