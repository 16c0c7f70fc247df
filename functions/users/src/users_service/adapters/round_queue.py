"""The queue on which a nightly round that did not get through waits to go on."""

import json

from library_common import aws
from users_service.domain.directory import Place


class QueuedRounds:
    """Puts the rest of a round on SQS. The place holds a name, so the queue is encrypted."""

    def __init__(self, queue_url: str) -> None:
        self._queue_url = queue_url

    def go_on(self, after: Place, *, failed: int) -> None:
        """The round goes on after this place. failed: how many accounts could not be written so far."""
        body = json.dumps({"name": after.sort_name, "user_id": after.user_id, "failed": failed})
        aws.sqs().send_message(QueueUrl=self._queue_url, MessageBody=body)


def from_message(body: str) -> tuple[Place, int]:
    """Where to go on, and how many failed before."""
    found = json.loads(body)
    return Place(str(found["name"]), str(found["user_id"])), int(found["failed"])
