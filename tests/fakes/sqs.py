# ruff: noqa: N803 - the names are the client's
"""SQS in memory, for consumers that are run in process: as unreliable as the real one allows itself to be.

Messages come in no order, come again when they were not deleted in time, and go to the dead-letter queue when they
were received too often. Time passes only when `receive_message` finds nothing to give but something to wait for, so
that a pause of five minutes takes none. Stands in place of a boto3 client (`monkeypatch.setattr(aws, "sqs", …)`).
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from library_common.consumers import MAX_RECEIVES

VISIBILITY_SECONDS = 180.0


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

    def reason(self) -> str | None:
        """Why a consumer set it aside; None when the queue did."""
        given = self.attributes.get("reason")
        return given["StringValue"] if given is not None else None


@dataclass
class _Queue:
    dead_letters: str | None
    max_receives: int
    visibility: float
    messages: dict[str, Message] = field(default_factory=dict)


class SqsInMemory:
    """Several queues by their URL, with the part of the client's interface that consumers and senders use."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._queues: dict[str, _Queue] = {}
        self._ids = 0
        self.now = 0.0

    # -- arranging and looking ----------------------------------------------------------------

    def create(
        self,
        url: str,
        *,
        dead_letters: str | None = None,
        max_receives: int = MAX_RECEIVES,
        visibility: float = VISIBILITY_SECONDS,
    ) -> str:
        """A queue, and its dead-letter queue if it names one that is not there yet; answers its URL."""
        self._queues[url] = _Queue(dead_letters, max_receives, visibility)
        if dead_letters is not None:
            self._queues.setdefault(dead_letters, _Queue(None, MAX_RECEIVES, visibility))
        return url

    def waiting(self, url: str) -> list[Message]:
        """Everything that is on a queue, given out or not, oldest first."""
        return sorted(self._queues[url].messages.values(), key=lambda message: message.sent_at)

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

    # -- the client's interface ---------------------------------------------------------------

    def send_message(
        self,
        *,
        QueueUrl: str,
        MessageBody: str,
        MessageAttributes: Mapping[str, Any] | None = None,
        DelaySeconds: int = 0,
    ) -> dict[str, Any]:
        return {"MessageId": self._put(QueueUrl, MessageBody, MessageAttributes or {}, DelaySeconds)}

    def send_message_batch(self, *, QueueUrl: str, Entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
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
        queue = self._queues[QueueUrl]
        visible = self._visible(queue)
        if not visible and queue.messages:
            self.now = min(message.visible_at for message in queue.messages.values())
            visible = self._visible(queue)
        chosen = self._random.sample(visible, min(MaxNumberOfMessages, len(visible)))
        return {"Messages": [given for message in chosen if (given := self._give(queue, message)) is not None]}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:
        message = self._held(QueueUrl, ReceiptHandle)
        del self._queues[QueueUrl].messages[message.id]

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:
        self._held(QueueUrl, ReceiptHandle).visible_at = self.now + VisibilityTimeout

    # -- inside -------------------------------------------------------------------------------

    def _put(self, url: str, body: str, attributes: Mapping[str, Any], delay: float) -> str:
        self._ids += 1
        message_id = f"message-{self._ids}"
        self._queues[url].messages[message_id] = Message(
            message_id, body, dict(attributes), visible_at=self.now + delay, sent_at=self.now
        )
        return message_id

    def _visible(self, queue: _Queue) -> list[Message]:
        return [message for message in queue.messages.values() if message.visible_at <= self.now]

    def _give(self, queue: _Queue, message: Message) -> dict[str, Any] | None:
        if queue.dead_letters is not None and message.received >= queue.max_receives:
            del queue.messages[message.id]
            self._queues[queue.dead_letters].messages[message.id] = message
            return None
        message.received += 1
        message.handle = f"{message.id}/{message.received}"
        message.visible_at = self.now + queue.visibility
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
