"""SQS as a consumer meets it: messages as Lambda hands them over, pauses, and what is set aside."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from library_common import aws
from library_common.consumers import Queue

QUEUE_URL = "https://sqs.test/work"
DEAD_LETTERS_URL = "https://sqs.test/dead-letters"


@dataclass(frozen=True)
class SetAside:
    """A message in the dead-letter queue."""

    body: str
    attributes: dict[str, str]


@dataclass
class FakeSqs:
    """In place of the client. down: names of calls that fail."""

    pauses: list[tuple[str, int]] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
    down: set[str] = field(default_factory=set)

    @property
    def reasons(self) -> list[str]:
        return [letter.attributes["reason"] for letter in self.set_aside]

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:  # noqa: N803 - as boto3 has it
        self._require_up("change_message_visibility")
        assert QueueUrl == QUEUE_URL
        assert 0 <= VisibilityTimeout <= 43_200
        self.pauses.append((ReceiptHandle, VisibilityTimeout))

    def send_message(self, *, QueueUrl: str, MessageBody: str, MessageAttributes: dict[str, Any]) -> None:  # noqa: N803 - as boto3 has it
        self._require_up("send_message")
        assert QueueUrl == DEAD_LETTERS_URL
        assert MessageBody
        assert len(MessageAttributes) <= 10
        assert all(value["DataType"] == "String" and value["StringValue"] for value in MessageAttributes.values())
        self.set_aside.append(
            SetAside(MessageBody, {name: value["StringValue"] for name, value in MessageAttributes.items()})
        )

    def _require_up(self, call: str) -> None:
        if call in self.down:
            raise ConnectionError(f"{call} is down")


def fake_sqs(monkeypatch: pytest.MonkeyPatch) -> FakeSqs:
    """Takes the place of the process's client."""
    sqs = FakeSqs()
    monkeypatch.setattr(aws, "sqs", lambda: sqs)
    return sqs


def queue(**options: Any) -> Queue:
    """Of the fake; pauses are exactly what they are meant to be."""
    return Queue(QUEUE_URL, DEAD_LETTERS_URL, jitter=lambda: 0.5, **options)


def message(body: object, number: int = 1, *, received: int = 1) -> dict[str, Any]:
    """One record of a batch. A body that is no text becomes JSON."""
    return {
        "messageId": f"m{number}",
        "receiptHandle": f"r{number}",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"ApproximateReceiveCount": str(received)},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    }


def batch(*records: dict[str, Any]) -> dict[str, Any]:
    return {"Records": list(records)}


def failed(answer: dict[str, Any]) -> list[str]:
    """Which messages are to come again."""
    assert set(answer) == {"batchItemFailures"}
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
