"""SQS in memory, for consumers that are run in process: as unreliable as the real one allows itself to be.

Messages come in no order, come again when they were not deleted in time, and go to the dead-letter queue when they
were received too often. Time passes only when `receive_message` finds nothing to give but something to wait for, so
that a pause of five minutes takes none. Stands in place of a boto3 client (`in_place_of_sqs`).

A test of a single invocation need not put anything on a queue first: `batch` hands a function messages that have been
received as often as the test says.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from library_common import aws
from library_common.consumers import MAX_RECEIVES, Queue

QUEUE_URL = "https://sqs.test/work"
DEAD_LETTERS_URL = "https://sqs.test/dead-letters"
VISIBILITY_SECONDS = 180.0
LONGEST_VISIBILITY_SECONDS = 43_200
MOST_ATTRIBUTES = 10


class NoSuchReceipt(Exception):
    """The message is deleted, or was received again by somebody else."""


@dataclass
class Message:
    """One message. received: how often; handle: of the newest receive; visible_at: seconds of the queue's time."""

    id: str
    body: str
    attributes: Mapping[str, Any]
    visible_at: float
    sent_at: float
    received: int = 0
    handle: str = ""

    @property
    def said(self) -> dict[str, str]:
        """The attributes it was sent with; those of a dead letter say why and by whom it was set aside."""
        return {name: value["StringValue"] for name, value in self.attributes.items()}

    @property
    def reason(self) -> str | None:
        """Why a consumer set it aside; None when the queue did."""
        return self.said.get("reason")


@dataclass
class _Queue:
    dead_letters: str | None
    messages: dict[str, Message] = field(default_factory=dict)


class SqsInMemory:
    """QUEUE_URL and its dead letters, with the part of the client's interface that consumers and senders use.

    down: names of calls that fail. pauses: message ids and the seconds for which consumers put them off, in order.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._queues = {QUEUE_URL: _Queue(DEAD_LETTERS_URL), DEAD_LETTERS_URL: _Queue(None)}
        self._ids = 0
        self.now = 0.0
        self.down: set[str] = set()
        self.pauses: list[tuple[str, int]] = []

    # -- arranging and looking ----------------------------------------------------------------

    def waiting(self, url: str) -> list[Message]:
        """Everything that is on a queue, given out or not, oldest first."""
        return sorted(self._queues[url].messages.values(), key=lambda message: message.sent_at)

    @property
    def set_aside(self) -> list[Message]:
        """The dead letters of QUEUE_URL, oldest first."""
        return self.waiting(DEAD_LETTERS_URL)

    @property
    def reasons(self) -> list[str]:
        """Why consumers set messages aside; nothing of what the queue itself did."""
        return [letter.reason for letter in self.set_aside if letter.reason is not None]

    def redrive(self, url: str) -> int:
        """Moves the dead letters of a queue back to it, as new messages; answers how many."""
        dead_letters = self._queues[url].dead_letters
        assert dead_letters is not None, f"{url} has no dead-letter queue"
        moved = self._queues[dead_letters].messages
        for message in moved.values():
            self._put(url, message.body, {}, 0)
        number = len(moved)
        moved.clear()
        return number

    def has_given_out(self, records: Sequence[Mapping[str, Any]]) -> None:
        """These records of a batch (see `message`) are messages of QUEUE_URL that were received just now."""
        queue = self._queues[QUEUE_URL]
        for record in records:
            queue.messages[record["messageId"]] = Message(
                record["messageId"],
                record["body"],
                {},
                visible_at=self.now + VISIBILITY_SECONDS,
                sent_at=self.now,
                received=int(record.get("attributes", {}).get("ApproximateReceiveCount", 1)),
                handle=record["receiptHandle"],
            )

    # -- the client's interface ---------------------------------------------------------------

    def send_message(
        self,
        *,
        QueueUrl: str,
        MessageBody: str,
        MessageAttributes: Mapping[str, Any] | None = None,
        DelaySeconds: int = 0,
    ) -> dict[str, Any]:
        self._require_up("send_message")
        return {"MessageId": self._put(QueueUrl, MessageBody, MessageAttributes or {}, DelaySeconds)}

    def send_message_batch(self, *, QueueUrl: str, Entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        self._require_up("send_message_batch")
        assert len(Entries) <= 10, "SQS takes ten messages at a time"
        sent = [
            {
                "Id": entry["Id"],
                "MessageId": self._put(
                    QueueUrl, entry["MessageBody"], entry.get("MessageAttributes", {}), entry.get("DelaySeconds", 0)
                ),
            }
            for entry in Entries
        ]
        return {"Successful": sent}

    def receive_message(self, *, QueueUrl: str, MaxNumberOfMessages: int = 1, **_: Any) -> dict[str, Any]:
        """Some of what is visible, at random; if nothing is, what becomes visible next. More than ten on request,
        as an event source mapping takes them."""
        self._require_up("receive_message")
        queue = self._queues[QueueUrl]
        visible = self._visible(queue)
        if not visible and queue.messages:
            self.now = min(message.visible_at for message in queue.messages.values())
            visible = self._visible(queue)
        chosen = self._random.sample(visible, min(MaxNumberOfMessages, len(visible)))
        return {"Messages": [given for message in chosen if (given := self._give(queue, message)) is not None]}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:
        self._require_up("delete_message")
        message = self._held(QueueUrl, ReceiptHandle)
        del self._queues[QueueUrl].messages[message.id]

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:
        self._require_up("change_message_visibility")
        assert 0 <= VisibilityTimeout <= LONGEST_VISIBILITY_SECONDS
        message = self._held(QueueUrl, ReceiptHandle)
        message.visible_at = self.now + VisibilityTimeout
        self.pauses.append((message.id, VisibilityTimeout))

    # -- inside -------------------------------------------------------------------------------

    def _require_up(self, call: str) -> None:
        if call in self.down:
            raise ConnectionError(f"{call} is down")

    def _put(self, url: str, body: str, attributes: Mapping[str, Any], delay: float) -> str:
        assert body, "SQS takes no empty message"
        assert len(attributes) <= MOST_ATTRIBUTES
        assert all(value["DataType"] == "String" and value["StringValue"] for value in attributes.values())
        self._ids += 1
        message_id = f"message-{self._ids}"
        self._queues[url].messages[message_id] = Message(
            message_id, body, dict(attributes), visible_at=self.now + delay, sent_at=self.now
        )
        return message_id

    def _visible(self, queue: _Queue) -> list[Message]:
        return [message for message in queue.messages.values() if message.visible_at <= self.now]

    def _give(self, queue: _Queue, message: Message) -> dict[str, Any] | None:
        if queue.dead_letters is not None and message.received >= MAX_RECEIVES:
            del queue.messages[message.id]
            self._queues[queue.dead_letters].messages[message.id] = message
            return None
        message.received += 1
        message.handle = _handle(message.id, message.received)
        message.visible_at = self.now + VISIBILITY_SECONDS
        return {
            "MessageId": message.id,
            "ReceiptHandle": message.handle,
            "Body": message.body,
            "Attributes": {
                "ApproximateReceiveCount": str(message.received),
                "SentTimestamp": str(int(message.sent_at * 1000)),
            },
            "MessageAttributes": dict(message.attributes),
        }

    def _held(self, url: str, handle: str) -> Message:
        message = self._queues[url].messages.get(handle.rpartition("/")[0])
        if message is None or message.handle != handle:
            raise NoSuchReceipt(handle)
        return message


def _handle(message_id: str, received: int) -> str:
    return f"{message_id}/{received}"


def in_place_of_sqs(monkeypatch: pytest.MonkeyPatch, seed: int = 0) -> SqsInMemory:
    """Takes the place of the process's client."""
    sqs = SqsInMemory(seed)
    monkeypatch.setattr(aws, "sqs", lambda: sqs)
    return sqs


def queue(**options: Any) -> Queue:
    """QUEUE_URL as its function sees it; pauses are exactly what they are meant to be."""
    return Queue(QUEUE_URL, DEAD_LETTERS_URL, **{"jitter": lambda: 0.5, **options})


def message(body: object, number: int = 1, *, received: int = 1) -> dict[str, Any]:
    """One record of a batch, with the id `m1` or of another number. A body that is no text becomes JSON."""
    return {
        "messageId": f"m{number}",
        "receiptHandle": _handle(f"m{number}", received),
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"ApproximateReceiveCount": str(received)},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    }


def batch(*records: dict[str, Any]) -> dict[str, Any]:
    """What Lambda hands the function of QUEUE_URL, with a client `in_place_of_sqs`."""
    sqs: Any = aws.sqs()
    assert isinstance(sqs, SqsInMemory)
    sqs.has_given_out(records)
    return {"Records": list(records)}


def failed(answer: Mapping[str, Any]) -> list[str]:
    """Which messages are to come again."""
    assert set(answer) == {"batchItemFailures"}
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
