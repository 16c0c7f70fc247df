"""DynamoDB tables in moto, exactly as the template defines them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.architecture.deployment import load
from tests.support.moto_engine import aws_in_moto

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def properties(resource: str) -> dict[str, Any]:
    """The properties of a resource in the template."""
    found: dict[str, Any] = load()["Resources"][resource]["Properties"]
    return found


def create_table(client: "DynamoDBClient", resource: str, name: str) -> None:
    """Creates a table of the template under a name of the test's."""
    defined = properties(resource)
    wanted = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode", "StreamSpecification")
    request = {key: defined[key] for key in wanted if key in defined}
    if "StreamSpecification" in request:
        request["StreamSpecification"] = {"StreamEnabled": True, **request["StreamSpecification"]}
    client.create_table(TableName=name, **request)


@contextmanager
def dynamodb_in_moto(monkeypatch: pytest.MonkeyPatch) -> Iterator["DynamoDBClient"]:
    """A client of an empty engine, whatever the environment names."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with aws_in_moto():
        yield boto3.client("dynamodb")
