"""What was given up, on the deployed stack: it blocks nothing, it is found with its reason, and it goes off again."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from library_common.ids import new_id
from localstack.embedded.stack import LocalStack
from tests.support.event_tap import EventTap
from tests.support.library_client import LibraryClient, eventually, ok, problem

pytestmark = pytest.mark.integration

QUEUE = "RevocationDeadLetters"


def envelope(user_id: str, epoch: object) -> dict[str, Any]:
    return {
        "id": new_id(),
        "type": "SessionsRevoked",
        "version": 1,
        "occurred_at": "2026-11-21T12:00:00Z",
        "correlation_id": f"dead-{user_id}",
        "actor": "system",
        "subject": f"user:{user_id}",
        "data": {"user_id": user_id, "reason": "suspended", "epoch": epoch},
    }


def put_on_the_bus(stack: LocalStack, *envelopes: dict[str, Any]) -> None:
    answer = stack.client("events").put_events(
        Entries=[
            {
                "Source": "library.users",
                "DetailType": "SessionsRevoked",
                "Detail": json.dumps(one),
                "EventBusName": stack.outputs["EventBusName"],
            }
            for one in envelopes
        ]
    )
    assert answer["FailedEntryCount"] == 0


@pytest.fixture(autouse=True)
def nothing_is_left_behind(stack: LocalStack) -> Iterator[None]:
    yield
    for queue in (QUEUE, "PublishDeadLetters"):
        stack.client("sqs").purge_queue(QueueUrl=stack.outputs[queue])


def noted_epoch(stack: LocalStack, user_id: str) -> int | None:
    """What the authorizer will read about a member."""
    found = stack.client("dynamodb").query(
        TableName=stack.outputs["GatewayTable"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "REVOKED"}},
    )["Items"]
    epochs = [int(item["epoch"]["N"]) for item in found if user_id in item["sk"]["S"]]
    return epochs[0] if epochs else None


def letters(library: LibraryClient, queue: str = QUEUE) -> list[dict[str, Any]]:
    answer = library.http.get(f"/api/admin/dead-letters/{queue}?limit=50", headers=library.as_admin())
    found: list[dict[str, Any]] = ok(answer)["items"]
    return found


def letter_about(library: LibraryClient, text: str, queue: str = QUEUE) -> dict[str, Any]:
    """Waits for it; there is one only."""
    found = eventually(
        lambda: [letter for letter in letters(library, queue) if text in letter["body"]],
        f"a letter about {text}",
    )
    assert len(found) == 1
    return found[0]


def redrive(library: LibraryClient, queue: str, *message_ids: str) -> dict[str, Any]:
    return ok(
        library.http.post(
            f"/api/admin/dead-letters/{queue}/redrive",
            json={"message_ids": list(message_ids)},
            headers=library.as_admin(),
        )
    )


def test_poison_is_set_aside_with_its_reason_and_blocks_nothing(stack: LocalStack, library: LibraryClient) -> None:
    bad, good = new_id(), new_id()
    poison = envelope(bad, "many")

    put_on_the_bus(stack, poison, envelope(good, 4))

    letter = letter_about(library, bad)
    assert letter["reason"] == "unreadable: ValidationError: epoch (int_parsing)"
    assert (letter["consumer"], letter["received"]) == ("revocations", 1)
    assert (letter["event_id"], letter["event_type"]) == (poison["id"], "SessionsRevoked")
    assert letter["correlation_id"] == poison["correlation_id"]
    eventually(lambda: noted_epoch(stack, good) == 4, "the good one has its effect")

    overview = ok(library.http.get("/api/admin/dead-letters", headers=library.as_admin()))
    assert {queue["name"]: queue["waiting"] for queue in overview["items"]}[QUEUE] == 1
    problem(library.http.get("/api/admin/dead-letters", headers=library.as_librarian()), 403, "not_allowed")

    # Sent off as it is, it comes back: as another message, with the reason it has now.
    assert redrive(library, QUEUE, letter["id"])["results"] == [
        {"id": letter["id"], "outcome": "moved", "detail": None, "event_id": poison["id"]}
    ]
    again = letter_about(library, bad)
    assert again["id"] != letter["id"]
    assert again["event_id"] == poison["id"]
    assert again["reason"] == letter["reason"]
    # What its producer sends once it is mended, under the same id, has its effect.
    put_on_the_bus(stack, {**poison, "data": {**poison["data"], "epoch": 7}})
    eventually(lambda: noted_epoch(stack, bad) == 7, "the mended one has its effect")


def test_a_message_whose_consumer_kept_dying_is_done_after_a_redrive(stack: LocalStack, library: LibraryClient) -> None:
    """The consumer is stopped, and the message received for it again and again, as by processes that die."""
    user_id = new_id()
    with consumer_stopped(stack):
        put_on_the_bus(stack, envelope(user_id, 3))
        work = stack.outputs["RevocationQueue"]

        def given_up() -> bool:
            stack.client("sqs").receive_message(QueueUrl=work, VisibilityTimeout=0)
            return any(user_id in letter["body"] for letter in letters(library))

        eventually(given_up, "the queue gives it up")
        letter = letter_about(library, user_id)
        assert letter["reason"] is None, "nobody lived to say one"
        assert noted_epoch(stack, user_id) is None

    answer = redrive(library, QUEUE, letter["id"], "no-such-message")

    assert {result["id"]: result["outcome"] for result in answer["results"]} == {
        letter["id"]: "moved",
        "no-such-message": "not_found",
    }
    eventually(lambda: noted_epoch(stack, user_id) == 3, "it has its effect")
    assert [one for one in letters(library) if user_id in one["body"]] == []


@contextmanager
def consumer_stopped(stack: LocalStack) -> Iterator[None]:
    client = stack.client("lambda")
    arn = stack.client("sqs").get_queue_attributes(
        QueueUrl=stack.outputs["RevocationQueue"], AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    (mapping,) = client.list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield
    finally:
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


# -- publications ---------------------------------------------------------------------------------


def test_streams_wake_publishers_only_for_what_they_look_at(stack: LocalStack) -> None:
    mappings = stack.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    patterns = {
        mapping["EventSourceArn"].partition(":table/")[2].partition("/")[0]: [
            json.loads(one["Pattern"]) for one in mapping.get("FilterCriteria", {}).get("Filters", [])
        ]
        for mapping in mappings
        if ":dynamodb:" in mapping["EventSourceArn"]
    }

    with_outbox = [{"dynamodb": {"NewImage": {"events": {"S": [{"exists": True}]}}}}]
    assert patterns[stack.outputs["UsersTable"]] == patterns[stack.outputs["BooksTable"]] == with_outbox
    assert patterns[stack.outputs["LoansTable"]] == [
        {"eventName": ["INSERT", "MODIFY"], "dynamodb": {"Keys": {"sk": {"S": ["LOAN"]}}}}
    ]


def test_an_outbox_that_cannot_be_read_is_set_aside_without_the_rest_of_its_item(
    stack: LocalStack, library: LibraryClient
) -> None:
    marker = new_id()
    key = {"pk": {"S": f"BROKEN#{marker}"}, "sk": {"S": "BROKEN"}}
    table = stack.outputs["BooksTable"]
    item = {**key, "events": {"S": f"[{{}}] {marker}"}, "secret": {"S": "Ann Lee"}}
    stack.client("dynamodb").put_item(TableName=table, Item=item)

    letter = letter_about(library, marker, "PublishDeadLetters")
    stack.client("dynamodb").delete_item(TableName=table, Key=key)

    assert letter["reason"] == "unreadable outbox: JSONDecodeError"
    assert letter["consumer"] == "publisher of library.books"
    assert "Ann Lee" not in letter["body"]
    assert redrive(library, "PublishDeadLetters", letter["id"])["moved"] == 1
    assert letter_about(library, marker, "PublishDeadLetters")["id"] != letter["id"], "still nobody can read it"


def test_a_stream_batch_lambda_gave_up_on_is_published_after_all(
    stack: LocalStack, library: LibraryClient, bus: EventTap
) -> None:
    """Lambda's description of it, as the publisher's on-failure destination is sent it."""
    book = library.add_book()
    published = eventually(lambda: bus.about(book["id"], at_least=1), "the event")
    seen_before = bus.times(published[0]["id"])
    streams, table = stack.client("dynamodbstreams"), stack.outputs["BooksTable"]
    arn = stack.client("dynamodb").describe_table(TableName=table)["Table"]["LatestStreamArn"]
    (shard, *_) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    number = None
    position = iterator["ShardIterator"]
    while position is not None and number is None:
        answer = streams.get_records(ShardIterator=position)
        for record in answer["Records"]:
            image = record["dynamodb"].get("NewImage", {})
            if published[0]["id"] in image.get("events", {}).get("S", ""):
                number = record["dynamodb"]["SequenceNumber"]
        assert answer["Records"] or number, "the stream has it"
        position = answer.get("NextShardIterator")
    described = {
        "requestContext": {"condition": "RetryAttemptsExhausted", "approximateInvokeCount": 201},
        "DDBStreamBatchInfo": {
            "streamArn": arn,
            "shardId": shard["ShardId"],
            "startSequenceNumber": number,
            "endSequenceNumber": number,
            "batchSize": 1,
        },
    }
    stack.client("sqs").send_message(QueueUrl=stack.outputs["PublishDeadLetters"], MessageBody=json.dumps(described))

    letter = letter_about(library, "DDBStreamBatchInfo", "PublishDeadLetters")
    assert letter["reason"] == "stream batch given up: RetryAttemptsExhausted"
    assert redrive(library, "PublishDeadLetters", letter["id"])["moved"] == 1

    def again() -> bool:
        return bus.times(published[0]["id"]) > seen_before

    eventually(again, "the event once more, for whoever missed it")
