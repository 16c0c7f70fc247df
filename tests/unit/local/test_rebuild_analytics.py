"""What ``make rebuild-analytics`` makes of the function's answers."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localstack.embedded import deploy, engine
from localstack.embedded.aws import Aws
from localstack.embedded.errors import Refusal
from localstack.embedded.rebuild_analytics import rebuild
from localstack.embedded.state import StackFile

pytestmark = pytest.mark.unit

LONG_AGO = "2026-01-01T00:01:00Z"
IDLE: dict[str, Any] = {"live": 1, "building": None, "dropping": [], "replay_until_at_least": None}
BUILDING = {**IDLE, "building": 2, "replay_until_at_least": LONG_AGO}
OUTPUTS = {
    "EventsArchiveArn": "arn:archive",
    "EventBusArn": "arn:bus",
    "AnalyticsQueue": "http://emulator/queue",
    "AnalyticsRuleArn": "arn:rule",
    "AnalyticsCopiesRuleArn": "arn:copies",
}


class Client:
    """Of Lambda, SQS and EventBridge, as far as they are asked. waiting, in_hand: of the queue's messages."""

    waiting, in_hand = 0, 0
    knows_replays = True

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.replays: list[dict[str, Any]] = []
        self.archives: list[str] = []
        self.forced = False

    def invoke(self, *, Payload: bytes, **_: Any) -> dict[str, Any]:
        command = json.loads(Payload)
        self.asked.append(command["action"])
        self.forced = command["force"]
        return {"Payload": io.BytesIO(json.dumps(self.answers.pop(0)).encode())}

    def list_archives(self, *, NamePrefix: str) -> dict[str, Any]:
        return {"Archives": [{"ArchiveName": name} for name in self.archives if name.startswith(NamePrefix)]}

    def start_replay(self, **asked: Any) -> None:
        self.replays.append({**asked, "State": "RUNNING"})

    def list_replays(self, *, NamePrefix: str) -> dict[str, Any]:
        if not self.knows_replays:
            raise ClientError({"Error": {"Code": "InternalFailure"}}, "ListReplays")
        return {"Replays": [replay for replay in self.replays if replay["ReplayName"].startswith(NamePrefix)]}

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:
        assert QueueUrl == OUTPUTS["AnalyticsQueue"]
        numbers = {
            "ApproximateNumberOfMessages": str(self.waiting),
            "ApproximateNumberOfMessagesNotVisible": str(self.in_hand),
        }
        return {"Attributes": {name: numbers[name] for name in AttributeNames}}


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "stack.json"
    functions = {"AnalyticsRebuild": "rebuild"}
    StackFile("http://here", "http://emulator", "us-east-1", [], {}, functions, "library", {}).write(path)
    monkeypatch.setattr(engine, "identify", lambda _: engine.Engine("localstack", "1"))
    monkeypatch.setattr(deploy, "outputs", lambda *_: OUTPUTS)
    return path


def answering(monkeypatch: pytest.MonkeyPatch, *answers: dict[str, Any]) -> Client:
    client = Client(*answers)
    monkeypatch.setattr(Aws, "client", lambda *_: client)
    return client


def test_cleaning_goes_on_until_nothing_is_left(monkeypatch: pytest.MonkeyPatch, known: Path) -> None:
    client = answering(monkeypatch, {**IDLE, "dropping": [1], "deleted": 900}, {**IDLE, "dropping": [], "deleted": 7})

    assert list(rebuild(known, "clean")) == ["deleted 900 items", "live: 1", "deleted: 7"]
    assert client.asked == ["clean", "clean"]


def test_what_the_function_refuses_is_refused_here(monkeypatch: pytest.MonkeyPatch, known: Path) -> None:
    answering(monkeypatch, {"refused": "No generation is being built."})

    with pytest.raises(Refusal, match="No generation"):
        list(rebuild(known, "finish"))


def test_a_replay_reaches_past_the_beginning_and_only_to_analytics(
    monkeypatch: pytest.MonkeyPatch, known: Path
) -> None:
    client = answering(monkeypatch, BUILDING)

    (line,) = rebuild(known, "replay")

    (asked,) = client.replays
    assert asked["ReplayName"] in line
    assert asked["EventEndTime"].isoformat() == "2026-01-01T00:01:00+00:00"
    assert asked["Destination"] == {"Arn": "arn:bus", "FilterArns": ["arn:rule", "arn:copies"]}


def test_the_status_says_whether_to_finish(monkeypatch: pytest.MonkeyPatch, known: Path) -> None:
    client = answering(monkeypatch, BUILDING, BUILDING, BUILDING, BUILDING)
    before = ["live: 1", "building: 2", f"replay_until_at_least: {LONG_AGO}"]
    assert list(rebuild(known, "status")) == [
        *before,
        "AnalyticsQueue: 0 waiting, 0 being counted or between two tries",
        "replay: none was started",
    ]

    list(rebuild(known, "replay"))
    client.waiting, client.in_hand = 70, 3
    (replay,) = client.replays
    client.replays.append({"ReplayName": "rebuild-1-1", "State": "FAILED"})
    assert list(rebuild(known, "status")) == [
        *before,
        "AnalyticsQueue: 70 waiting, 3 being counted or between two tries",
        f"replay: {replay['ReplayName']} RUNNING",
    ]

    client.knows_replays = False
    assert list(rebuild(known, "status"))[-1] == "replay: the emulator does not list them"


def test_while_nothing_is_built_the_status_is_about_the_queue(monkeypatch: pytest.MonkeyPatch, known: Path) -> None:
    answering(monkeypatch, IDLE)

    assert list(rebuild(known, "status")) == [
        "live: 1",
        "AnalyticsQueue: 0 waiting, 0 being counted or between two tries",
    ]


def test_nothing_is_begun_that_could_not_be_replayed_but_by_force(monkeypatch: pytest.MonkeyPatch, known: Path) -> None:
    client = answering(monkeypatch, BUILDING)
    monkeypatch.setattr(deploy, "outputs", lambda *_: {"EventBusArn": "arn:aws:events:here:1:event-bus/library"})
    with pytest.raises(Refusal, match="no archive"):
        list(rebuild(known, "begin"))
    assert client.asked == []

    list(rebuild(known, "begin", force=True))
    assert (client.asked, client.forced) == (["begin"], True)


def test_an_archive_made_after_the_deployment_is_found(monkeypatch: pytest.MonkeyPatch, known: Path) -> None:
    client = answering(monkeypatch, BUILDING)
    outputs = {**OUTPUTS, "EventBusArn": "arn:aws:events:here:1:event-bus/library"}
    del outputs["EventsArchiveArn"]
    monkeypatch.setattr(deploy, "outputs", lambda *_: outputs)
    client.archives = [deploy.archive_name("library")]

    list(rebuild(known, "replay"))

    assert client.replays[0]["EventSourceArn"] == "arn:aws:events:here:1:archive/library-events"


@pytest.mark.parametrize(
    ("status", "outputs", "why"),
    [
        (IDLE, OUTPUTS, "begin first"),
        ({**BUILDING, "replay_until_at_least": "2999-01-01T00:00:00Z"}, OUTPUTS, "Too early"),
        (BUILDING, {"EventBusArn": "arn:aws:events:here:1:event-bus/library"}, "no archive"),
    ],
)
def test_a_replay_that_would_not_do(
    monkeypatch: pytest.MonkeyPatch, known: Path, status: dict[str, Any], outputs: dict[str, str], why: str
) -> None:
    client = answering(monkeypatch, status)
    monkeypatch.setattr(deploy, "outputs", lambda *_: outputs)

    with pytest.raises(Refusal, match=why):
        list(rebuild(known, "replay"))
    assert client.replays == []
