"""What ``make dead-letters`` prints, asking the real admin API on queues in memory."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from admin_service import http
from localstack.embedded import cli, dead_letters, engine
from localstack.embedded.aws import Aws
from localstack.embedded.errors import Refusal
from localstack.embedded.state import StackFile
from tests.fakes.dead_letters import DEAD, PRIVATE, WORK, PostOffice

pytestmark = pytest.mark.unit


class Client:
    """Of Lambda, with the admin function behind it."""

    def __init__(self, office: PostOffice) -> None:
        self._handler = http.build(lambda: office.dead_letters)

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - as boto3 has it
        assert FunctionName == "library-admin"
        answer = self._handler(json.loads(Payload), None)
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> PostOffice:
    office = PostOffice()
    monkeypatch.setattr(engine, "identify", lambda _: engine.Engine("ministack", "1"))
    monkeypatch.setattr(Aws, "client", lambda *_: Client(office))
    return office


@pytest.fixture
def known(tmp_path: Path) -> Path:
    path = tmp_path / "stack.json"
    functions = {"AdminFunction": "library-admin"}
    StackFile("http://here", "http://emulator", "us-east-1", [], {}, functions, "library", {}).write(path)
    return path


def lines(known: Path, queue: str | None = None, *ids: str, redrive: bool = False) -> list[str]:
    return list(dead_letters.lines(known, queue, ids, redrive=redrive, stack_name=None))


def test_all_queues_are_listed_and_those_with_letters_say_what_it_means(office: PostOffice, known: Path) -> None:
    office.queues.put(DEAD, "a")

    assert lines(known) == [
        "     1  Dead                         Something is wrong. (since 2026-11-21T12:00:00Z)",
        "     0  Private",
        "     0  Unpublished",
    ]


def test_letters_are_shown_with_their_reasons_and_with_their_bodies_when_asked_for(
    office: PostOffice, known: Path
) -> None:
    message_id = office.queues.put(DEAD, "the body", reason="no such thing", consumer="notes")

    assert lines(known, "Dead") == [
        f"{message_id}  2026-11-21T12:00:00Z",
        "    reason:         no such thing",
        "    consumer:       notes",
        "1 of about 1 in Dead",
    ]
    assert "    body:           the body" in lines(known, "Dead", message_id)
    assert office.queues.bodies(DEAD) == ["the body"]


def test_what_is_about_people_is_withheld(office: PostOffice, known: Path) -> None:
    message_id = office.queues.put(PRIVATE, "ann@example.org")

    printed = lines(known, "Private", message_id)

    assert "    body:           withheld, it is about people" in printed
    assert "ann@" not in "".join(printed)


def test_letters_are_sent_off_again(office: PostOffice, known: Path) -> None:
    first, second = office.queues.put(DEAD, "a"), office.queues.put(DEAD, "b")

    assert lines(known, "Dead", second, redrive=True) == [f"{second}  moved", "1 moved from Dead"]
    assert lines(known, "Dead", redrive=True) == [f"{first}  moved", "1 moved from Dead"]
    assert sorted(office.queues.bodies(WORK)) == ["a", "b"]


@pytest.mark.parametrize("redrive", [False, True])
def test_a_message_that_is_not_there_is_a_failure(
    office: PostOffice, known: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], redrive: bool
) -> None:
    office.queues.put(DEAD, "a")
    asked = ["dead-letters", "--queue", "Dead", "--id", "no-such-message", "--stack-file", str(known)]
    monkeypatch.setattr("sys.argv", ["embedded", *asked, *(["--redrive"] if redrive else [])])

    assert cli.main() == 1

    assert "no-such-message" in capsys.readouterr().err
    assert office.queues.bodies(DEAD) == ["a"]


def test_what_the_function_refuses_is_refused(office: PostOffice, known: Path) -> None:
    with pytest.raises(Refusal, match="no dead-letter queue of this name"):
        lines(known, "Nowhere")
    with pytest.raises(Refusal, match="Name the queue"):
        lines(known, redrive=True)
