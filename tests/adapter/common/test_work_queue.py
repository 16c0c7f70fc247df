"""A consumer's queue on SQS: pauses and setting aside, as the engine sees them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from library_common import aws
from library_common.consumers import Queue
from tests.support.tables import dynamodb_in_moto

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

pytestmark = pytest.mark.adapter


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> Iterator["SQSClient"]:
    with dynamodb_in_moto(monkeypatch):
        aws._client.cache_clear()
        yield boto3.client("sqs")
    aws._client.cache_clear()


@pytest.fixture
def urls(sqs: "SQSClient") -> tuple[str, str]:
    return tuple(sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("work", "dead"))  # type: ignore[return-value]  # two


def the_record(sqs: "SQSClient", url: str) -> SQSRecord:
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    (message,) = sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    return SQSRecord({"receiptHandle": message["ReceiptHandle"], "body": message["Body"], "attributes": {}})


def received(sqs: "SQSClient", url: str) -> list[Any]:
    return list(sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages", []))


def test_a_message_with_a_pause_is_not_there_meanwhile(sqs: "SQSClient", urls: tuple[str, str]) -> None:
    work, dead = urls
    record = the_record(sqs, work)

    Queue(work, dead).retry_later(record)

    assert received(sqs, work) == []


def test_a_message_set_aside_is_in_the_other_queue_with_what_was_said(sqs: "SQSClient", urls: tuple[str, str]) -> None:
    work, dead = urls

    Queue(work, dead).move_to_dead_letters(
        the_record(sqs, work), {"reason": "no such thing", "consumer": "notes", "empty": ""}
    )

    (message,) = received(sqs, dead)
    assert message["Body"] == "hello"
    assert {name: value["StringValue"] for name, value in message["MessageAttributes"].items()} == {
        "reason": "no such thing",
        "consumer": "notes",
    }
