"""The Lambda functions as deployed: settings from the environment, the table, the stream, the bus."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from library_common import aws
from library_common.clock import SystemClock
from library_common.dynamodb import Table
from library_common.ids import new_id
from library_common.key_rings import Ring, public_jwks_json, signing_ring_json
from library_common.publisher import PublishFailed
from library_common.tokens import SigningKey, TokenVerifier
from tests.adapter.users.steps import TABLE, add
from tests.support.lambda_events import Answer, api_event, call, person, service
from users_service import bootstrap, http, publisher
from users_service.adapters.dynamodb import DynamoMembers
from users_service.domain.roles import Role

pytestmark = pytest.mark.adapter


@pytest.fixture(autouse=True)
def fresh(dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A new execution environment."""
    for name, value in {
        "TABLE_NAME": TABLE,
        "EVENT_BUS_NAME": "library",
        "MEMBERSHIP_DAYS": "30",
        "MEMBERSHIP_STARTS_AS": "pending",
        "BCRYPT_ROUNDS": "4",
    }.items():
        monkeypatch.setenv(name, value)
    _forget()
    yield
    _forget()


def _forget() -> None:
    aws._client.cache_clear()
    bootstrap.use_cases.cache_clear()
    publisher.handler.cache_clear()


def _ask(method: str, url: str, **request: Any) -> Answer:
    return call(http.handler, api_event(method, url, **request))


MOVED = {"name": "Ann Young", "email": "young@example.com"}
ANN = {"name": "Ann Lee", "email": "Ann@Example.com", "password": "correct horse", "phone": "+44 1632 960001"}


def test_a_member_from_registration_to_promotion(dynamodb: DynamoDBClient, table: Table) -> None:
    librarian, account = person(new_id(), "librarian"), add(DynamoMembers(table), name="Zoe", role=Role.ADMIN)
    admin = person(account.id, "admin")

    registered = _ask("POST", "/api/users", body=ANN, headers={"Idempotency-Key": "k"})
    assert (registered.status, registered.json["status"]) == (201, "pending")
    again = _ask("POST", "/api/users", body=ANN, headers={"Idempotency-Key": "k"})
    assert (again.json, again.headers["idempotency-replayed"]) == (registered.json, "true")
    assert _ask("POST", "/api/users", body={**ANN, "email": "ann@example.com"}).json["code"] == "email_taken"

    url = f"/api/users/{registered.json['id']}"
    me = person(registered.json["id"])
    active = _ask("PUT", f"{url}/status", body={"status": "active"}, caller=librarian)
    assert (active.status, active.json["status"]) == (200, "active")
    assert _ask("PUT", "/api/users/me", body=MOVED, caller=me).json["code"] == "password_needed"
    renamed = _ask("PUT", "/api/users/me", body={**MOVED, "current_password": "correct horse"}, caller=me)
    assert renamed.status == 200
    promoted = _ask("POST", f"{url}/promote", body={"role": "librarian"}, caller=admin)
    assert (promoted.json["role"], promoted.json["expires_at"]) == ("librarian", None)

    assert _ask("GET", url, caller=service("loans", "users:read")).json == promoted.json
    assert _ask("GET", "/api/users?name=ann&status=active", caller=librarian).json["items"] == [promoted.json]
    assert _ask("GET", "/api/users?email=YOUNG@example.com", caller=librarian).json["items"] == [promoted.json]
    assert _ask("GET", "/api/users?email=ann@example.com", caller=librarian).json["items"] == []

    stored = json.dumps(dynamodb.scan(TableName=TABLE)["Items"])
    assert "correct horse" not in stored
    assert "$2b$04$" in stored


def test_a_login_with_keys_where_the_template_puts_them(
    dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNING_KEY_PARAMETER", "/library/keys/token-signing")
    monkeypatch.setenv("VERIFICATION_KEYS_PARAMETER", "/library/token-verification-keys")
    monkeypatch.setenv("MEMBERSHIP_STARTS_AS", "active")
    _forget()
    _ask("POST", "/api/users", body=ANN)
    login = {"email": "ANN@example.com", "password": "correct horse"}

    for answer in (_ask("POST", "/api/auth/login", body=login), _ask("GET", "/.well-known/jwks.json")):
        assert (answer.status, answer.json["code"]) == (503, "service_unavailable")
        assert answer.headers["retry-after"]
    assert not [item for item in dynamodb.scan(TableName=TABLE)["Items"] if item["sk"]["S"] == "SESSION"]

    key = SigningKey.generate()
    boto3.client("ssm").put_parameter(
        Name="/library/keys/token-signing", Value=signing_ring_json(Ring(key)), Type="SecureString"
    )
    boto3.client("ssm").put_parameter(
        Name="/library/token-verification-keys", Value=public_jwks_json([key]), Type="String"
    )
    session = _ask("POST", "/api/auth/login", body=login)
    published = _ask("GET", "/.well-known/jwks.json")

    assert session.status == 200
    verifier = TokenVerifier(published.json, {})
    assert verifier.verify(session.json["access_token"], SystemClock().now()).subject == session.json["user"]["id"]
    refreshed = _ask("POST", "/api/auth/refresh", body={"refresh_token": session.json["refresh_token"]})
    assert refreshed.status == 200
    stored = json.dumps(dynamodb.scan(TableName=TABLE)["Items"])
    for token in (session.json["refresh_token"], refreshed.json["refresh_token"]):
        assert token.split(".")[1] not in stored


def test_a_table_that_cannot_be_reached_is_a_problem_document(monkeypatch: pytest.MonkeyPatch) -> None:
    def throttled(*_: Any, **__: Any) -> Any:
        client = aws.dynamodb()
        raise client.exceptions.ProvisionedThroughputExceededException(
            {"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "slow down"}}, "GetItem"
        )

    monkeypatch.setattr(aws.dynamodb(), "get_item", throttled)

    answer = _ask("GET", f"/api/users/{new_id()}", caller=person(new_id(), "librarian"))

    assert (answer.status, answer.json["code"]) == (503, "service_unavailable")
    assert answer.headers["retry-after"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MEMBERSHIP_STARTS_AS", "expired"),
        ("MEMBERSHIP_DAYS", "0"),
        ("BCRYPT_ROUNDS", "3"),
        ("PASSWORD_MIN_CHARACTERS", "7"),
        ("PASSWORD_MIN_CHARACTERS", "65"),
        ("REFRESH_DAYS", "0"),
    ],
)
def test_senseless_settings_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ValueError, match=name.lower()):
        bootstrap.use_cases()


# -- the publisher --------------------------------------------------------------------------------


def _stream_of(client: DynamoDBClient) -> dict[str, Any]:
    """A stream batch with the present items as new images, as the stream would bring them."""
    return {
        "Records": [
            {"eventID": str(index), "eventName": "INSERT", "dynamodb": {"NewImage": item}}
            for index, item in enumerate(client.scan(TableName=TABLE)["Items"])
        ]
    }


def test_what_happened_is_put_on_the_bus(dynamodb: DynamoDBClient) -> None:
    events, sqs = boto3.client("events"), boto3.client("sqs")
    queue = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.create_event_bus(Name="library")
    events.put_rule(Name="all", EventBusName="library", EventPattern=json.dumps({"source": ["library.users"]}))
    events.put_targets(Rule="all", EventBusName="library", Targets=[{"Id": "1", "Arn": arn}])
    registered = _ask("POST", "/api/users", body=ANN, headers={"Idempotency-Key": "k"})

    outcome = publisher.handler(_stream_of(dynamodb), None)

    assert outcome == {"published": 1, "set_aside": 0}
    (message,) = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    heard = json.loads(message["Body"])
    assert (heard["source"], heard["detail-type"]) == ("library.users", "MemberRegistered")
    assert heard["detail"]["data"] == {
        "user_id": registered.json["id"],
        "role": "patron",
        "status": "pending",
    }
    for personal in ("Ann", "ann@", "1632", "horse", "$2b$"):
        assert personal not in message["Body"]


def test_what_the_bus_does_not_take_comes_again(dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> None:
    _ask("POST", "/api/users", body=ANN)
    refusal = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}
    monkeypatch.setattr(aws.events(), "put_events", lambda **_: refusal)

    with pytest.raises(PublishFailed):
        publisher.handler(_stream_of(dynamodb), None)
