"""Dead-letter queues: list, show messages, redrive."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Query

from admin_service import schemas as s
from admin_service.application.dead_letters import DeadLetters
from admin_service.domain.dead_letters import Outcome
from admin_service.domain.errors import DeadLetterQueueNotFound
from library_common.access import Access
from library_common.http import ServiceApi

ADMIN = Access(admin=True)


def declare(api: ServiceApi, provide: Callable[[], DeadLetters]) -> None:
    """The routes on the use cases that `provide` returns."""

    @api.get("/api/admin/dead-letters", access=ADMIN)
    def list_dead_letter_queues() -> s.QueuesView:
        """Every dead-letter queue, and about how many messages it holds."""
        return s.QueuesView(items=[s.QueueView.of(contents) for contents in provide().queues_with_contents()])

    @api.get("/api/admin/dead-letters/{queue}", access=ADMIN, raises=[DeadLetterQueueNotFound])
    def look_at_dead_letters(queue: str, query: Annotated[s.LookQuery, Query()]) -> s.LettersView:
        """Some of a queue's messages, and why they are there. They stay in the queue, but are hidden from others for a
        moment. The body is withheld in queues with personal data."""
        found = provide().contents(queue, query.limit)
        items = [s.LetterView.of(letter, found.queue) for letter in found.seen]
        return s.LettersView(
            queue=s.QueueView.of(found), items=items, complete=found.waiting <= len(items) < query.limit
        )

    @api.post("/api/admin/dead-letters/{queue}/redrive", access=ADMIN, raises=[DeadLetterQueueNotFound])
    def redrive_dead_letters(queue: str, body: s.RedriveBody) -> s.RedriveView:
        """Sends messages back to where they came from, for all attempts again. A message that fails again returns with
        its new reason. A repeated request moves a message once."""
        results = provide().redrive(queue, body.message_ids or None, body.limit)
        moved = sum(result.outcome is Outcome.MOVED for result in results)
        return s.RedriveView(queue=queue, moved=moved, results=results)
