"""The members' port twice: in memory, and on a DynamoDB table in moto."""

from collections.abc import Iterator

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from library_common.dynamodb import Table
from tests.adapter.users.steps import TABLE
from tests.fakes.users import FakeMembers
from tests.support.tables import create_table, dynamodb_in_moto
from users_service.adapters.dynamodb import DynamoMembers
from users_service.application.ports import Members


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoDBClient]:
    """A client to an empty users table, keyed as in the template."""
    with dynamodb_in_moto(monkeypatch) as client:
        create_table(client, "UsersTable", TABLE)
        yield client


@pytest.fixture
def table(dynamodb: DynamoDBClient) -> Table:
    return Table(TABLE, lambda: dynamodb, sleep=lambda _: None)


@pytest.fixture(params=["in memory", "on DynamoDB"])
def members(request: pytest.FixtureRequest) -> Members:
    if request.param == "in memory":
        return FakeMembers()
    return DynamoMembers(request.getfixturevalue("table"))
