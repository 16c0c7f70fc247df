"""Transactions in the quicker moto do what they do in moto itself, done or refused."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.support.moto_engine import aws_in_moto
from tests.support.tables import create_table, dynamodb_in_moto

pytestmark = pytest.mark.adapter

TABLES = ("things", "others")
PARTITIONS, PLACES = ("a", "b", "c"), ("1", "2")


def transactions(seed: int) -> Iterator[list[dict[str, Any]]]:
    """Some are refused: for a condition, for an item named twice, for values that do not go together."""
    chance = random.Random(seed)
    for number in range(40):
        yield [_operation(chance, number) for _ in range(chance.randint(1, 4))]


def _operation(chance: random.Random, number: int) -> dict[str, Any]:
    key = {"pk": {"S": chance.choice(PARTITIONS)}, "sk": {"S": chance.choice(PLACES)}}
    where = {"TableName": chance.choice(TABLES)}
    if chance.random() < 0.15:
        where["ConditionExpression"] = chance.choice(["attribute_exists(pk)", "attribute_not_exists(pk)"])
    match chance.choice(["Put", "Update", "Update", "Update", "Delete", "ConditionCheck"]):
        case "Put":
            written = {"n": {"N": str(number)}, "tags": {"SS": ["p"]}, "deep": {"M": {"list": {"L": [{"S": "first"}]}}}}
            return {"Put": where | {"Item": key | written}}
        case "Update":
            expression, values = chance.choice(
                [
                    ("ADD tags :s", {":s": {"SS": [f"t{number}"]}}),
                    ("ADD n :n", {":n": {"N": "1"}}),
                    ("DELETE tags :s", {":s": {"SS": ["p"]}}),
                    ("SET deep.list[1] = :v", {":v": {"S": str(number)}}),
                    ("SET deep.more = :v", {":v": {"S": str(number)}}),
                ]
            )
            update = {"UpdateExpression": expression, "ExpressionAttributeValues": values}
            return {"Update": where | {"Key": key} | update}
        case "Delete":
            return {"Delete": where | {"Key": key}}
        case _:
            return {"ConditionCheck": {"ConditionExpression": "attribute_exists(pk)"} | where | {"Key": key}}


def history(engine: Callable[[], AbstractContextManager[Any]], seed: int) -> list[object]:
    """What each transaction answers, and everything that is in the tables after it; then what the streams tell."""
    seen: list[object] = []
    with engine():
        client = boto3.client("dynamodb")
        for table in TABLES:
            create_table(client, "LoansTable", table)
        for transaction in transactions(seed):
            try:
                client.transact_write_items(TransactItems=transaction)  # type: ignore[arg-type]
                seen.append("done")
            except ClientError as error:
                reasons = [reason["Code"] for reason in error.response.get("CancellationReasons", ())]
                seen.append((error.response["Error"], reasons))
            seen.append([client.scan(TableName=table)["Items"] for table in TABLES])
        seen.extend(told(table) for table in TABLES)
    return seen


def told(table: str) -> list[tuple[str, Any]]:
    """What was written into a table, by its stream: the kind and the key. Its images are of moto's making."""
    streams: Any = boto3.client("dynamodbstreams")
    arn = boto3.client("dynamodb").describe_table(TableName=table)["Table"]["LatestStreamArn"]
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    start = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    records = streams.get_records(ShardIterator=start["ShardIterator"], Limit=1000)["Records"]
    return [(record["eventName"], record["dynamodb"]["Keys"]) for record in records]


@pytest.mark.parametrize("seed", range(3))
def test_a_history_is_the_same_in_both(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)

    quick, plain = history(aws_in_moto, seed), history(mock_aws, seed)

    assert quick == plain
    assert {"done"} < {str(entry) for entry in quick if not isinstance(entry, list)}, "some are refused, some are not"


def test_a_refused_transaction_leaves_nothing_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with dynamodb_in_moto(monkeypatch) as client:
        create_table(client, "LoansTable", "things")
        before = {"pk": {"S": "a"}, "sk": {"S": "1"}, "tags": {"SS": ["old"]}}
        client.put_item(TableName="things", Item=before)  # type: ignore[arg-type]
        key = {"pk": {"S": "a"}, "sk": {"S": "1"}}
        update = {"Key": key, "UpdateExpression": "ADD tags :s", "ExpressionAttributeValues": {":s": {"SS": ["new"]}}}
        refused = {"Key": key | {"sk": {"S": "2"}}, "ConditionExpression": "attribute_exists(pk)"}

        with pytest.raises(client.exceptions.TransactionCanceledException):
            client.transact_write_items(
                TransactItems=[
                    {"Update": {"TableName": "things", **update}},  # type: ignore[typeddict-item]
                    {"Put": {"TableName": "things", "Item": {"pk": {"S": "b"}, "sk": {"S": "1"}}}},
                    {"ConditionCheck": {"TableName": "things", **refused}},  # type: ignore[typeddict-item]
                ]
            )

        assert client.scan(TableName="things")["Items"] == [before]
        assert len(told("things")) == 1
