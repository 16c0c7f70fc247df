"""Queues of dead letters in memory, and publishers that take note."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from admin_service.application.dead_letters import DeadLetters
from admin_service.domain.dead_letters import DeadLetter, DeadLetterQueue, Kind, StreamBatch
from tests.support.clock import NOON, FixedClock

WORK = "https://sqs.test/work"
DEAD = "https://sqs.test/dead"
PRIVATE = "https://sqs.test/private"
UNPUBLISHED = "https://sqs.test/unpublished"
JOBS = "https://sqs.test/jobs"


@dataclass
class FakeQueues:
    """Implements `Queues`. hidden: ids of messages received and not given back, by queue. failing: calls that fail."""

    messages: dict[str, list[DeadLetter]] = field(default_factory=dict)
    hidden: dict[str, set[str]] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    sent: int = 0

    def put(self, url: str, body: str, **said: str) -> str:
        self.sent += 1
        letter = DeadLetter(f"id-{self.sent}", f"receipt-{self.sent}", body, NOON, said)
        self.messages.setdefault(url, []).append(letter)
        return letter.id

    def bodies(self, url: str) -> list[str]:
        return [letter.body for letter in self.messages.get(url, [])]

    def waiting(self, url: str) -> int:
        self._require("waiting")
        return len(self.messages.get(url, []))

    def receive(self, url: str, at_most: int, *, hidden_seconds: int) -> list[DeadLetter]:
        assert 1 <= at_most <= 10
        assert hidden_seconds > 0
        hidden = self.hidden.setdefault(url, set())
        found = [letter for letter in self.messages.get(url, []) if letter.id not in hidden][:at_most]
        hidden |= {letter.id for letter in found}
        return found

    def give_back(self, url: str, letters: Sequence[DeadLetter]) -> None:
        self._require("give_back")
        self.hidden.setdefault(url, set()).difference_update(letter.id for letter in letters)

    def send(self, url: str, body: str) -> None:
        self._require("send")
        self.put(url, body)

    def delete(self, url: str, letter: DeadLetter) -> None:
        self._require("delete")
        self.messages[url] = [other for other in self.messages[url] if other.id != letter.id]

    def _require(self, call: str) -> None:
        if call in self.failing:
            raise ConnectionError(call)


@dataclass
class FakePublishers:
    """Implements `Publishers`. failure: what the next calls end with."""

    published: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    batches: list[StreamBatch] = field(default_factory=list)
    failure: Exception | None = None

    def publish_again(self, source: str, record: Mapping[str, Any]) -> None:
        if self.failure:
            raise self.failure
        self.published.append((source, record))

    def publish_batch_again(self, batch: StreamBatch) -> None:
        if self.failure:
            raise self.failure
        self.batches.append(batch)


DECLARED = (
    DeadLetterQueue("Dead", DEAD, Kind.MESSAGES, "Something is wrong.", source_url=WORK),
    DeadLetterQueue("Jobs", JOBS, Kind.JOBS, "A job failed."),
    DeadLetterQueue("Private", PRIVATE, Kind.MESSAGES, "It is.", personal=True, source_url=WORK),
    DeadLetterQueue("Unpublished", UNPUBLISHED, Kind.PUBLICATIONS, "Not on the bus."),
)
"""One queue of each kind, and one whose messages are about people."""


@dataclass
class PostOffice:
    """The use cases on fakes."""

    queues: FakeQueues = field(default_factory=FakeQueues)
    publishers: FakePublishers = field(default_factory=FakePublishers)
    clock: FixedClock = field(default_factory=FixedClock)

    def __post_init__(self) -> None:
        self.dead_letters = DeadLetters(
            declared=lambda: DECLARED,
            queues=self.queues,
            publishers=self.publishers,
            monotonic=self.clock.monotonic,
        )
