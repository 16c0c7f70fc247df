"""Looking at dead letters, and sending them off again.

Nothing is ever lost: a letter leaves its queue only after whatever it goes to has taken it. A process that dies in
between leaves it in both places, and consumers have an event's effect once.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from admin_service.application.ports import (
    NoSuchPublisher,
    Publishers,
    PublishingFailed,
    Queues,
    RecordsGone,
    Registry,
)
from admin_service.application.views import (
    LettersView,
    LetterView,
    QueuesView,
    QueueView,
    RedriveView,
    ResultView,
)
from admin_service.domain.dead_letters import DeadLetterQueue, Kind, Letter, Outcome, document_of, origin, stream_batch
from admin_service.domain.errors import DeadLetterQueueNotFound
from library_common.publisher import redrivable_record
from library_common.telemetry import count, logger

AT_ONCE = 10
"""Letters SQS hands out in one answer."""

LOOKED_AT_MOST = 50
"""Letters shown at once."""

SEARCHED_AT_MOST = 500
"""Letters received in search of certain ones. SQS finds nothing by id."""

_PEEK_SECONDS = 15
"""Letters looked at are hidden from others for so long, if this process dies before it gives them back."""

_REDRIVE_SECONDS = 60
DEADLINE_SECONDS = 15.0
"""For one redrive, below API Gateway's 29 s: what is not sent off by then stays for the next request."""


@dataclass
class DeadLetters:
    """The use cases. monotonic: for the deadline."""

    declared: Registry
    queues: Queues
    publishers: Publishers
    monotonic: Callable[[], float] = time.monotonic

    def overview(self) -> QueuesView:
        """Every queue, about how many messages it holds, and since when if they are few."""
        return QueuesView(items=[self._glance(queue) for queue in self.declared.queues()])

    def _glance(self, queue: DeadLetterQueue) -> QueueView:
        waiting = self.queues.waiting(queue.url)
        if waiting == 0:
            return QueueView.of(queue, waiting, [])
        with self._received(queue, min(waiting, AT_ONCE), _PEEK_SECONDS) as letters:
            return QueueView.of(queue, waiting, letters)

    def waiting(self) -> dict[str, int]:
        """Name of each queue that is not empty -> about how many messages it holds."""
        found = {queue.name: self.queues.waiting(queue.url) for queue in self.declared.queues()}
        return {name: number for name, number in found.items() if number}

    def look(self, name: str, at_most: int) -> LettersView:
        """Some messages of a queue. They stay in it. Raises DeadLetterQueueNotFound."""
        queue = self._queue(name)
        waiting = self.queues.waiting(queue.url)
        with self._received(queue, at_most, _PEEK_SECONDS) as letters:
            return LettersView(
                queue=QueueView.of(queue, waiting, letters),
                items=[LetterView.of(letter, queue) for letter in letters],
                complete=waiting <= len(letters) < at_most,
            )

    def redrive(self, name: str, message_ids: Sequence[str] | None, at_most: int) -> RedriveView:
        """Sends messages off again: those named, or any, so many of them at most. What there is no time for, and what
        is not met among the first `SEARCHED_AT_MOST`, stays for another request.

        Received first and sent off then, so that one that fails again at once is not met twice.
        Raises DeadLetterQueueNotFound.
        """
        queue = self._queue(name)
        wanted = set(message_ids) if message_ids is not None else None
        deadline = self.monotonic() + DEADLINE_SECONDS
        results: list[ResultView] = []
        with self._received(queue, SEARCHED_AT_MOST if wanted else at_most, _REDRIVE_SECONDS, wanted) as letters:
            missing = sorted((wanted or set()) - {letter.id for letter in letters})
            for letter in [letter for letter in letters if wanted is None or letter.id in wanted]:
                if self.monotonic() >= deadline:
                    break
                results.append(self._send_off(queue, letter))
                if results[-1].outcome is Outcome.MOVED:
                    letters.remove(letter)
            results += [ResultView(id=message_id, outcome=Outcome.NOT_FOUND) for message_id in missing]
        for result in results:
            count("Redriven", queue=queue.name, outcome=result.outcome.value)
        moved = sum(result.outcome is Outcome.MOVED for result in results)
        return RedriveView(queue=queue.name, moved=moved, results=results)

    def _queue(self, name: str) -> DeadLetterQueue:
        for queue in self.declared.queues():
            if queue.name == name:
                return queue
        raise DeadLetterQueueNotFound

    @contextmanager
    def _received(
        self, queue: DeadLetterQueue, at_most: int, hidden_seconds: int, wanted: set[str] | None = None
    ) -> Iterator[list[Letter]]:
        """Letters. Those still in the list in the end are given back."""
        letters: list[Letter] = []
        try:
            while len(letters) < at_most:
                known = {letter.id for letter in letters}
                found = self.queues.receive(
                    queue.url, min(AT_ONCE, at_most - len(letters)), hidden_seconds=hidden_seconds
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

    def _send_off(self, queue: DeadLetterQueue, letter: Letter) -> ResultView:
        event_id = origin(letter).event_id
        try:
            outcome, detail = self._sent(queue, letter)
            if outcome is Outcome.MOVED:
                # If this fails, it is in both places: sent off twice it has its effect once.
                self.queues.delete(queue.url, letter)
        except Exception as failure:  # noqa: BLE001 - it stays where it is, and the others are tried all the same
            logger().error("redrive failed", extra={"queue": queue.name, "failure": type(failure).__name__})
            return ResultView(id=letter.id, outcome=Outcome.FAILED, detail=type(failure).__name__, event_id=event_id)
        return ResultView(id=letter.id, outcome=outcome, detail=detail, event_id=event_id)

    def _sent(self, queue: DeadLetterQueue, letter: Letter) -> tuple[Outcome, str | None]:
        if queue.kind is Kind.PUBLICATIONS:
            return self._published(letter)
        if queue.kind is Kind.JOBS:
            return Outcome.MOVED, "Cleared: the next run of the job does what was left."
        assert queue.source_url is not None  # noqa: S101 - the registry sees to it
        self.queues.send(queue.source_url, letter.body)
        return Outcome.MOVED, None

    def _published(self, letter: Letter) -> tuple[Outcome, str | None]:
        document = document_of(letter.body)
        try:
            if (batch := stream_batch(document)) is not None:
                self.publishers.publish_batch_again(batch)
            elif (record := redrivable_record(document)) is not None:
                self.publishers.publish_again(str(document.get("source")), record)
            else:
                return Outcome.UNREADABLE, "Nothing of it was kept that could be published."
        except RecordsGone:
            return Outcome.GONE, "The stream keeps its records for a day; these are gone."
        except NoSuchPublisher:
            return Outcome.UNREADABLE, "It comes from no publisher that is known here."
        except PublishingFailed:
            return Outcome.FAILED, "The publisher did not take it; its log says why."
        return Outcome.MOVED, None
