"""What the use cases need from outside."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from admin_service.domain.dead_letters import DeadLetter, Outcome, StreamBatch


class Queues(Protocol):
    """SQS."""

    def waiting(self, url: str) -> int:
        """About how many messages are in the queue, including those that somebody has received."""
        ...

    def receive(self, url: str, at_most: int, *, hidden_seconds: int) -> list[DeadLetter]:
        """Messages, hidden from others for `hidden_seconds`."""
        ...

    def give_back(self, url: str, letters: Sequence[DeadLetter]) -> None:
        """Makes messages visible to others at once."""
        ...

    def send(self, url: str, body: str) -> None: ...

    def delete(self, url: str, letter: DeadLetter) -> None: ...


class NotPublished(Exception):
    """Nothing was published, or, when the publisher failed, only some of it. Says how the redrive ended, and why."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome


class Publishers(Protocol):
    """The functions that put events on the bus."""

    def publish_again(self, source: str, record: Mapping[str, Any]) -> None:
        """Gives one record to the publisher of `source` ("library.users"). Raises NotPublished."""
        ...

    def publish_batch_again(self, batch: StreamBatch) -> None:
        """Gives all records of a batch to the publisher of its table. Raises NotPublished."""
        ...
