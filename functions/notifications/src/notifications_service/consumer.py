"""The consumer of the bus: what members are told of, from the queue into the table."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from library_common.consumers import Consumer, ParsedMessage, PoisonMessage, Queue, read_delivery
from library_common.context import current
from notifications_service import bootstrap
from notifications_service.application.hearing import Hear, Incomprehensible
from notifications_service.domain.notices import Happening


def read_happening(body: str) -> ParsedMessage[Happening]:
    """An event of the bus as notifications understands it. Raises ValueError for anything else."""
    read = read_delivery(body)
    envelope = read.message.envelope
    event = Happening.model_validate(
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


def consumer(hear: Callable[[], Hear], queue: Queue) -> Consumer[Happening]:
    """Hands every event to `hear`."""

    def handle(event: Happening) -> str:
        try:
            return hear()(event, current().correlation_id)
        except Incomprehensible as failure:
            raise PoisonMessage(str(failure)) from failure

    return Consumer("notices", service="notifications", queue=queue, read=read_happening, handle=handle)


@cache
def _consumer() -> Consumer[Happening]:
    return consumer(bootstrap.hear, bootstrap.own_queue())


def handler(event: Mapping[str, Any], context: object) -> Any:
    """Lambda entry for SQS batches; answers which messages failed and are to come again."""
    return _consumer()(event, context)
