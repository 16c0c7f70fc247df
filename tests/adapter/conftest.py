"""A service's table in moto, exactly as the template defines it, for the tests in the service's folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from library_common.dynamodb import Table
from tests.support.tables import create_table, dynamodb_in_moto

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

HERE = Path(__file__).parent


@pytest.fixture
def table_name(request: pytest.FixtureRequest) -> str:
    """The folder: the service's name."""
    return request.path.relative_to(HERE).parts[0]


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch, table_name: str) -> Iterator["DynamoDBClient"]:
    """A client of an empty engine with that one table in it."""
    with dynamodb_in_moto(monkeypatch) as client:
        create_table(client, f"{table_name.capitalize()}Table", table_name)
        yield client


@pytest.fixture
def table(dynamodb: "DynamoDBClient", table_name: str) -> Table:
    """Waits for nothing between its tries."""
    return Table(table_name, lambda: dynamodb, sleep=lambda _: None)
