"""A table of the template in moto."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from library_common.dynamodb import Table
from tests.support.tables import create_table, dynamodb_in_moto

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "things"


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator["DynamoDBClient"]:
    with dynamodb_in_moto(monkeypatch) as client:
        create_table(client, "LoansTable", TABLE)
        yield client


@pytest.fixture
def pauses() -> list[float]:
    """How long the table waited each time."""
    return []


@pytest.fixture
def table(dynamodb: "DynamoDBClient", pauses: list[float]) -> Table:
    return Table(TABLE, lambda: dynamodb, sleep=pauses.append, jitter=lambda: 1.0)
