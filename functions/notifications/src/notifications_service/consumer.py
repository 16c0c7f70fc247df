"""The consumer of the bus: from events in the queue to notices in the table."""

from collections.abc import Callable

from library_common.consumers import Consumer, ParsedMessage, PoisonMessage, Queue, read_delivery
from library_common.context import current
from library_common.lambda_handler import lambda_handler
from notifications_service import bootstrap
from notifications_service.application.event_handling import EventHandling, InvalidEvent
from notifications_service.domain.notices import IncomingEvent


def read_event(body: str) -> ParsedMessage[IncomingEvent]:
    """An event of the bus. Raises ValueError for anything else."""
    read = read_delivery(body)
    envelope = read.message.envelope
    event = IncomingEvent.model_validate(
        {
            "id": envelope.id,
            "type": envelope.type,
            "occurred_at": envelope.occurred_at,
            "user_id": envelope.data.get("user_id"),
            "data": envelope.data,
            "source": read.message.source,
            "replayed": read.message.replay is not None,
        }
    )
    return ParsedMessage(event, read.correlation_id, read.log_fields)


def consumer(events: Callable[[], EventHandling], queue: Queue) -> Consumer[IncomingEvent]:
    """Handles every event with `events`."""

    def handle(event: IncomingEvent) -> str:
        try:
            return events().handle_event(event, current().correlation_id)
        except InvalidEvent as failure:
            raise PoisonMessage(str(failure)) from failure

    return Consumer("notices", service="notifications", queue=queue, read=read_event, handle=handle)


@lambda_handler
def handler() -> Consumer[IncomingEvent]:
    """Lambda entry for SQS batches; answers which messages failed and are to come again."""
    return consumer(bootstrap.event_handling, bootstrap.own_queue())
