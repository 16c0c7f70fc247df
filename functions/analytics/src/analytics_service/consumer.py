"""The consumer of events: reads batches from the queue and applies them to facts and counters."""

from collections.abc import Sequence

from analytics_service import bootstrap
from analytics_service.application.apply_events import ApplyEvents
from analytics_service.domain.incoming_events import InvalidEvent
from library_common.consumers import BatchConsumer, Delivery, PoisonMessage, Queue, read_delivery
from library_common.lambda_handler import lambda_handler


def consumer(apply_events: ApplyEvents, queue: Queue) -> BatchConsumer[Delivery]:
    """Applies a whole batch at once. Invalid events go to the dead-letter queue."""

    def count(deliveries: Sequence[Delivery]) -> list[str | Exception]:
        return [
            PoisonMessage(str(outcome)) if isinstance(outcome, InvalidEvent) else outcome
            for outcome in apply_events.apply(deliveries)
        ]

    return BatchConsumer("analytics", service="analytics", queue=queue, read=read_delivery, handle=count)


@lambda_handler
def handler() -> BatchConsumer[Delivery]:
    """Lambda entry for SQS batches; answers which messages failed and are to come again."""
    settings = bootstrap.settings()
    return consumer(bootstrap.apply_events(), Queue(settings.queue_url, settings.dead_letters_url))
