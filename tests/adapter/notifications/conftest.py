"""The post office on the table of the template in moto."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.fakes.post_office import TABLE, Post
from tests.support.operator_log import OperatorLog, reading_the_log
from tests.support.tables import create_table, dynamodb_in_moto

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator["DynamoDBClient"]:
    with dynamodb_in_moto(monkeypatch) as client:
        create_table(client, "NotificationsTable", TABLE)
        yield client


@pytest.fixture
def post(dynamodb: "DynamoDBClient") -> Post:
    return Post(lambda: dynamodb)


@pytest.fixture
def log() -> Iterator[OperatorLog]:
    with reading_the_log() as log:
        yield log
