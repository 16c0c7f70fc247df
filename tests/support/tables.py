"""DynamoDB tables in moto, exactly as the template defines them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import yaml
from moto import mock_aws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms (`!Ref`, `!Sub`, …) as whatever stands behind them."""


def _short_form(loader: yaml.Loader, _: str, node: yaml.Node) -> Any:
    match node:
        case yaml.ScalarNode():
            return loader.construct_scalar(node)
        case yaml.SequenceNode():
            return loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            return loader.construct_mapping(node, deep=True)
    raise TypeError(f"unexpected node {node}")


_Loader.add_multi_constructor("!", _short_form)


def properties(resource: str) -> dict[str, Any]:
    """The properties of a resource in the template."""
    template = yaml.load(TEMPLATE.read_text(), Loader=_Loader)
    found: dict[str, Any] = template["Resources"][resource]["Properties"]
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
    with mock_aws():
        yield boto3.client("dynamodb")
