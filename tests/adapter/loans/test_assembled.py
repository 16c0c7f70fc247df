"""The functions of loans as they are deployed: built from their environment, with moto and two other services."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from library_common import aws, service_calls
from library_common.access import Role
from library_common.clock import SystemClock
from library_common.ids import new_id
from library_common.tokens import TokenVerifier
from loans_service import bootstrap, erasure, http, publisher, recovery, retention
from localstack.embedded.layout import ROOT
from tests.adapter.loans.conftest import TABLE
from tests.support.bus_deliveries import delivery, sqs_event
from tests.support.lambda_events import Answer, api_event, call, person
from tests.support.operator_log import OperatorLog, reading_the_log
from tests.support.scripted_service import Asked, Does, ScriptedService

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

pytestmark = [pytest.mark.adapter, pytest.mark.enable_socket]

SECRET = "s" * 64
MEMBER, BOOK = new_id(), new_id()
ACTIVE_MEMBER = Does(200, {"id": MEMBER, "role": "patron", "status": "active", "expires_at": None})
TAKEN = Does(200, {"loan_id": "?", "book_id": BOOK, "barcode": "C-1", "title": "A title"})
RELEASED = Does(200, {"released": True})


@dataclass
class Deployed:
    """Everything around the functions."""

    other_service: ScriptedService
    dynamodb: "DynamoDBClient"
    sqs: "SQSClient"
    recovery_queue: str

    def lend(self, **headers: str) -> Answer:
        body = {"user_id": MEMBER, "book_id": BOOK}
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        caller = person(MEMBER, Role.PATRON)
        return call(http.handler, api_event("POST", "/api/loans", body=body, caller=caller, headers=sent))

    def take_back(self, loan_id: str) -> Answer:
        return call(http.handler, api_event("POST", f"/api/loans/{loan_id}/return", caller=person(MEMBER)))

    def stream_record(self, loan_id: str) -> dict[str, Any]:
        key = {"pk": {"S": f"LOAN#{loan_id}"}, "sk": {"S": "LOAN"}}
        image = self.dynamodb.get_item(TableName=TABLE, Key=key)["Item"]
        return {"eventID": "1", "eventName": "MODIFY", "dynamodb": {"Keys": key, "NewImage": image}}

    def the_only_loan(self) -> str:
        (item,) = (i for i in self.dynamodb.scan(TableName=TABLE)["Items"] if i["sk"]["S"] == "LOAN")
        return str(item["pk"]["S"]).removeprefix("LOAN#")


@pytest.fixture
def deployed(dynamodb: "DynamoDBClient", monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    sqs = boto3.client("sqs")
    queue = sqs.create_queue(QueueName="recovery")["QueueUrl"]
    boto3.client("events").create_event_bus(Name="library")
    with ScriptedService().running() as other_service:
        ssm = boto3.client("ssm")
        ssm.put_parameter(Name="/library/services-url", Type="String", Value=other_service.url)
        ssm.put_parameter(Name="/library/loan-policy", Type="String", Value='{"time_zone": "Africa/Nairobi"}')
        ring = json.dumps({"current": SECRET, "previous": "p" * 64})
        ssm.put_parameter(Name="/library/keys/services/loans", Type="SecureString", Value=ring)
        for name, value in {
            "TABLE_NAME": TABLE,
            "SERVICES_URL_PARAMETER": "/library/services-url",
            "SERVICE_KEY_PARAMETER": "/library/keys/services/loans",
            "LOAN_POLICY_PARAMETER": "/library/loan-policy",
            "RECOVERY_QUEUE_URL": queue,
            "RECOVERY_DELAY_SECONDS": "7",
            "EVENT_BUS_NAME": "library",
            "PUBLISH_DEAD_LETTERS": "publish-dead-letters",
        }.items():
            monkeypatch.setenv(name, value)
        reset_caches()
        yield Deployed(other_service, dynamodb, sqs, queue)
        reset_caches()


def reset_caches() -> None:
    """As a new process: nothing is built, no client is open."""
    for built in (
        bootstrap.settings,
        service_calls._token,
        service_calls._address,
        bootstrap._services,
        bootstrap.lending,
        bootstrap.recovery,
        bootstrap.account_erasure,
        bootstrap.retention_job,
        erasure.handler,
        publisher.handler,
        recovery.handler,
        aws._client,
    ):
        built.cache_clear()


@pytest.fixture
def log() -> Iterator[OperatorLog]:
    with reading_the_log() as log:
        yield log


def test_a_checkout_makes_two_calls_and_is_stored(deployed: Deployed, log: OperatorLog) -> None:
    deployed.other_service.script = [ACTIVE_MEMBER, TAKEN]

    answer = deployed.lend(X_Correlation_Id="visit-7")

    assert (answer.status, answer.json["barcode"]) == (201, "C-1")
    # Noon in Nairobi is not noon in Greenwich: the day ends there.
    assert answer.json["due_date"].endswith("T20:59:59Z")
    users, books = deployed.other_service.asked
    loan_id = answer.json["id"]
    assert (users.method, users.path) == ("GET", f"/v1/api/users/{MEMBER}")
    assert (books.method, books.path) == ("POST", f"/v1/api/books/{BOOK}/reserve")
    assert books.body["loan_id"] == loan_id
    (line,) = log.invocations
    assert (line["outgoing_calls"], line["correlation_id"]) == (2, "visit-7")
    assert users.headers["x-correlation-id"] == books.headers["x-correlation-id"] == "visit-7"
    assert deployed.the_only_loan() == loan_id
    read = call(http.handler, api_event("GET", f"/api/loans/{loan_id}", caller=person(MEMBER)))
    assert read.json == answer.json


def token_of(asked: Asked) -> str:
    return asked.headers["authorization"].removeprefix("Bearer ")


def test_calls_are_signed_with_the_current_secret_and_no_more_than_they_need(deployed: Deployed) -> None:
    deployed.other_service.script = [ACTIVE_MEMBER, TAKEN]
    deployed.lend()

    scopes = frozenset({"users:read", "inventory:write"})
    verifier = TokenVerifier({"keys": []}, {"loans": ((SECRET,), scopes)})

    for asked in deployed.other_service.asked:
        proven = verifier.verify(token_of(asked), SystemClock().now())
        assert (proven.subject, proven.scopes) == ("loans", scopes)


def test_the_same_key_twice_is_one_loan_on_the_table_too(deployed: Deployed) -> None:
    deployed.other_service.script = [ACTIVE_MEMBER, TAKEN]
    first = deployed.lend(Idempotency_Key="k")

    again = deployed.lend(Idempotency_Key="k")

    assert again.headers["idempotency-replayed"] == "true"
    assert (again.json, again.headers["etag"]) == (first.json, first.headers["etag"])
    assert len(deployed.other_service.asked) == 2, "a repeat asks nobody"


def test_a_return_makes_one_call(deployed: Deployed, log: OperatorLog) -> None:
    deployed.other_service.script = [ACTIVE_MEMBER, TAKEN, RELEASED]
    loan_id = deployed.lend().json["id"]
    deployed.other_service.asked.clear()

    answer = deployed.take_back(loan_id)

    assert (answer.status, answer.json["status"]) == (200, "RETURNED")
    (books,) = deployed.other_service.asked
    assert (books.path, books.body) == (f"/v1/api/books/{BOOK}/release", {"loan_id": loan_id})
    assert log.invocations[-1]["outgoing_calls"] == 1


def test_the_stream_publishes_events_and_queues_what_is_unfinished(deployed: Deployed) -> None:
    deployed.other_service.script = [ACTIVE_MEMBER, TAKEN, Does(503)]
    loan_id = deployed.lend().json["id"]
    assert deployed.take_back(loan_id).json["status"] == "RETURNED"

    outcome = publisher.handler({"Records": [deployed.stream_record(loan_id)]}, None)

    assert outcome == {"published": 1, "set_aside": 0}
    waiting = deployed.sqs.get_queue_attributes(QueueUrl=deployed.recovery_queue, AttributeNames=["All"])["Attributes"]
    assert waiting["ApproximateNumberOfMessagesDelayed"] == "1"


def test_the_recovery_gives_back_what_a_return_could_not(deployed: Deployed) -> None:
    deployed.other_service.script = [ACTIVE_MEMBER, TAKEN, Does(503), Does(503), Does(503), RELEASED]
    loan_id = deployed.lend().json["id"]
    deployed.take_back(loan_id)
    message = {"messageId": "m", "body": json.dumps({"loan_id": loan_id, "attempt": 0})}

    assert recovery.handler({"Records": [message]}, None) == {"batchItemFailures": []}

    image = deployed.stream_record(loan_id)["dynamodb"]["NewImage"]
    assert "settling" not in image
    assert deployed.other_service.asked[-1].path == f"/v1/api/books/{BOOK}/release"


def test_a_recovery_that_has_to_wait_puts_the_loan_on_the_queue_again(deployed: Deployed) -> None:
    # Each attempt of the checkout and of the recovery is answered with silence of a kind.
    deployed.other_service.script = [ACTIVE_MEMBER, Does(503)]
    assert deployed.lend().status == 503
    loan_id = deployed.the_only_loan()
    message = {"messageId": "m", "body": json.dumps({"loan_id": loan_id, "attempt": 0})}

    assert recovery.handler({"Records": [message]}, None) == {"batchItemFailures": []}

    waiting = deployed.sqs.get_queue_attributes(QueueUrl=deployed.recovery_queue, AttributeNames=["All"])["Attributes"]
    assert waiting["ApproximateNumberOfMessagesDelayed"] == "1"


def test_a_policy_nobody_can_use_lends_nothing(deployed: Deployed) -> None:
    boto3.client("ssm").put_parameter(
        Name="/library/loan-policy", Type="String", Value='{"time_zone": "Mars"}', Overwrite=True
    )
    deployed.other_service.script = [ACTIVE_MEMBER, TAKEN]

    answer = deployed.lend()

    assert (answer.status, answer.json["code"]) == (503, "policy_missing")
    assert len(deployed.other_service.asked) == 1


def test_the_erasure_of_a_member_reaches_their_closed_loans(deployed: Deployed, log: OperatorLog) -> None:
    deployed.other_service.script = [ACTIVE_MEMBER, TAKEN, RELEASED]
    loan_id = deployed.lend(Idempotency_Key="k").json["id"]
    deployed.take_back(loan_id)
    deployed.other_service.asked.clear()
    sample = json.loads((ROOT / "events" / "samples" / "users" / "MemberErased.v1.json").read_text())
    body = delivery(sample | {"data": {"user_id": MEMBER}}, "library.users")

    assert erasure.handler(sqs_event([body, body]), None) == {"batchItemFailures": []}

    image = deployed.stream_record(loan_id)["dynamodb"]["NewImage"]
    assert MEMBER not in json.dumps(image)
    assert [line["anonymised"] for line in log.invocations[-2:]] == ["1", "0"]
    assert deployed.other_service.asked == []
    read = call(http.handler, api_event("GET", f"/api/loans/{loan_id}", caller=person(new_id(), Role.LIBRARIAN)))
    assert (read.status, read.json["user_id"], read.json["barcode"]) == (200, None, "C-1")


@pytest.mark.parametrize(
    ("users", "status", "anonymised"),
    [
        (Does(200, {**ACTIVE_MEMBER.body, "preferences": {"keep_history": False}}), "finished", "1"),
        (Does(200, {**ACTIVE_MEMBER.body, "preferences": {"keep_history": True}}), "finished", "0"),
        (Does(404, {"code": "user_not_found"}), "finished", "1"),
        (Does(503), "postponed", "0"),
        # Its API is being deployed: nobody has looked the member up.
        (Does(404, {"code": "no_such_route"}), "postponed", "0"),
    ],
)
def test_the_round_asks_users_and_does_as_they_say(
    deployed: Deployed, log: OperatorLog, users: Does, status: str, anonymised: str
) -> None:
    deployed.other_service.script = [ACTIVE_MEMBER, TAKEN, RELEASED]
    loan_id = deployed.lend().json["id"]
    deployed.take_back(loan_id)
    long_ago = {":at": {"S": "2020-01-01T00:00:00Z"}}
    for key, moments in (
        ({"pk": {"S": f"LOAN#{loan_id}"}, "sk": {"S": "LOAN"}}, "SET issued = :at, returned = :at"),
        ({"pk": {"S": f"MEMBER#{MEMBER}"}, "sk": {"S": "ACCOUNT"}}, "SET since = :at"),
    ):
        deployed.dynamodb.update_item(
            TableName=TABLE, Key=key, UpdateExpression=moments, ExpressionAttributeValues=long_ago
        )
    deployed.other_service.asked.clear()
    deployed.other_service.script = [users]

    retention.handler({}, None)

    line = log.invocations[-1]
    assert (line["status"], line["anonymised"], line["failed"]) == (status, anonymised, "0")
    assert {asked.path for asked in deployed.other_service.asked} == {f"/v1/api/users/{MEMBER}"}
    assert ("member" in deployed.stream_record(loan_id)["dynamodb"]["NewImage"]) is (anonymised == "0")
