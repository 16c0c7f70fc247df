"""Every sample in events/invoke goes through the real handler, in this process and on moto, and does what it shows."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
import urllib3
from botocore.exceptions import NoCredentialsError

import books_service.bootstrap
import users_service.bootstrap
from books_service.adapters.dynamodb import DynamoCatalogue
from books_service.domain.title import Metadata
from library_common import aws
from library_common.access import ANONYMOUS
from library_common.clock import SystemClock
from library_common.dynamodb import Table
from library_common.problems import PROBLEM_JSON
from library_common.tokens import SigningKey, mint_access_token
from loans_service.adapters.dynamodb import DynamoLoans
from loans_service.domain.loan import Copy, Loan, LoanStatus
from localstack.embedded import template
from localstack.embedded.invocations import as_of
from notifications_service.adapters.announcements import DynamoAnnouncements
from notifications_service.adapters.inbox import DynamoInbox
from notifications_service.domain.announcements import Announcement, Audience
from notifications_service.domain.kinds import Kind
from tests.architecture.deployment import of_type
from tests.contract.in_process import SYSTEM, InProcess
from tests.support.lambda_events import call
from tools import sample_invocations as samples
from tools import services
from tools.generated import differences
from users_service.application.registration import Registration
from users_service.domain.roles import Role

pytestmark = pytest.mark.contract

HTTP = {
    "UsersFunction": {
        "register": 201,
        "register_refused": 422,
        "list": 200,
        "read_own": 200,
        "read_as_service": 200,
        "read_of_another": 404,
        "update_own": 200,
        "suspend": 200,
        "promote": 200,
        # Other services cannot be asked here: nobody listens at their address.
        "export": 503,
        "erase": 503,
        "ask_for_password_reset": 202,
        "confirm_with_a_wrong_code": 422,
        "verify_with_a_wrong_code": 422,
        "resend_verification": 202,
        "openapi": 200,
        "login": 200,
        "login_refused": 401,
        "refresh_refused": 401,
        "logout": 204,
        "keys": 200,
    },
    "BooksFunction": {
        "add": 201,
        "search": 200,
        "read": 200,
        "availability": 200,
        "change": 200,
        "change_stale": 412,
        "add_copies": 201,
        "list_copies": 200,
        "find_copy": 200,
        "reserve": 200,
        "release": 200,
        "reserve_as_member": 403,
        "archive": 409,
    },
    "LoansFunction": {
        # Nobody listens where users and books should be: what needs them says so, and a return does not need them.
        "check_out": 503,
        "check_out_for_another": 403,
        "read": 200,
        "history": 200,
        "history_by_path": 200,
        "renew": 503,
        "return": 200,
        "return_by_path": 200,
    },
    "AnalyticsFunction": {
        "dashboard": 200,
        "dashboard_as_member": 403,
        "trends": 200,
        "popular": 200,
        "genres_as_csv": 200,
        "activity": 200,
        "export": 200,
        "period_refused": 422,
    },
    "NotificationsFunction": {
        "read_preferences": 200,
        "replace_preferences": 200,
        "cannot_be_turned_off": 422,
        # No push application is set up here.
        "register_device": 409,
        "export": 200,
        "export_as_member": 403,
        "list_templates": 200,
        "read_template": 200,
        "replace_wording": 200,
        "replace_wording_refused": 422,
        "withdraw_wording": 204,
        "preview": 200,
        "send_as_member": 403,
        "read_announcement": 200,
        "cancel_announcement": 204,
        "retry_failed": 202,
        "list_of_another": 404,
        "openapi": 200,
    },
    "AdminFunction": {
        "list_queues": 200,
        "look": 200,
        "look_as_librarian": 403,
        "redrive": 200,
        "redrive_unknown": 404,
    },
}
NO_REBUILD: dict[str, Any] = {"live": 1, "building": None, "previous": None, "dropping": []}
RESULTS: dict[str, dict[str, Any]] = {
    "RotationFunction": {
        "daily": {
            "outcomes": [
                {"ring": "signing-key", "result": "made"},
                {"ring": "service:loans", "result": "made"},
                {"ring": "service:notifications", "result": "made"},
                {"ring": "service:users", "result": "made"},
            ],
        },
        "rotate": {
            "outcomes": [
                {"ring": "signing-key", "result": "refused", "code": "too_soon"},
                {"ring": "service:loans", "result": "refused", "code": "too_soon"},
            ]
        },
        "rotate_compromised": {
            "outcomes": [
                {"ring": "service:loans", "result": "rotated"},
                {"ring": "service:nobody", "result": "refused", "code": "no_such_ring"},
            ]
        },
        "service_identity": {"outcomes": []},
        "service_identity_removed": {"outcomes": []},
    },
    "RevocationsFunction": {
        "sessions_revoked": {"batchItemFailures": []},
        "one_misunderstood": {"batchItemFailures": []},
    },
    "UsersPublisher": {"changes": {"published": 2, "set_aside": 0}},
    "CodeSender": {
        "too_late": {"batchItemFailures": []},
        "one_unreadable": {"batchItemFailures": []},
    },
    "MembershipExpiry": {"nightly": None, "go_on": None},
    "FirstAdministratorFunction": {"create": None, "delete": None},
    "NotificationsConsumer": {
        "loan_created": {"batchItemFailures": []},
        "member_erased": {"batchItemFailures": []},
        # What cannot be understood is set aside at once.
        "one_misunderstood": {"batchItemFailures": []},
    },
    "SenderFunction": {
        "deliver": {"batchItemFailures": []},
        "remind_and_announce": {"batchItemFailures": []},
        "one_unreadable": {"batchItemFailures": []},
    },
    "SweepFunction": {"every_minute": None},
    "DeadLettersWatch": {"every_five_minutes": {}},
    "BooksPublisher": {
        "changes": {"published": 2, "set_aside": 0},
        "not_an_envelope": {"published": 0, "set_aside": 1},
    },
    "LoansPublisher": {
        "issued": {"published": 1, "set_aside": 0},
        "unfinished": {"published": 0, "set_aside": 0},
    },
    "LoansRecovery": {
        "look_again": {"batchItemFailures": []},
        "one_unreadable": {"batchItemFailures": []},
    },
    "LoansErasure": {
        "member_erased_twice": {"batchItemFailures": []},
        # It is set aside: what others say of members does not erase them.
        "not_from_users": {"batchItemFailures": []},
    },
    "LoansRetention": {"hourly": None, "round_anew": None, "round_with_walk": None},
    "AnalyticsConsumer": {
        "a_loan": {"batchItemFailures": []},
        # What cannot be read is set aside at once, so it does not come again.
        "one_misread": {"batchItemFailures": []},
    },
    "AnalyticsRebuild": {
        "status_of_rebuild": NO_REBUILD,
        "begin_rebuild": {**NO_REBUILD, "building": 2},
        "finish_refused": {"refused": "No generation is being built."},
        "nightly_cleaning": {**NO_REBUILD, "deleted": 0},
    },
}
SERVICE_OF = {
    "UsersFunction": "users",
    "BooksFunction": "books",
    "LoansFunction": "loans",
    "AnalyticsFunction": "analytics",
    "AdminFunction": "admin",
    "NotificationsFunction": "notifications",
}


def event(function: str, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((samples.INVOCATIONS / function / f"{name}.json").read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple[InProcess, dict[str, Any]]]:
    """A stack with the samples' member, title, copy and loan, and what its tables hold then."""
    with InProcess().running() as running:
        fill(running)
        yield running, running.tables()


@pytest.fixture
def stack(filled: tuple[InProcess, dict[str, Any]]) -> InProcess:
    """The stack as it was filled, whatever the test before did."""
    stack, tables = filled
    stack.put_back(tables)
    stack.put_keys_back()
    return stack


def fill(stack: InProcess) -> None:
    with stack.function("UsersFunction"):
        register = replace(users_service.bootstrap.use_cases().register, ids=lambda: samples.MEMBER)
        register(
            Registration(name="Sam Ple", email=samples.EMAIL, role=Role.PATRON, password=samples.PASSWORD),
            caller=ANONYMOUS,
            ticket=None,
        )
    catalogue = DynamoCatalogue(Table(stack.refs["BooksTable"], aws.dynamodb))
    books = books_service.bootstrap.compose(catalogue, clock=SystemClock(), new_book_id=lambda: samples.BOOK)
    books.titles.add(Metadata(title="The Left Hand of Darkness", author="Ursula K. Le Guin"), 2)
    books.copies.add(samples.BOOK, count=1, barcode=samples.BARCODE)
    books.reservations.reserve(samples.BOOK, samples.LOAN, samples.BARCODE)
    loans = DynamoLoans(stack.refs["LoansTable"], aws.dynamodb)
    now = datetime.now(UTC).replace(microsecond=0)
    pending = Loan(
        id=samples.LOAN,
        user_id=samples.MEMBER,
        role="patron",
        book_id=samples.BOOK,
        status=LoanStatus.PENDING,
        requested_at=now,
        due_at=now + timedelta(days=14),
    )
    loans.open_pending(pending, limit=5)
    loans.activate(pending.activated(Copy(samples.BARCODE, "The Left Hand of Darkness"), now), ())
    closed = Announcement(
        id=samples.ANNOUNCEMENT,
        kind=Kind.ANNOUNCEMENT,
        to=Audience("patron"),
        channels=None,
        send_at=now + timedelta(days=1),
        created_at=now,
        correlation_id="sample-1",
        data={"subject": "Closed on Friday", "message": "We are back on Saturday."},
        by=f"user:{samples.LIBRARIAN}",
    )
    DynamoAnnouncements(Table(stack.refs["NotificationsTable"], aws.dynamodb)).create(closed, None, now)


# -- the files ------------------------------------------------------------------------------------


def test_the_committed_samples_are_the_generated_ones() -> None:
    assert differences(samples.generate(), [samples.INVOCATIONS]) == [], "run: make events"


def test_every_function_has_samples_and_every_sample_is_tried() -> None:
    functions = of_type(template.FUNCTION)
    tried = {f: set(expected) for f, expected in (HTTP | RESULTS).items()}
    tried["AuthorizerFunction"] = {"without_token", "with_token"}

    assert functions.keys() == samples.FUNCTIONS.keys()
    assert {f: {Path(p).stem for p in (samples.INVOCATIONS / f).glob("*.json")} for f in functions} == tried


def test_the_readme_names_every_sample() -> None:
    readme = (samples.INVOCATIONS.parent / "README.md").read_text(encoding="utf-8")
    assert [path.stem for path in samples.INVOCATIONS.rglob("*.json") if f"`{path.stem}`" not in readme] == []


# -- HTTP -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "name"), [(f, name) for f, expected in HTTP.items() for name in expected])
def test_a_request_is_answered_as_shown_and_as_documented(stack: InProcess, function: str, name: str) -> None:
    sample = event(function, name)

    with stack.function(function) as handler:
        answer = call(handler, sample)

    assert answer.status == HTTP[function][name], answer.json
    document = services.module(SERVICE_OF[function], "http").api.openapi()
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
    """As the README says; but for the limits, which they do without where there is no stack."""

    def no_client(service: str, *, attempts: int = 3, **_: int) -> NoReturn:
        if (service, attempts) == ("dynamodb", 1):
            raise NoCredentialsError
        pytest.fail(f"{service} was asked")

    with stack.function(function) as handler:
        monkeypatch.setattr(aws, "_client", no_client)
        assert call(handler, event(function, name)).status == HTTP[function][name]
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


@pytest.mark.parametrize(("function", "name"), [(f, name) for f, expected in RESULTS.items() for name in expected])
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
    assert answer == RESULTS[function][name]

    from_a_deployment = "RequestType" in event(function, name)
    assert [report["Status"] for report in told] == (["SUCCESS"] if from_a_deployment else [])


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
    path = samples.INVOCATIONS / "NotificationsConsumer" / "loan_created.json"
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
