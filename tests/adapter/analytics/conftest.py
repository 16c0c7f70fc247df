"""The analytics table as the template defines it, in moto."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from library_common.dynamodb import Table
from tests.support.tables import create_table, dynamodb_in_moto

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator["DynamoDBClient"]:
    with dynamodb_in_moto(monkeypatch) as client:
        create_table(client, "AnalyticsTable", "analytics")
        yield client


@pytest.fixture
def table(dynamodb: "DynamoDBClient") -> Table:
    return Table("analytics", lambda: dynamodb)
