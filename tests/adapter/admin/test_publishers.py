"""Publishers handed records once more: out of the stream, through the function."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from admin_service.adapters import publishers as adapter
from admin_service.adapters.publishers import LambdaPublishers
from admin_service.application.ports import NotPublished
from admin_service.domain.dead_letters import StreamBatch
from library_common import aws
from tests.support.tables import create_table, dynamodb_in_moto

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.adapter

PUBLISHERS = [
    ("users", json.dumps({"function": "UsersPublisher", "table": "users"})),
    ("loans", json.dumps({"function": "LoansPublisher", "table": "loans"})),
]


@dataclass
class Functions:
    """In place of the Lambda client: what it was asked to invoke. error: the function failed."""

    asked: list[tuple[str, list[dict[str, Any]]]] = field(default_factory=list)
    error: bool = False

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        self.asked.append((FunctionName, json.loads(Payload)["Records"]))
        answer: dict[str, Any] = {"Payload": io.BytesIO(b"{}")}
        return {**answer, "FunctionError": "Unhandled"} if self.error else answer


@pytest.fixture
def lambdas(monkeypatch: pytest.MonkeyPatch) -> Functions:
    functions = Functions()
    monkeypatch.setattr(aws, "lambda_", lambda: functions)
    return functions


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator["DynamoDBClient"]:
    with dynamodb_in_moto(monkeypatch) as client:
        aws._client.cache_clear()
        create_table(client, "LoansTable", "loans")
        yield client
    aws._client.cache_clear()


def written(client: "DynamoDBClient", *ids: str) -> StreamBatch:
    """Writes items; the batch of all but the first and the last."""
    for one in ids:
        client.put_item(TableName="loans", Item={"pk": {"S": one}, "sk": {"S": "LOAN"}, "events": {"S": "[]"}})
    arn = client.describe_table(TableName="loans")["Table"]["LatestStreamArn"]
    streams: Any = boto3.client("dynamodbstreams")
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    records = streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    return StreamBatch(arn, shard["ShardId"], numbers[1], numbers[-2])


def keys(asked: list[dict[str, Any]]) -> list[str]:
    return [record["dynamodb"]["Keys"]["pk"]["S"] for record in asked]


def test_exactly_the_records_of_a_batch_go_to_the_publisher_of_its_table(
    table: "DynamoDBClient", lambdas: Functions
) -> None:
    batch = written(table, "a", "b", "c", "d", "e")

    LambdaPublishers(lambda: PUBLISHERS).publish_batch_again(batch)

    ((function, records),) = lambdas.asked
    assert (function, keys(records)) == ("LoansPublisher", ["b", "c", "d"])
    assert records[0]["dynamodb"]["NewImage"]["events"] == {"S": "[]"}


def test_records_too_large_for_one_request_go_in_several(
    table: "DynamoDBClient", lambdas: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_MAX_REQUEST_BYTES", 1000)
    batch = written(table, "a", "b", "c", "d", "e")

    LambdaPublishers(lambda: PUBLISHERS).publish_batch_again(batch)

    assert len(lambdas.asked) > 1
    assert [key for _, records in lambdas.asked for key in keys(records)] == ["b", "c", "d"]


@pytest.mark.parametrize("ends", [True, False])
def test_a_batch_that_cannot_be_read_to_its_end_is_not_published(
    lambdas: Functions, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    """Its dead letter must stay: else the records that were not read would be lost."""
    pages = iter([[{"dynamodb": {"SequenceNumber": "1"}}]])

    class Streams:
        def get_shard_iterator(self, **_: object) -> dict[str, str]:
            return {"ShardIterator": "i"}

        def get_records(self, **_: object) -> dict[str, object]:
            return {"Records": next(pages, []), "NextShardIterator": None if ends else "i"}

    monkeypatch.setattr(aws, "dynamodb_streams", Streams)

    with pytest.raises(NotPublished, match="Not all of its records"):
        LambdaPublishers(lambda: PUBLISHERS).publish_batch_again(
            StreamBatch("arn:aws:dynamodb:r:a:table/loans/stream/x", "s", "1", "2")
        )


@pytest.mark.parametrize("code", ["TrimmedDataAccessException", "ResourceNotFoundException"])
def test_records_that_are_gone_are_said_to_be(lambdas: Functions, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    class Streams:
        def get_shard_iterator(self, **_: object) -> None:
            from botocore.exceptions import ClientError  # noqa: PLC0415 - here only

            raise ClientError({"Error": {"Code": code, "Message": ""}}, "GetShardIterator")

    monkeypatch.setattr(aws, "dynamodb_streams", Streams)

    with pytest.raises(NotPublished, match="no longer there"):
        LambdaPublishers(lambda: PUBLISHERS).publish_batch_again(
            StreamBatch("arn:aws:dynamodb:r:a:table/loans/stream/x", "s", "1", "2")
        )
    assert lambdas.asked == []


def test_a_single_record_goes_to_the_publisher_of_its_service(lambdas: Functions) -> None:
    LambdaPublishers(lambda: PUBLISHERS).publish_again("library.loans", {"dynamodb": {}})

    assert lambdas.asked == [("LoansPublisher", [{"dynamodb": {}}])]


def test_what_no_publisher_is_known_for_is_not_published(lambdas: Functions) -> None:
    with pytest.raises(NotPublished, match="unknown publisher"):
        LambdaPublishers(lambda: PUBLISHERS).publish_again("library.nobody", {})
    with pytest.raises(NotPublished, match="unknown publisher"):
        LambdaPublishers(lambda: PUBLISHERS).publish_batch_again(
            StreamBatch("arn:aws:dynamodb:r:a:table/others/stream/x", "s", "1", "2")
        )
    assert lambdas.asked == []


def test_a_publisher_that_fails_has_published_nothing(lambdas: Functions) -> None:
    lambdas.error = True

    with pytest.raises(NotPublished, match="publisher failed"):
        LambdaPublishers(lambda: PUBLISHERS).publish_again("library.loans", {"dynamodb": {}})
