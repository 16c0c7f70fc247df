"""Every sample in events/invoke goes through the real handler, in this process and on moto, and does what it shows."""

import importlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import pytest
import urllib3
from botocore.exceptions import NoCredentialsError

from library_common import aws
from library_common.dynamodb import Table
from library_common.problems import PROBLEM_JSON
from library_common.tokens import SigningKey, mint_access_token
from localstack.embedded.invocations import as_of
from notifications_service.adapters.inbox import DynamoInbox
from tests.architecture.deployment import functions, service_identities
from tests.contract import filled_services
from tests.contract.in_process import SYSTEM, InProcess
from tests.support.lambda_events import call
from tools import sample_events as samples
from tools import sample_invocations
from tools.generated import differences

pytestmark = pytest.mark.contract

ANSWERS = sample_invocations.answers()
TRIED = {sample: answer for sample, answer in ANSWERS.items() if answer != samples.OWN_TEST}
HTTP = {function.logical_id: function for function in functions() if function.routes()}


def event(function: str, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        (sample_invocations.INVOCATIONS / function / f"{name}.json").read_text(encoding="utf-8")
    )
    return document


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple[InProcess, dict[str, Any]]]:
    """A stack with the samples' member, title, copy and loan, and what its tables hold then."""
    with InProcess().running() as running:
        for fill in filled_services.brought("fill_for_samples").values():
            fill(running)
        yield running, running.tables()


@pytest.fixture
def stack(filled: tuple[InProcess, dict[str, Any]]) -> InProcess:
    """The stack as it was filled, whatever the test before did."""
    stack, tables = filled
    stack.put_back(tables)
    stack.put_keys_back()
    return stack


# -- the files ------------------------------------------------------------------------------------


def test_the_committed_samples_are_the_generated_ones() -> None:
    assert differences(sample_invocations.generate(), [sample_invocations.INVOCATIONS]) == [], "run: make events"


def test_every_function_has_samples() -> None:
    assert {function.logical_id for function in functions()} == {function for function, _ in ANSWERS}


def test_only_what_is_not_always_the_same_has_a_test_of_its_own() -> None:
    assert ANSWERS.keys() - TRIED.keys() == {
        ("AuthorizerFunction", "without_token"),
        ("AuthorizerFunction", "with_token"),
        ("RotationFunction", "daily"),
    }


# -- HTTP -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "name"), [sample for sample in TRIED if sample[0] in HTTP])
def test_a_request_is_answered_as_shown_and_as_documented(stack: InProcess, function: str, name: str) -> None:
    sample = event(function, name)

    with stack.function(function) as handler:
        answer = call(handler, sample)

    assert answer.status == TRIED[function, name], answer.json
    document = importlib.import_module(HTTP[function].module).api.openapi()
    described = document["paths"][sample["resource"]][sample["httpMethod"].lower()]["responses"][str(answer.status)]
    if answer.status >= 400:
        assert answer.headers["content-type"] == PROBLEM_JSON
        assert f"`{answer.json['code']}`" in described["description"]
    assert answer.headers["x-correlation-id"] == "sample-1"


@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("UsersFunction", "openapi"),
        ("UsersFunction", "register_refused"),
        ("UsersFunction", "read_of_another"),
        ("BooksFunction", "reserve_as_member"),
        ("LoansFunction", "check_out_for_another"),
        ("AnalyticsFunction", "dashboard_as_member"),
    ],
)
def test_some_need_nothing_of_aws(stack: InProcess, monkeypatch: pytest.MonkeyPatch, function: str, name: str) -> None:
    """As events/README.md says; but for the limits, which they do without where there is no stack."""

    def no_client(service: str, *, config: Any) -> NoReturn:
        if (service, config.retries["total_max_attempts"]) == ("dynamodb", 1):
            raise NoCredentialsError
        pytest.fail(f"{service} was asked")

    with stack.function(function) as handler:
        aws._client.cache_clear()
        monkeypatch.setattr("boto3.client", no_client)
        assert call(handler, event(function, name)).status == TRIED[function, name]
        monkeypatch.undo()


def test_the_same_request_again_is_replayed(stack: InProcess) -> None:
    for function, name in (("UsersFunction", "register"), ("BooksFunction", "add")):
        with stack.function(function) as handler:
            first = call(handler, event(function, name))
            again = call(handler, event(function, name))
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json == first.json


# -- streams, queues and schedules ---------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "name"), [sample for sample in TRIED if sample[0] not in HTTP])
def test_a_batch_does_what_it_shows(
    stack: InProcess, monkeypatch: pytest.MonkeyPatch, function: str, name: str
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(urllib3, "request", lambda *_, body, **__: told.append(json.loads(body)))

    with stack.function(function) as handler:
        answer = handler(event(function, name), None)

    for outcome in (answer or {}).get("outcomes", []):
        # For people, and about the moment.
        outcome.pop("detail", None)
        outcome.pop("not_before", None)
    for moment in ("changed_at", "replay_until_at_least", "waiting"):
        (answer or {}).pop(moment, None)
    assert answer == TRIED[function, name]

    from_a_deployment = "RequestType" in event(function, name)
    assert [report["Status"] for report in told] == (["SUCCESS"] if from_a_deployment else [])


def test_the_daily_rotation_makes_the_keys_that_are_missing(stack: InProcess) -> None:
    with stack.function("RotationFunction") as handler:
        answer = handler(event("RotationFunction", "daily"), None)

    rings = ["signing-key", *(f"service:{service}" for service in sorted(service_identities()))]
    assert [(outcome["ring"], outcome["result"]) for outcome in answer["outcomes"]] == [(r, "made") for r in rings]


def test_a_loan_s_events_are_what_the_dashboard_shows(stack: InProcess) -> None:
    with stack.function("AnalyticsConsumer") as handler:
        handler(event("AnalyticsConsumer", "a_loan"), None)
    with stack.function("AnalyticsFunction") as handler:
        popular = call(handler, event("AnalyticsFunction", "popular")).json["items"]
        activity = call(handler, event("AnalyticsFunction", "activity")).json

    assert [(title["title"], title["author"], title["loans"]) for title in popular] == [
        ("The Left Hand of Darkness", "Ursula K. Le Guin", 1)
    ]
    assert (activity["user_id"], activity["loans"]) == (samples.MEMBER, 1)


@pytest.mark.parametrize(("days_ago", "told"), [(0, 1), (14, 1), (16, 0)])
def test_a_loan_is_told_of_as_long_as_it_is_news(stack: InProcess, days_ago: int, told: int) -> None:
    """The file itself grows old; as of today, as `make sam-local` hands it over, the member is told."""
    path = sample_invocations.INVOCATIONS / "NotificationsConsumer" / "loan_created.json"
    now = datetime.now(UTC) - timedelta(days=days_ago)

    with stack.function("NotificationsConsumer") as handler:
        answer = handler(json.loads(as_of(path.read_text(encoding="utf-8"), now)), None)

    assert answer == {"batchItemFailures": []}
    listed = DynamoInbox(Table(stack.refs["NotificationsTable"], aws.dynamodb)).page(
        samples.MEMBER, 10, None, unread_only=False
    )
    assert [entry.data["loan_id"] for entry in listed[0]] == [samples.LOAN] * told


def test_published_events_reach_the_bus(stack: InProcess) -> None:
    sqs, events = stack.client("sqs"), stack.client("events")
    queue = sqs.create_queue(QueueName="tap")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus = stack.refs["EventBus"]
    events.put_rule(Name="tap", EventBusName=bus, EventPattern='{"source": [{"prefix": "library."}]}')
    events.put_targets(Rule="tap", EventBusName=bus, Targets=[{"Id": "tap", "Arn": arn}])

    with stack.function("LoansPublisher") as handler:
        handler(event("LoansPublisher", "issued"), None)

    (message,) = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    delivered = json.loads(message["Body"])
    assert (delivered["source"], delivered["detail-type"]) == ("library.loans", "LoanCreated")
    assert delivered["detail"] == samples.newest("loans", "LoanCreated")


@pytest.mark.parametrize(
    ("function", "name", "dead_letters", "reason"),
    [
        ("RevocationsFunction", "one_misunderstood", "RevocationDeadLetters", "detail.id (missing)"),
        ("CodeSender", "one_unreadable", "CodeRequestDeadLetters", "JSONDecodeError: not JSON"),
        ("LoansRecovery", "one_unreadable", "LoanRecoveryDeadLetters", "JSONDecodeError: not JSON"),
        ("LoansErasure", "not_from_users", "LoanErasureDeadLetters", "MemberErased is accepted from users only"),
    ],
)
def test_what_no_consumer_understands_is_set_aside_with_its_reason(
    stack: InProcess, function: str, name: str, dead_letters: str, reason: str
) -> None:
    sqs, url = stack.client("sqs"), stack.refs[dead_letters]
    sqs.purge_queue(QueueUrl=url)
    sample = event(function, name)

    with stack.function(function) as handler:
        handler(sample, None)

    (message,) = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"], MaxNumberOfMessages=10)["Messages"]
    assert message["Body"] == sample["Records"][0]["body"]
    assert reason in message["MessageAttributes"]["reason"]["StringValue"]


@pytest.mark.parametrize(("name", "queued"), [("issued", 0), ("unfinished", 1)])
def test_unfinished_loans_are_queued_for_the_recovery(stack: InProcess, name: str, queued: int) -> None:
    def waiting() -> int:
        attribute = "ApproximateNumberOfMessagesDelayed"
        found = stack.client("sqs").get_queue_attributes(
            QueueUrl=stack.refs["LoanRecoveryQueue"], AttributeNames=[attribute]
        )
        return int(found["Attributes"][attribute])

    before = waiting()
    with stack.function("LoansPublisher") as handler:
        handler(event("LoansPublisher", name), None)

    assert waiting() == before + queued


def test_revoked_sessions_are_refused_by_the_authorizer(stack: InProcess) -> None:
    def ask(epoch: int) -> dict[str, Any]:
        token = mint_access_token(
            stack.signing_key, subject=samples.MEMBER, role="patron", now=datetime.now(UTC), epoch=epoch
        )
        sample = event("AuthorizerFunction", "with_token")
        sample["headers"]["Authorization"] = f"Bearer {token}"
        answer: dict[str, Any] = handler(sample, None)
        return answer

    with stack.function("RevocationsFunction") as handler:
        handler(event("RevocationsFunction", "sessions_revoked"), None)
    with stack.function("AuthorizerFunction") as handler:
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            ask(epoch=0)
        assert ask(epoch=1)["context"]["subject"] == samples.MEMBER


def test_what_a_rotation_signs_with_is_what_it_published(stack: InProcess) -> None:
    with stack.function("RotationFunction") as handler:
        handler({"rotate": ["signing-key"], "force": True}, None)
    found = stack.client("ssm").get_parameter(Name=f"/{SYSTEM}/keys/token-signing", WithDecryption=True)
    stored = found["Parameter"]["Value"]
    token = mint_access_token(
        SigningKey.from_json(stored), subject=samples.MEMBER, role="patron", now=datetime.now(UTC)
    )
    sample = event("AuthorizerFunction", "with_token")
    sample["headers"]["Authorization"] = f"Bearer {token}"

    with stack.function("AuthorizerFunction") as handler:
        assert handler(sample, None)["context"]["subject"] == samples.MEMBER


# -- the authorizer -------------------------------------------------------------------------------


def test_the_authorizer_lets_nobody_through_as_nobody(stack: InProcess) -> None:
    with stack.function("AuthorizerFunction") as handler:
        answer = handler(event("AuthorizerFunction", "without_token"), None)

    assert answer["context"] == {"kind": "anonymous"}


def test_the_authorizer_knows_a_member_by_a_real_token_and_refuses_the_placeholder(stack: InProcess) -> None:
    sample = event("AuthorizerFunction", "with_token")
    with stack.function("AuthorizerFunction") as handler:
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            handler(sample, None)
        token = mint_access_token(stack.signing_key, subject=samples.MEMBER, role="patron", now=datetime.now(UTC))
        sample["headers"]["Authorization"] = f"Bearer {token}"
        answer = handler(sample, None)

    assert answer["context"]["subject"] == samples.MEMBER
    assert answer["policyDocument"]["Statement"][0]["Resource"] == f"{sample['methodArn'].partition('/')[0]}/v1/*"
