"""The consumer of events: reads batches from the queue and applies them to facts and counters."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from analytics_service import bootstrap
from analytics_service.application.apply_events import ApplyEvents
from analytics_service.domain.incoming_events import InvalidEvent
from library_common.consumers import BatchConsumer, Delivery, PoisonMessage, Queue, read_delivery


def consumer(apply_events: ApplyEvents, queue: Queue) -> BatchConsumer[Delivery]:
    """Applies a whole batch at once. Invalid events go to the dead-letter queue."""

    def count(deliveries: Sequence[Delivery]) -> list[str | Exception]:
        return [
            PoisonMessage(str(outcome)) if isinstance(outcome, InvalidEvent) else outcome
            for outcome in apply_events.apply(deliveries)
        ]

    return BatchConsumer("analytics", service="analytics", queue=queue, read=read_delivery, handle=count)


@cache
def _consumer() -> BatchConsumer[Delivery]:
    settings = bootstrap.settings()
    return consumer(bootstrap.apply_events(), Queue(settings.queue_url, settings.dead_letters_url))


def handler(event: Mapping[str, Any], context: object) -> Any:
    """Lambda handler of the queue. Returns which messages failed and are to come again."""
    return _consumer()(event, context)
