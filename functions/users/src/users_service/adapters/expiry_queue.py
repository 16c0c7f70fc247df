"""The queue for the rest of a nightly round that did not finish in one invocation."""

import json

from library_common import aws
from users_service.domain.search import Position


class ExpiryQueue:
    """Puts the rest of a round on SQS. The position holds a name, so the queue is encrypted."""

    def __init__(self, queue_url: str) -> None:
        self._queue_url = queue_url

    def go_on(self, after: Position, *, failed: int) -> None:
        """The round goes on after this position. failed: how many accounts could not be written so far."""
        body = json.dumps({"name": after.sort_name, "user_id": after.user_id, "failed": failed})
        aws.sqs().send_message(QueueUrl=self._queue_url, MessageBody=body)


def from_message(body: str) -> tuple[Position, int]:
    """Where to go on, and how many failed before."""
    found = json.loads(body)
    return Position(str(found["name"]), str(found["user_id"])), int(found["failed"])
