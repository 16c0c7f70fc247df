"""The queues of a deployed stack that functions work on: putting messages there, waiting, holding the function back,
and what was set aside."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from localstack.embedded.stack import LocalStack
from tests.support.bus_deliveries import put_on_queue
from tests.support.library_client import eventually

_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True)
class Consumed:
    """A queue, its dead-letter queue and the function that works on it, by their names in the template."""

    name: str
    queue: str
    dead_letters: str
    function: str


CONSUMERS = (
    Consumed("revocations", "RevocationQueue", "RevocationDeadLetters", "RevocationsFunction"),
    Consumed("analytics", "AnalyticsQueue", "AnalyticsDeadLetters", "AnalyticsConsumer"),
    Consumed("notifications", "NotificationsQueue", "NotificationsDeadLetters", "NotificationsConsumer"),
    Consumed("erasures", "LoanErasureQueue", "LoanErasureDeadLetters", "LoansErasure"),
)
"""The consumers of the bus that are measured, and tried with events that come twice and in any order."""

SENDER = Consumed("sender", "OutgoingQueue", "OutgoingDeadLetters", "SenderFunction")
"""Who sends messages to members, on a queue that no rule fills."""

BY_NAME = {consumed.name: consumed for consumed in CONSUMERS}


class ConsumerQueue:
    """One of them in a stack that runs."""

    def __init__(self, stack: LocalStack, consumed: Consumed) -> None:
        self._stack = stack
        self._sqs = stack.client("sqs")
        self.consumed = consumed
        self.function = _physical_id(stack, consumed.function)
        self.url = _physical_id(stack, consumed.queue)
        self._dead_letters = _physical_id(stack, consumed.dead_letters)

    def put(self, bodies: Sequence[str]) -> None:
        """As EventBridge would: any number of messages."""
        put_on_queue(self._sqs, self.url, bodies)

    def waiting(self) -> int:
        """Messages that are visible, in the function's hands, or to come again later."""
        return self._number(self.url)

    def until_empty(self, *, seconds: float) -> None:
        """Waits until every message was handled or set aside."""
        eventually(lambda: self.waiting() == 0, f"nothing left for {self.consumed.name}", seconds=seconds)

    def dead_letters(self) -> int:
        """How many messages were set aside."""
        return self._number(self._dead_letters)

    def redrive(self) -> int:
        """Sends what was set aside once more, as new messages; answers how many."""
        moved = 0
        while True:
            received = self._sqs.receive_message(QueueUrl=self._dead_letters, MaxNumberOfMessages=10)
            messages = received.get("Messages", [])
            if not messages:
                return moved
            self.put([message["Body"] for message in messages])
            for message in messages:
                self._sqs.delete_message(QueueUrl=self._dead_letters, ReceiptHandle=message["ReceiptHandle"])
            moved += len(messages)

    def purge(self) -> None:
        """Takes everything off the queue that nobody has received."""
        self._sqs.purge_queue(QueueUrl=self.url)

    def batch_size(self) -> int:
        """How many messages the function is given at most."""
        return int(self._mapping()["BatchSize"])

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """While the block runs, the function is given nothing; what is put on the queue stays there."""
        self._enable(False)
        try:
            yield
        finally:
            self._enable(True)

    def _enable(self, wanted: bool) -> None:
        functions = self._stack.client("lambda")
        mapping = self._mapping()
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=wanted)
        state = "Enabled" if wanted else "Disabled"
        eventually(lambda: self._mapping()["State"] == state, f"the event source of {self.consumed.name} {state}")

    def _mapping(self) -> dict[str, Any]:
        arn = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        found = self._stack.client("lambda").list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]
        (mapping,) = [each for each in found if each["EventSourceArn"] == arn]
        return dict(mapping)

    def _number(self, url: str) -> int:
        counts = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTS))["Attributes"]
        return sum(int(counts.get(name, 0)) for name in _COUNTS)


def _physical_id(stack: LocalStack, logical_id: str) -> str:
    return stack.outputs[logical_id]
