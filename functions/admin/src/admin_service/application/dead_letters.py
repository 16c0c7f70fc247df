"""Reads dead-letter queues, and redrives their messages.

No message is lost: it leaves its queue only after its destination has accepted it. A process that dies in between
leaves it in both places, and consumers apply an event once.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from admin_service.application.ports import NotPublished, Publishers, Queues
from admin_service.domain.dead_letters import (
    DeadLetter,
    DeadLetterQueue,
    Kind,
    Outcome,
    QueueContents,
    RedriveResult,
    document_of,
    origin,
    stream_batch,
)
from admin_service.domain.errors import DeadLetterQueueNotFound
from library_common.publisher import redrivable_record
from library_common.telemetry import count, logger

MAX_PER_RECEIVE = 10
"""Messages that SQS returns at once."""

MAX_SHOWN = 50
"""Messages shown at once."""

MAX_SEARCHED = 500
"""Messages received to find certain ones: SQS cannot find them by id."""

_PEEK_SECONDS = 15
"""How long messages that are shown stay hidden from others, if this process dies before it gives them back."""

_REDRIVE_SECONDS = 60
DEADLINE_SECONDS = 15.0
"""For one redrive, below API Gateway's 29 s. What is not sent by then stays for the next request."""


@dataclass
class DeadLetters:
    """The use cases. declared: the dead-letter queues of the system. monotonic: for the deadline."""

    declared: Callable[[], Sequence[DeadLetterQueue]]
    queues: Queues
    publishers: Publishers
    monotonic: Callable[[], float] = time.monotonic

    def queues_with_contents(self) -> list[QueueContents]:
        """Every queue, about how many messages it holds, and some of them."""
        counted = [(queue, self.queues.waiting(queue.url)) for queue in self.declared()]
        return [self._contents(queue, waiting, min(waiting, MAX_PER_RECEIVE)) for queue, waiting in counted]

    def waiting(self) -> dict[str, int]:
        """Name of each queue that is not empty -> about how many messages it holds."""
        found = {queue.name: self.queues.waiting(queue.url) for queue in self.declared()}
        return {name: number for name, number in found.items() if number}

    def contents(self, name: str, at_most: int) -> QueueContents:
        """Some messages of a queue. They stay in it. Raises DeadLetterQueueNotFound."""
        queue = self._queue(name)
        return self._contents(queue, self.queues.waiting(queue.url), at_most)

    def _contents(self, queue: DeadLetterQueue, waiting: int, at_most: int) -> QueueContents:
        with self._received(queue, at_most, _PEEK_SECONDS) as letters:
            return QueueContents(queue, waiting, tuple(letters))

    def redrive(self, name: str, message_ids: Sequence[str] | None, at_most: int) -> list[RedriveResult]:
        """Sends messages back to where they came from: those with `message_ids`, or any, at most `at_most`. Those for
        which there is no time, and those not found among the first MAX_SEARCHED, stay for another request.

        All are received before the first is sent, so that one that fails again at once is not met twice.
        Raises DeadLetterQueueNotFound.
        """
        queue = self._queue(name)
        wanted = set(message_ids) if message_ids is not None else None
        deadline = self.monotonic() + DEADLINE_SECONDS
        results: list[RedriveResult] = []
        with self._received(queue, MAX_SEARCHED if wanted else at_most, _REDRIVE_SECONDS, wanted) as letters:
            missing = sorted((wanted or set()) - {letter.id for letter in letters})
            for letter in [letter for letter in letters if wanted is None or letter.id in wanted]:
                if self.monotonic() >= deadline:
                    break
                results.append(self._redrive_one(queue, letter))
                if results[-1].outcome is Outcome.MOVED:
                    letters.remove(letter)
            results += [RedriveResult(message_id, Outcome.NOT_FOUND) for message_id in missing]
        for result in results:
            count("Redriven", queue=queue.name, outcome=result.outcome.value)
        return results

    def _queue(self, name: str) -> DeadLetterQueue:
        for queue in self.declared():
            if queue.name == name:
                return queue
        raise DeadLetterQueueNotFound

    @contextmanager
    def _received(
        self, queue: DeadLetterQueue, at_most: int, hidden_seconds: int, wanted: set[str] | None = None
    ) -> Iterator[list[DeadLetter]]:
        """Received messages. Those that are still in the list at the end are given back."""
        letters: list[DeadLetter] = []
        try:
            while len(letters) < at_most:
                known = {letter.id for letter in letters}
                found = self.queues.receive(
                    queue.url, min(MAX_PER_RECEIVE, at_most - len(letters)), hidden_seconds=hidden_seconds
                )
                new = [letter for letter in found if letter.id not in known]
                letters += new
                if not new or (wanted is not None and wanted <= {letter.id for letter in letters}):
                    break
            yield letters
        finally:
            try:
                self.queues.give_back(queue.url, letters)
            except Exception as failure:  # noqa: BLE001 - they come back by themselves a little later
                logger().warning("not given back", extra={"queue": queue.name, "failure": type(failure).__name__})

    def _redrive_one(self, queue: DeadLetterQueue, letter: DeadLetter) -> RedriveResult:
        event_id = origin(letter).event_id
        try:
            detail = self._send_off(queue, letter)
            # If this fails, the message is in both places. Its event has its effect once.
            self.queues.delete(queue.url, letter)
        except NotPublished as reason:
            return RedriveResult(letter.id, reason.outcome, str(reason), event_id)
        except Exception as failure:  # noqa: BLE001 - it stays where it is, and the others are still tried
            logger().error("redrive failed", extra={"queue": queue.name, "failure": type(failure).__name__})
            return RedriveResult(letter.id, Outcome.FAILED, type(failure).__name__, event_id)
        return RedriveResult(letter.id, Outcome.MOVED, detail, event_id)

    def _send_off(self, queue: DeadLetterQueue, letter: DeadLetter) -> str | None:
        """Sends the message to where it came from; says so if there is no need to. Raises NotPublished."""
        document = document_of(letter.body)
        if queue.source_url is not None:
            self.queues.send(queue.source_url, letter.body)
        elif queue.kind is Kind.JOBS:
            return "Cleared: the next run of the job does what was left."
        elif (batch := stream_batch(document)) is not None:
            self.publishers.publish_batch_again(batch)
        elif (record := redrivable_record(document)) is not None:
            self.publishers.publish_again(str(document.get("source")), record)
        else:
            raise NotPublished(Outcome.UNREADABLE, "The message contains nothing that can be published.")
        return None
