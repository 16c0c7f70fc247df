"""Reading what an emulator has sent, in the ways MiniStack and LocalStack tell it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3

from localstack.embedded import engine, mail
from localstack.embedded.errors import Refusal
from localstack.embedded.state import StackFile

pytestmark = pytest.mark.unit

MOMENT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
STAMP = MOMENT.timestamp()
NO_LOG = Path("no such file")


def ministack_mail(to: str, subject: str, at: float) -> dict[str, Any]:
    return {"To": [to], "Subject": subject, "BodyText": "text", "Timestamp": at}


ANSWERS: dict[str, Any] = {
    "/_ministack/ses/messages": {
        "messages": {
            "000000000000": [
                ministack_mail("ann@example.org", "second", STAMP + 1),
                ministack_mail("bob@example.org", "first", STAMP),
            ]
        }
    },
    "/_ministack/sns/sms-messages": {"sms_messages": {"+441632960001": [{"Message": "123456 is your code"}]}},
    "/_aws/ses": {
        "messages": [
            {
                "Destination": {"ToAddresses": ["ann@example.org"]},
                "Subject": "only",
                "Body": {"text_part": "text", "html_part": None},
                "Timestamp": "2026-11-21T12:00:00",
            }
        ]
    },
    "/_aws/sns/sms-messages": {"sms_messages": {}},
}


@pytest.fixture(autouse=True)
def emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    def request(_: str, url: str, **__: Any) -> urllib3.HTTPResponse:
        path = url.removeprefix("http://emulator")
        return urllib3.HTTPResponse(json.dumps(ANSWERS[path]).encode(), status=200, preload_content=True)

    monkeypatch.setattr(urllib3, "request", request)


def test_ministacks_messages_come_newest_last() -> None:
    found = mail.messages("http://emulator/", "ministack")

    assert [(m.to, m.subject) for m in found] == [
        ("bob@example.org", "first"),
        ("ann@example.org", "second"),
        ("+441632960001", ""),
    ]
    assert found[0].sent_at == MOMENT


def test_localstacks_messages_are_read_too() -> None:
    assert mail.messages("http://emulator", "localstack") == [mail.Message("ann@example.org", "only", "text", MOMENT)]


@pytest.mark.parametrize(("to", "count"), [("ANN@example.org", 1), ("+441632960001", 1), ("eve@example.org", 0)])
def test_only_those_to_one_address(to: str, count: int) -> None:
    assert len(mail.messages("http://emulator", "ministack", to)) == count


def test_without_messages_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANSWERS, "/_ministack/ses/messages", {"messages": {}})
    monkeypatch.setitem(ANSWERS, "/_ministack/sns/sms-messages", {"sms_messages": {}})
    monkeypatch.setitem(ANSWERS, "/_aws/ses", {"messages": []})

    assert mail.messages("http://emulator", "ministack") == []
    assert mail.messages("http://emulator", "localstack") == []


def test_messages_are_printed_for_people(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = tmp_path / "stack.json"
    StackFile("http://here", "http://emulator", "us-east-1", [], {}, {}, "library", {}).write(known)
    monkeypatch.setattr(engine, "identify", lambda _: engine.Engine("ministack", "1"))

    assert mail.lines(known, "bob@example.org", NO_LOG) == ["2026-11-21T12:00:00Z  bob@example.org  first\n    text\n"]
    assert mail.lines(known, "+441632960001", NO_LOG) == ["+441632960001\n    123456 is your code\n"]
    assert mail.lines(known, "eve@example.org", NO_LOG) == ["nothing was sent to eve@example.org"]


def test_messages_of_all_kinds_are_printed_in_order_of_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    number = "+441632960001"
    long = "x" * 100
    texts = ["same", "same", f"{long}\nand more", "same"]
    monkeypatch.setitem(
        ANSWERS, "/_ministack/sns/sms-messages", {"sms_messages": {number: [{"Message": text} for text in texts]}}
    )
    known, log = tmp_path / "stack.json", tmp_path / "ministack.log"
    StackFile("http://here", "http://emulator", "us-east-1", [], {}, {}, "library", {}).write(known)
    monkeypatch.setattr(engine, "identify", lambda _: engine.Engine("ministack", "1"))

    def logged(seconds: float, text: str, to: str = number) -> str:
        local = datetime.fromtimestamp(STAMP + seconds)  # noqa: DTZ006 - as the emulator writes it
        return f"{local:%Y-%m-%d %H:%M:%S} INFO [sns] SNS SMS to {to}: {text[:80]}\n"

    # The first text is from before the emulator was started again: its log does not know it.
    log.write_text(
        f"banner\n{logged(0, 'same', '+1')}{logged(-60, 'same')}{logged(0.5, long)}and more\n{logged(9, 'same')}"
    )

    assert [line.partition("\n")[0] for line in mail.lines(known, None, log)] == [
        number,
        f"2026-11-21T11:59:00Z  {number}",
        "2026-11-21T12:00:00Z  bob@example.org  first",
        f"2026-11-21T12:00:00Z  {number}",
        "2026-11-21T12:00:01Z  ann@example.org  second",
        f"2026-11-21T12:00:09Z  {number}",
    ]


def test_without_any_message_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(ANSWERS, "/_ministack/ses/messages", {"messages": {}})
    monkeypatch.setitem(ANSWERS, "/_ministack/sns/sms-messages", {"sms_messages": {}})
    known = tmp_path / "stack.json"
    StackFile("http://here", "http://emulator", "us-east-1", [], {}, {}, "library", {}).write(known)
    monkeypatch.setattr(engine, "identify", lambda _: engine.Engine("ministack", "1"))

    assert mail.lines(known, None, NO_LOG) == ["nothing was sent yet"]


def test_what_does_not_answer_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise urllib3.exceptions.NewConnectionError(None, "refused")  # type: ignore[arg-type]

    monkeypatch.setattr(urllib3, "request", fail)
    with pytest.raises(Refusal, match="does not list its messages"):
        mail.messages("http://emulator", "ministack")
