"""The queues in SQS. SQS shows a message only by receiving it, so it is received and given back at once."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, TypeAdapter

from admin_service.domain.dead_letters import DeadLetter, DeadLetterQueue, Kind
from library_common import aws


class _Registered(BaseModel):
    url: str
    about: str
    source: str | None = None
    personal: bool = False
    jobs: bool = False

    @property
    def kind(self) -> Kind:
        if self.source:
            return Kind.MESSAGES
        return Kind.JOBS if self.jobs else Kind.PUBLICATIONS


_LIST = TypeAdapter(dict[str, _Registered])


def registered_queues(documents: Iterable[str]) -> list[DeadLetterQueue]:
    """The queues in the JSON documents of all stacks (each lists its own in a parameter), by name."""
    found = {name: queue for text in documents for name, queue in _LIST.validate_json(text).items()}
    return [
        DeadLetterQueue(name, each.url, each.kind, each.about, each.personal, each.source)
        for name, each in sorted(found.items())
    ]


class SqsQueues:
    """Implements `application.ports.Queues`."""

    def __init__(self, *, wait_seconds: int = 1) -> None:
        """wait_seconds: long polling asks all of SQS's servers; short polling may miss a few messages."""
        self._wait_seconds = wait_seconds

    def waiting(self, url: str) -> int:
        found = aws.sqs().get_queue_attributes(
            QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        )["Attributes"]
        return int(found["ApproximateNumberOfMessages"]) + int(found["ApproximateNumberOfMessagesNotVisible"])

    def receive(self, url: str, at_most: int, *, hidden_seconds: int) -> list[DeadLetter]:
        answer = aws.sqs().receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=at_most,
            VisibilityTimeout=hidden_seconds,
            WaitTimeSeconds=self._wait_seconds,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        return [_letter(message) for message in answer.get("Messages", [])]

    def give_back(self, url: str, letters: Sequence[DeadLetter]) -> None:
        for start in range(0, len(letters), 10):
            aws.sqs().change_message_visibility_batch(
                QueueUrl=url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                    for number, letter in enumerate(letters[start : start + 10])
                ],
            )

    def send(self, url: str, body: str) -> None:
        aws.sqs().send_message(QueueUrl=url, MessageBody=body)

    def delete(self, url: str, letter: DeadLetter) -> None:
        aws.sqs().delete_message(QueueUrl=url, ReceiptHandle=letter.receipt)


def _letter(message: Any) -> DeadLetter:
    sent = message.get("Attributes", {}).get("SentTimestamp")
    return DeadLetter(
        id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        body=message["Body"],
        sent_at=datetime.fromtimestamp(int(sent) / 1000, UTC) if sent else None,
        attributes={
            name: value["StringValue"]
            for name, value in message.get("MessageAttributes", {}).items()
            if "StringValue" in value
        },
    )
