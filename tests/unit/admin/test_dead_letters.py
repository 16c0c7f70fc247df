"""Dead letters over HTTP, on queues in memory: looked at without being lost, sent off again without being lost."""

import json
from typing import Any

import pytest

from admin_service import http
from admin_service.application.dead_letters import DEADLINE_SECONDS
from admin_service.application.ports import NotPublished
from admin_service.domain.dead_letters import DeadLetter, Outcome, StreamBatch, origin
from library_common.http import ServiceApi
from tests.fakes.dead_letters import DEAD, JOBS, PRIVATE, UNPUBLISHED, WORK, PostOffice
from tests.support.lambda_events import Answer, api_event, call, person

pytestmark = pytest.mark.unit

ADMIN = person("A" * 26, "admin")
EVENT = {
    "detail-type": "SessionsRevoked",
    "detail": {"id": "E1", "type": "SessionsRevoked", "correlation_id": "desk-1", "data": {"user_id": "U"}},
}
ARN = "arn:aws:dynamodb:eu-west-1:000000000000:table/LoansTable/stream/2026-11-21T00:00:00.000"
BATCH = {
    "requestContext": {"condition": "RetryAttemptsExhausted", "functionArn": "f"},
    "DDBStreamBatchInfo": {
        "streamArn": ARN,
        "shardId": "shardId-1",
        "startSequenceNumber": "100",
        "endSequenceNumber": "120",
        "batchSize": 3,
    },
}
OUTBOX = {
    "source": "library.users",
    "stream_event_id": "S1",
    "keys": {"pk": {"S": "USER#U"}, "sk": {"S": "PROFILE"}},
    "outbox": {"S": "[]"},
}


@pytest.fixture
def office() -> PostOffice:
    return PostOffice()


@pytest.fixture
def api(office: PostOffice) -> ServiceApi:
    return http.build(lambda: office.dead_letters)


def ask(api: ServiceApi, method: str, url: str = "", *, body: object = None, caller: Any = ADMIN) -> Answer:
    return call(api, api_event(method, f"/api/admin/dead-letters{url}", body=body, caller=caller))


def redrive(api: ServiceApi, queue: str = "Dead", **body: Any) -> Any:
    answer = ask(api, "POST", f"/{queue}/redrive", body=body or {"limit": 50})
    assert answer.status == 200, answer.json
    return answer.json


# -- looking --------------------------------------------------------------------------------------


def test_every_queue_is_listed_with_how_much_is_in_it(api: ServiceApi, office: PostOffice) -> None:
    office.queues.put(DEAD, "a")
    office.queues.put(DEAD, "b")

    answer = ask(api, "GET")

    assert [(queue["name"], queue["kind"], queue["waiting"], queue["personal"]) for queue in answer.json["items"]] == [
        ("Dead", "messages", 2, False),
        ("Jobs", "jobs", 0, False),
        ("Private", "messages", 0, True),
        ("Unpublished", "publications", 0, False),
    ]
    assert answer.json["items"][0]["about"] == "Something is wrong."
    assert [queue["oldest_sent_at"] for queue in answer.json["items"]] == ["2026-11-21T12:00:00Z"] + [None] * 3
    assert office.queues.hidden[DEAD] == set()


def test_of_many_letters_the_oldest_is_not_known(api: ServiceApi, office: PostOffice) -> None:
    for number in range(11):
        office.queues.put(DEAD, str(number))

    dead = ask(api, "GET").json["items"][0]
    assert (dead["waiting"], dead["oldest_sent_at"]) == (11, None)


def test_a_letter_says_what_it_is_and_why_it_is_there(api: ServiceApi, office: PostOffice) -> None:
    message_id = office.queues.put(
        DEAD,
        json.dumps(EVENT),
        reason="unreadable: epoch (missing)",
        consumer="revocations",
        received="1",
        set_aside_at="2026-11-21T12:00:03Z",
        correlation_id="desk-1",
    )

    answer = ask(api, "GET", "/Dead")

    assert answer.json["items"] == [
        {
            "id": message_id,
            "reason": "unreadable: epoch (missing)",
            "consumer": "revocations",
            "event_id": "E1",
            "event_type": "SessionsRevoked",
            "correlation_id": "desk-1",
            "received": 1,
            "set_aside_at": "2026-11-21T12:00:03Z",
            "sent_at": "2026-11-21T12:00:00Z",
            "body": json.dumps(EVENT),
        }
    ]
    assert (answer.json["complete"], answer.json["queue"]["oldest_sent_at"]) == (True, "2026-11-21T12:00:00Z")
    assert office.queues.hidden[DEAD] == set(), "others see it at once"
    assert office.queues.bodies(DEAD) == [json.dumps(EVENT)]


@pytest.mark.parametrize(
    ("body", "said", "reason"),
    [
        ("whatever", {}, None),
        ("[]", {"received": "many"}, None),
        (json.dumps({"detail": "text"}), {}, None),
        (
            json.dumps(EVENT),
            {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "Lack of permissions."},
            "not delivered by its rule: NO_PERMISSIONS Lack of permissions.",
        ),
        (json.dumps(BATCH), {}, "stream batch given up: RetryAttemptsExhausted"),
        ("[" * 5000, {}, None),
    ],
)
def test_whoever_set_it_aside_is_understood(
    api: ServiceApi, office: PostOffice, body: str, said: dict[str, str], reason: str | None
) -> None:
    office.queues.put(DEAD, body, **said)

    (shown,) = ask(api, "GET", "/Dead").json["items"]

    assert shown["reason"] == reason
    assert shown["body"] == body


def test_messages_about_people_are_not_shown(api: ServiceApi, office: PostOffice) -> None:
    office.queues.put(PRIVATE, "ann@example.org", reason="RuntimeError")

    answer = ask(api, "GET", "/Private")

    assert (answer.json["items"][0]["body"], answer.json["items"][0]["reason"]) == (None, "RuntimeError")
    assert "ann@" not in json.dumps(answer.json)


def test_no_more_is_shown_than_asked_for(api: ServiceApi, office: PostOffice) -> None:
    for number in range(30):
        office.queues.put(DEAD, str(number))

    answer = ask(api, "GET", "/Dead?limit=25")

    assert len({letter["id"] for letter in answer.json["items"]}) == 25
    assert (answer.json["complete"], answer.json["queue"]["oldest_sent_at"]) == (False, None)
    assert office.queues.hidden[DEAD] == set()
    assert ask(api, "GET", "/Dead?limit=51").status == 422
    assert ask(api, "GET", "/Dead?size=5").status == 422


def test_a_look_that_cannot_give_back_still_answers(api: ServiceApi, office: PostOffice) -> None:
    office.queues.put(DEAD, "a")
    office.queues.failing.add("give_back")

    assert len(ask(api, "GET", "/Dead").json["items"]) == 1


@pytest.mark.parametrize(("method", "url"), [("GET", "/Nowhere"), ("POST", "/Nowhere/redrive"), ("GET", "/Work")])
def test_only_declared_queues_can_be_reached(api: ServiceApi, method: str, url: str) -> None:
    answer = ask(api, method, url, body={"limit": 1} if method == "POST" else None)

    assert (answer.status, answer.json["code"]) == (404, "dead_letter_queue_not_found")


@pytest.mark.parametrize("role", ["patron", "student", "faculty", "librarian"])
def test_only_administrators_come_here(api: ServiceApi, role: str) -> None:
    for method, url in (("GET", ""), ("GET", "/Dead"), ("POST", "/Dead/redrive")):
        answer = ask(api, method, url, body={} if method == "POST" else None, caller=person("M" * 26, role))
        assert answer.status == 403


# -- sending off again ----------------------------------------------------------------------------


def test_all_messages_go_back_to_where_they_came_from(api: ServiceApi, office: PostOffice) -> None:
    for number in range(12):
        office.queues.put(DEAD, f"body {number}", reason="it was down")

    answer = redrive(api)

    assert answer["moved"] == 12
    assert office.queues.bodies(DEAD) == []
    assert office.queues.bodies(WORK) == [f"body {number}" for number in range(12)]
    assert all(letter.attributes == {} for letter in office.queues.messages[WORK]), "with all their tries before them"


def test_no_more_than_the_limit_goes(api: ServiceApi, office: PostOffice) -> None:
    for number in range(5):
        office.queues.put(DEAD, str(number))

    assert redrive(api, limit=2)["moved"] == 2
    assert len(office.queues.bodies(DEAD)) == 3
    assert office.queues.hidden[DEAD] & {letter.id for letter in office.queues.messages[DEAD]} == set()


def test_only_the_named_ones_go(api: ServiceApi, office: PostOffice) -> None:
    ids = [office.queues.put(DEAD, str(number)) for number in range(25)]

    answer = redrive(api, message_ids=[ids[22], ids[3], "gone-already"])

    assert {result["id"]: result["outcome"] for result in answer["results"]} == {
        ids[3]: "moved",
        ids[22]: "moved",
        "gone-already": "not_found",
    }
    assert sorted(office.queues.bodies(WORK)) == ["22", "3"]
    assert office.queues.hidden[DEAD] & {letter.id for letter in office.queues.messages[DEAD]} == set()


def test_what_cannot_be_sent_stays(api: ServiceApi, office: PostOffice) -> None:
    office.queues.put(DEAD, "a")
    office.queues.failing.add("send")

    answer = redrive(api)

    assert (answer["moved"], answer["results"][0]["outcome"]) == (0, "failed")
    assert office.queues.bodies(DEAD) == ["a"]
    assert office.queues.hidden[DEAD] == set()


def test_dying_between_sending_and_deleting_leaves_two_never_none(api: ServiceApi, office: PostOffice) -> None:
    office.queues.put(DEAD, "a")
    office.queues.failing.add("delete")

    redrive(api)
    assert (office.queues.bodies(DEAD), office.queues.bodies(WORK)) == (["a"], ["a"])

    office.queues.failing.clear()
    assert redrive(api)["moved"] == 1
    assert (office.queues.bodies(DEAD), office.queues.bodies(WORK)) == ([], ["a", "a"])


def test_what_there_is_no_time_for_stays(api: ServiceApi, office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        office.queues.put(DEAD, str(number))
    send = office.queues.send

    def slow(url: str, body: str) -> None:
        office.clock.sleep(DEADLINE_SECONDS / 2 + 1)
        send(url, body)

    monkeypatch.setattr(office.queues, "send", slow)

    assert (redrive(api)["moved"], redrive(api)["moved"]) == (2, 1)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"limit": 0},
        {"limit": 101},
        {"limit": "5"},
        {"limit": None},
        {"message_ids": []},
        {"message_ids": [1]},
        {"message_ids": None},
        {"all": True},
    ],
)
def test_what_is_asked_wrongly_is_refused(api: ServiceApi, office: PostOffice, body: Any) -> None:
    office.queues.put(DEAD, "a")

    assert ask(api, "POST", "/Dead/redrive", body=body).status == 422
    assert office.queues.bodies(DEAD) == ["a"]


# -- publications ---------------------------------------------------------------------------------


def test_what_a_publisher_set_aside_goes_to_it_again(api: ServiceApi, office: PostOffice) -> None:
    office.queues.put(UNPUBLISHED, json.dumps(OUTBOX))

    assert redrive(api, "Unpublished")["moved"] == 1

    ((source, record),) = office.publishers.published
    assert source == "library.users"
    assert record["dynamodb"]["NewImage"] == {**OUTBOX["keys"], "events": OUTBOX["outbox"]}  # type: ignore[dict-item]
    assert office.queues.bodies(UNPUBLISHED) == []


def test_a_stream_batch_is_read_again(api: ServiceApi, office: PostOffice) -> None:
    office.queues.put(UNPUBLISHED, json.dumps(BATCH))

    assert redrive(api, "Unpublished")["moved"] == 1

    (batch,) = office.publishers.batches
    assert batch == StreamBatch(ARN, "shardId-1", "100", "120")
    assert batch.table == "LoansTable"


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (NotPublished(Outcome.GONE, "Too late."), "gone"),
        (NotPublished(Outcome.UNREADABLE, "Whose?"), "unreadable"),
        (NotPublished(Outcome.FAILED, "See its log."), "failed"),
        (ConnectionError("down"), "failed"),
    ],
)
def test_what_could_not_be_published_stays_and_says_why(
    api: ServiceApi, office: PostOffice, failure: Exception, outcome: str
) -> None:
    for letter in (BATCH, OUTBOX):
        office.queues.put(UNPUBLISHED, json.dumps(letter))
    office.publishers.failure = failure

    answer = redrive(api, "Unpublished")

    assert (answer["moved"], len(office.queues.bodies(UNPUBLISHED))) == (0, 2)
    assert {result["outcome"] for result in answer["results"]} == {outcome}
    assert all(result["detail"] for result in answer["results"])


@pytest.mark.parametrize(
    "body",
    ["text", "{}", json.dumps({**OUTBOX, "outbox": None}), json.dumps({"DDBStreamBatchInfo": {"shardId": "s"}})],
)
def test_what_holds_nothing_to_publish_stays(api: ServiceApi, office: PostOffice, body: str) -> None:
    office.queues.put(UNPUBLISHED, body)

    assert [result["outcome"] for result in redrive(api, "Unpublished")["results"]] == ["unreadable"]
    assert office.queues.bodies(UNPUBLISHED) == [body]


# -- scheduled jobs -------------------------------------------------------------------------------


def test_a_job_that_failed_is_cleared_and_started_by_nobody(api: ServiceApi, office: PostOffice) -> None:
    """The next run does what was left."""
    ids = [office.queues.put(JOBS, json.dumps({"requestPayload": {"run": run}})) for run in (1, 2)]

    answer = redrive(api, "Jobs", message_ids=[ids[1]])

    assert answer["moved"] == 1
    assert [(result["id"], result["outcome"]) for result in answer["results"]] == [(ids[1], "moved")]
    assert "the next run" in answer["results"][0]["detail"]
    assert [letter.id for letter in office.queues.messages[JOBS]] == [ids[0]]
    assert office.queues.bodies(WORK) == []
    assert office.publishers.published == []


def test_a_job_that_cannot_be_cleared_stays(api: ServiceApi, office: PostOffice) -> None:
    office.queues.put(JOBS, "{}")
    office.queues.failing.add("delete")

    assert [result["outcome"] for result in redrive(api, "Jobs")["results"]] == ["failed"]
    assert office.queues.bodies(JOBS) == ["{}"]


@pytest.mark.parametrize("hostile", [r"\ud800", r"a\u0000b", r"\u202e", "x" * 5000])
def test_what_cannot_be_shown_hides_no_other_message(hostile: str) -> None:
    """One hostile body must not make the whole queue unreadable."""
    body = f'{{"detail": {{"id": "{hostile}", "type": "{hostile}", "correlation_id": "{hostile}"}}}}'
    batch = f'{{"DDBStreamBatchInfo": {{}}, "requestContext": {{"condition": "{hostile}"}}}}'

    shown = origin(DeadLetter("1", "receipt", body))
    assert (shown.event_id, shown.event_type, shown.correlation_id) == (None, None, None)
    assert origin(DeadLetter("2", "receipt", batch)).reason == "stream batch given up: unknown"
