"""What ``make dead-letters`` prints, asking the real admin API on queues in memory."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from admin_service import http
from localstack.embedded import cli, dead_letters, deploy, engine
from localstack.embedded.aws import Aws
from localstack.embedded.errors import Refusal
from localstack.embedded.state import StackFile
from tests.fakes.dead_letters import DEAD, PRIVATE, UNPUBLISHED, WORK, PostOffice

pytestmark = pytest.mark.unit


class Client:
    """Of Lambda, with the admin function behind it."""

    def __init__(self, office: PostOffice) -> None:
        self._handler = http.build(lambda: office.dead_letters)

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        assert FunctionName == "library-admin"
        answer = self._handler(json.loads(Payload), None)
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> PostOffice:
    office = PostOffice()
    monkeypatch.setattr(engine, "identify", lambda _: engine.Engine("ministack", "1"))
    monkeypatch.setattr(Aws, "client", lambda *_: Client(office))
    monkeypatch.setattr(deploy, "outputs", lambda *_: {"Dead": DEAD})
    return office


@pytest.fixture
def known(tmp_path: Path) -> Path:
    path = tmp_path / "stack.json"
    functions = {"AdminFunction": "library-admin"}
    StackFile("http://here", "http://emulator", "us-east-1", [], {}, functions, "library", {}).write(path)
    return path


def lines(known: Path, queue: str | None = None, *ids: str, redrive: bool = False) -> list[str]:
    return list(dead_letters.lines(known, queue, ids, redrive=redrive, system=None))


def test_all_queues_are_listed_and_those_with_letters_say_what_it_means(office: PostOffice, known: Path) -> None:
    office.queues.put(DEAD, "a")

    assert lines(known) == [
        "     1  Dead                         Something is wrong. (since 2026-11-21T12:00:00Z)",
        "     0  Jobs",
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
        f"1 of about 1 in Dead, {DEAD}",
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


def event(event_id: str) -> str:
    return json.dumps({"detail": {"id": event_id, "type": "LoanCreated"}})


def test_a_letter_is_found_in_whichever_queue_it_is(office: PostOffice, known: Path) -> None:
    for number in range(3):
        office.queues.put(DEAD, f"another {number}")
    office.queues.put(UNPUBLISHED, "not this one")
    message_id = office.queues.put(UNPUBLISHED, "the body")

    assert lines(known, None, message_id) == [
        f"{message_id}  2026-11-21T12:00:00Z",
        "    body:           the body",
        "1 of about 2 in Unpublished",
    ]


def test_what_was_sent_off_and_is_back_is_found_by_its_event(office: PostOffice, known: Path) -> None:
    message_id = office.queues.put(DEAD, event("E1"))
    assert lines(known, "Dead", redrive=True)[0] == f"{message_id}  moved  event_id E1"
    assert office.queues.bodies(WORK) == [event("E1")]
    with pytest.raises(Refusal, match="Not among the 0 messages looked at: E1"):
        lines(known, None, "E1")

    again = office.queues.put(DEAD, event("E1"))

    assert lines(known, None, "E1")[0].startswith(f"{again}  ")
    assert "    event_id:       E1" in lines(known, "Dead", "E1")


def test_a_search_that_did_not_see_all_says_so(office: PostOffice, known: Path) -> None:
    for number in range(60):
        office.queues.put(DEAD, f"{number}")

    with pytest.raises(Refusal, match=r"50 messages looked at: id-60\. Dead may hold more"):
        lines(known, None, "id-60")


@pytest.mark.parametrize("queue", [["--queue", "Dead"], []], ids=["in one queue", "in all"])
@pytest.mark.parametrize("redrive", [False, True])
def test_a_message_that_is_not_there_is_a_failure(
    office: PostOffice,
    known: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    redrive: bool,
    queue: list[str],
) -> None:
    office.queues.put(DEAD, "a")
    asked = ["dead-letters", *queue, "--id", "no-such-message", "--stack-file", str(known)]
    monkeypatch.setattr("sys.argv", ["embedded", *asked, *(["--redrive"] if redrive else [])])

    assert cli.main() == 1

    assert ("Name the queue" if redrive and not queue else "no-such-message") in capsys.readouterr().err
    assert office.queues.bodies(DEAD) == ["a"]


def test_what_the_function_refuses_is_refused(office: PostOffice, known: Path) -> None:
    with pytest.raises(Refusal, match="no dead-letter queue with this name"):
        lines(known, "Nowhere")
    with pytest.raises(Refusal, match="Name the queue"):
        lines(known, redrive=True)
