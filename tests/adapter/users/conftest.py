"""The members' port twice: in memory, and on a DynamoDB table in moto."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws
from mypy_boto3_dynamodb import DynamoDBClient

from library_common.dynamodb import Table
from tests.adapter.users.steps import TABLE
from tests.fakes.users import FakeMembers
from users_service.adapters.dynamodb import DynamoMembers
from users_service.application.ports import Members


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoDBClient]:
    """A client to an empty users table, keyed as in the template."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "directory", "directory_name")
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by_name",
                    "KeySchema": [
                        {"AttributeName": "directory", "KeyType": "HASH"},
                        {"AttributeName": "directory_name", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        yield client


@pytest.fixture
def table(dynamodb: DynamoDBClient) -> Table:
    return Table(TABLE, lambda: dynamodb, sleep=lambda _: None)


@pytest.fixture(params=["in memory", "on DynamoDB"])
def members(request: pytest.FixtureRequest) -> Members:
    if request.param == "in memory":
        return FakeMembers()
    return DynamoMembers(request.getfixturevalue("table"))
