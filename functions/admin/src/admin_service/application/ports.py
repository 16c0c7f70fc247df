"""What the use cases need from outside, as Protocols."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from admin_service.domain.dead_letters import DeadLetterQueue, Letter, StreamBatch


class Registry(Protocol):
    """The queues of dead letters the system has."""

    def queues(self) -> Sequence[DeadLetterQueue]: ...


class Queues(Protocol):
    """The queueing service."""

    def waiting(self, url: str) -> int:
        """About how many messages are there, those somebody looks at just now included."""
        ...

    def receive(self, url: str, at_most: int, *, hidden_seconds: int) -> list[Letter]:
        """Messages, each once, for this caller alone for so long."""
        ...

    def give_back(self, url: str, letters: Sequence[Letter]) -> None:
        """Others may receive them again at once."""
        ...

    def send(self, url: str, body: str) -> None: ...

    def delete(self, url: str, letter: Letter) -> None: ...


class RecordsGone(Exception):
    """The stream does not have the records of a batch any more."""


class NoSuchPublisher(Exception):
    """No publisher is known for this service or table."""


class PublishingFailed(Exception):
    """The publisher did not take all it was given; nothing of it may be taken for published."""


class Publishers(Protocol):
    """The functions that put events on the bus."""

    def publish_again(self, source: str, record: Mapping[str, Any]) -> None:
        """One record through the publisher of `source` ("library.users").

        Raises NoSuchPublisher, PublishingFailed.
        """
        ...

    def publish_batch_again(self, batch: StreamBatch) -> None:
        """All records of a batch through the publisher of its table. Raises RecordsGone, NoSuchPublisher,
        PublishingFailed.
        """
        ...
