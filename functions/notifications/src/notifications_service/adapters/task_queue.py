"""The queue of the sender. Its messages name members, channels and ids, and contain no text and no address."""

import json
from collections.abc import Mapping, Sequence
from itertools import batched
from typing import Any

from library_common import aws
from library_common.consumers import ParsedMessage
from library_common.context import current
from notifications_service.application.ports import Due, DueAnnouncement, DueDelivery, DueReminder
from notifications_service.domain.kinds import Channel

_BATCH = 10


class QueueRefused(Exception):
    """SQS refused some of the messages. The sweep finds what they were for."""


class SqsTaskQueue:
    """Implements `application.ports.TaskQueue`."""

    def __init__(self, queue_url: str) -> None:
        self._queue_url = queue_url

    def put(self, tasks: Sequence[Due], *, delay_seconds: int = 0) -> None:
        for batch in batched(tasks, _BATCH, strict=False):
            answer = aws.sqs().send_message_batch(
                QueueUrl=self._queue_url,
                Entries=[
                    {"Id": str(number), "MessageBody": to_message(task), "DelaySeconds": delay_seconds}
                    for number, task in enumerate(batch)
                ],
            )
            if answer.get("Failed"):
                raise QueueRefused(f"{len(answer['Failed'])} messages were not taken")

    def waiting(self) -> int:
        answer = aws.sqs().get_queue_attributes(
            QueueUrl=self._queue_url, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def to_message(task: Due) -> str:
    """The body of a message."""
    return json.dumps(_named(task) | {"correlation_id": current().correlation_id})


def _named(task: Due) -> dict[str, str]:
    match task:
        case DueDelivery():
            return {"task": "deliver", "user_id": task.user_id, "channel": task.channel.value}
        case DueReminder():
            return {"task": "remind", "user_id": task.user_id, "reminder_id": task.reminder_id}
        case DueAnnouncement():
            return {"task": "announce", "broadcast_id": task.announcement_id}


def read_task(body: str) -> ParsedMessage[Due]:
    """The task in a message body. Raises ValueError, KeyError or TypeError for anything else."""
    found: Mapping[str, Any] = json.loads(body)
    task = found["task"]
    correlation_id = found.get("correlation_id")
    match task:
        case "deliver":
            channel = Channel(found["channel"])
            notes = {"user_id": str(found["user_id"]), "channel": channel.value}
            return ParsedMessage(DueDelivery(str(found["user_id"]), channel), correlation_id, notes)
        case "remind":
            notes = {"user_id": str(found["user_id"]), "reminder_id": str(found["reminder_id"])}
            return ParsedMessage(DueReminder(notes["user_id"], notes["reminder_id"]), correlation_id, notes)
        case "announce":
            notes = {"broadcast_id": str(found["broadcast_id"])}
            return ParsedMessage(DueAnnouncement(notes["broadcast_id"]), correlation_id, notes)
    raise ValueError("unknown task")
