"""The e-mails and text messages that an emulator has "sent": it delivers nothing and keeps a list."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import urllib3

from localstack.embedded import engine
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import LOCAL
from localstack.embedded.state import StackFile

_MAILS = {"ministack": "/_ministack/ses/messages", "localstack": "/_aws/ses"}
_TEXTS = {"ministack": "/_ministack/sns/sms-messages", "localstack": "/_aws/sns/sms-messages"}


# MiniStack's list has no time of text messages, but its log has a line for each, with the first characters.
_LOGGED_TEXT = re.compile(r"([\d-]{10} [\d:]{8}) INFO \[sns\] SNS SMS to (\+\d+): (.*)")
_LOGGED_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Message:
    """One message. to: an address or a phone number. sent_at: None when the emulator does not record it.

    html: the HTML form of an e-mail's body, if it has one.
    """

    to: str
    subject: str
    body: str
    sent_at: datetime | None
    html: str = ""


def messages(endpoint_url: str, engine_name: str, to: str | None = None) -> list[Message]:
    """The sent messages: e-mails, then text messages, each oldest first. `to`: only to this address or number.

    Refuses when the emulator does not answer as expected.
    """
    found = [*_mails(_get(endpoint_url, _MAILS[engine_name])), *_texts(_get(endpoint_url, _TEXTS[engine_name]))]
    return [message for message in found if to is None or message.to.lower() == to.lower()]


def lines(stack_file: Path, to: str | None, log: Path = LOCAL.engine_log) -> list[str]:
    """The sent messages as text, in order of time. Refuses when no running stack is known.

    log: the emulator's log. Messages without a time come first: they were sent before the emulator was restarted.
    """
    stack = StackFile.read(stack_file)
    name = engine.of_known_stack(stack.endpoint_url).name
    sent = sorted(_timed(messages(stack.endpoint_url, name, to), log), key=_moment)
    found = [_shown(message) for message in sent]
    return found or [f"nothing was sent to {to}" if to is not None else "nothing was sent yet"]


def _moment(message: Message) -> datetime:
    return message.sent_at or datetime.min.replace(tzinfo=UTC)


def _timed(sent: Sequence[Message], log: Path) -> list[Message]:
    """The messages, with times from the log where they have none. The last message gets the time of the last line."""
    logged = _logged_texts(log)
    timed = []
    for message in reversed(sent):
        moments = logged.get((message.to, _beginning(message.body)), []) if message.sent_at is None else []
        timed.append(replace(message, sent_at=moments.pop()) if moments else message)
    return timed[::-1]


def _logged_texts(log: Path) -> dict[tuple[str, str], list[datetime]]:
    """(phone number, beginning of the text) → times. The log is written in local time."""
    found: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    try:
        with log.open(encoding="utf-8", errors="replace") as log_lines:
            for line in log_lines:
                if text := _LOGGED_TEXT.fullmatch(line.rstrip("\n")):
                    moment = datetime.fromisoformat(text[1]).astimezone(UTC)
                    found[text[2], text[3].rstrip()].append(moment)
    except OSError:
        return {}  # the emulator was not started here
    return found


def _beginning(body: str) -> str:
    return body[:_LOGGED_CHARACTERS].split("\n", 1)[0].rstrip()


def _shown(message: Message) -> str:
    when = f"{message.sent_at:%Y-%m-%dT%H:%M:%SZ}  " if message.sent_at else ""
    subject = f"  {message.subject}" if message.subject else ""
    body = "".join(f"    {line}\n" for line in message.body.rstrip().splitlines())
    return f"{when}{message.to}{subject}\n{body}"


def _get(endpoint_url: str, path: str) -> Mapping[str, Any]:
    try:
        answer = urllib3.request("GET", endpoint_url.rstrip("/") + path, timeout=10.0, retries=False)
        document = answer.json()
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise Refusal(f"The emulator at {endpoint_url} does not list its messages.") from error
    if answer.status != 200 or not isinstance(document, dict):
        raise Refusal(f"The emulator at {endpoint_url} does not list its messages: {answer.status}.")
    return document


def _mails(document: Mapping[str, Any]) -> list[Message]:
    listed = document["messages"]
    # MiniStack lists them by account and calls their fields differently.
    found = [_of_ministack(m) for account in listed.values() for m in account] if isinstance(listed, dict) else []
    found = found or [_of_localstack(mail) for mail in listed if isinstance(mail, dict)]
    return sorted(found, key=_moment)


def _of_ministack(mail: Mapping[str, Any]) -> Message:
    sent_at = datetime.fromtimestamp(mail["Timestamp"], UTC)
    return Message(", ".join(mail["To"]), mail["Subject"], mail["BodyText"], sent_at, mail.get("BodyHtml", ""))


def _of_localstack(mail: Mapping[str, Any]) -> Message:
    text = mail.get("Timestamp")
    sent_at = datetime.fromisoformat(text) if text else None
    if sent_at is not None and sent_at.tzinfo is None:
        sent_at = sent_at.replace(tzinfo=UTC)
    to = ", ".join(mail.get("Destination", {}).get("ToAddresses", []))
    body = mail.get("Body", {})
    return Message(to, mail.get("Subject", ""), body.get("text_part") or "", sent_at, body.get("html_part") or "")


def _texts(document: Mapping[str, Any]) -> Iterator[Message]:
    for number, sent in document["sms_messages"].items():
        for text in sent:
            yield Message(number, "", text["Message"], None)
