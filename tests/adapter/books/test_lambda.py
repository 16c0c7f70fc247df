"""The Lambda functions as deployed: settings from the environment, the table, the stream, the bus."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from books_service import bootstrap, http, publisher
from library_common import aws
from library_common.publisher import PublishFailed
from tests.adapter.books.conftest import TABLE
from tests.support.lambda_events import Answer, api_event, call, person, service

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.adapter

DESK = person("desk", "librarian")
LOANS = service("loans", "inventory:write")
HOBBIT = {"title": "The Hobbit", "author": "J. R. R. Tolkien", "copies": 2}


@pytest.fixture(autouse=True)
def fresh(dynamodb: "DynamoDBClient", monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A new execution environment."""
    for name, value in {"TABLE_NAME": TABLE, "EVENT_BUS_NAME": "library", "BARCODE_INSTITUTION": "0042"}.items():
        monkeypatch.setenv(name, value)
    _forget()
    yield
    _forget()


def _forget() -> None:
    aws._client.cache_clear()
    bootstrap.use_cases.cache_clear()
    publisher.handler.cache_clear()


def ask(method: str, url: str, **request: Any) -> Answer:
    return call(http.handler, api_event(method, url, **request))


def test_a_title_from_entering_to_archiving() -> None:
    added = ask("POST", "/api/books", body=HOBBIT, caller=DESK, headers={"Idempotency-Key": "k"})
    assert added.status == 201
    again = ask("POST", "/api/books", body=HOBBIT, caller=DESK, headers={"Idempotency-Key": "k"})
    assert (again.json, again.headers["idempotency-replayed"]) == (added.json, "true")
    url = added.headers["location"]

    assert ask("GET", "/api/books?search=tolkien").json["items"] == [added.json]
    barcodes = [copy["barcode"] for copy in ask("GET", f"{url}/copies", caller=DESK).json["items"]]
    assert all(barcode.startswith("30042") for barcode in barcodes)

    reserved = ask("POST", f"{url}/reserve", body={"loan_id": "L1"}, caller=LOANS)
    assert reserved.json["barcode"] in barcodes
    assert ask("DELETE", url, caller=DESK).json["code"] == "copies_out"
    assert ask("GET", f"/api/books/copies/{reserved.json['barcode']}", caller=LOANS).json["loan_id"] == "L1"
    assert ask("POST", f"{url}/release", body={"loan_id": "L1"}, caller=LOANS).json["released"]
    renamed = ask("PATCH", url, body={"title": "There and Back Again", "copies": 1}, caller=DESK)
    assert (renamed.json["version"], renamed.json["total_copies"]) == (2, 1)
    assert ask("DELETE", url, caller=DESK).json["archived"]
    assert ask("GET", "/api/books?search=again").json["items"] == []
    assert ask("POST", f"{url}/restore", caller=DESK).status == 200
    assert [book["id"] for book in ask("GET", "/api/books?search=again").json["items"]] == [added.json["id"]]


def test_a_table_that_cannot_be_reached_is_a_problem_document(monkeypatch: pytest.MonkeyPatch) -> None:
    def throttled(*_: Any, **__: Any) -> Any:
        error: Any = {"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "slow down"}}
        raise aws.dynamodb().exceptions.ProvisionedThroughputExceededException(error, "Query")

    monkeypatch.setattr(aws.dynamodb(), "query", throttled)
    answer = ask("GET", "/api/books")
    assert (answer.status, answer.json["code"]) == (503, "service_unavailable")
    assert answer.headers["retry-after"]


def test_a_senseless_institution_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARCODE_INSTITUTION", "12x")
    bootstrap.use_cases.cache_clear()
    with pytest.raises(ValueError, match="barcode_institution"):
        bootstrap.use_cases()


# -- the publisher --------------------------------------------------------------------------------


def stream_of(client: "DynamoDBClient") -> dict[str, Any]:
    """A stream batch with the present items as new images, as the stream would bring them."""
    return {
        "Records": [
            {"eventID": str(index), "eventName": "INSERT", "dynamodb": {"NewImage": found}}
            for index, found in enumerate(client.scan(TableName=TABLE)["Items"])
        ]
    }


def test_what_happened_is_put_on_the_bus(dynamodb: "DynamoDBClient") -> None:
    events, sqs = boto3.client("events"), boto3.client("sqs")
    queue = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.create_event_bus(Name="library")
    events.put_rule(Name="all", EventBusName="library", EventPattern=json.dumps({"source": ["library.books"]}))
    events.put_targets(Rule="all", EventBusName="library", Targets=[{"Id": "1", "Arn": arn}])
    book_id = ask("POST", "/api/books", body=HOBBIT, caller=DESK).json["id"]
    ask("POST", f"/api/books/{book_id}/reserve", body={"loan_id": "L1"}, caller=LOANS)

    assert publisher.handler(stream_of(dynamodb), None) == {"published": 2, "set_aside": 0}

    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    heard = {body["detail-type"]: body["detail"] for body in (json.loads(message["Body"]) for message in messages)}
    assert set(heard) == {"BookAdded", "CopyStatusChanged"}
    assert heard["BookAdded"]["actor"] == "user:desk"
    assert heard["CopyStatusChanged"]["actor"] == "service:loans"
    assert heard["CopyStatusChanged"]["subject"] == f"book:{book_id}"


def test_what_the_bus_does_not_take_comes_again(dynamodb: "DynamoDBClient", monkeypatch: pytest.MonkeyPatch) -> None:
    ask("POST", "/api/books", body=HOBBIT, caller=DESK)
    refusal = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}
    monkeypatch.setattr(aws.events(), "put_events", lambda **_: refusal)
    with pytest.raises(PublishFailed):
        publisher.handler(stream_of(dynamodb), None)
