"""The consumer of the bus: batches of events from the queue into facts and counters."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from analytics_service import bootstrap
from analytics_service.application.applying import Applying
from analytics_service.domain.incoming import NotUnderstood
from library_common.consumers import BatchConsumer, Delivery, PoisonMessage, Queue, read_delivery


def consumer(applying: Applying, queue: Queue) -> BatchConsumer[Delivery]:
    """Counts a batch at once. An event that says nothing sensible is set aside and blocks nobody."""

    def count(deliveries: Sequence[Delivery]) -> list[str | Exception]:
        return [
            PoisonMessage(str(outcome)) if isinstance(outcome, NotUnderstood) else outcome
            for outcome in applying.apply(deliveries)
        ]

    return BatchConsumer("analytics", service="analytics", queue=queue, read=read_delivery, handle=count)


@cache
def _consumer() -> BatchConsumer[Delivery]:
    settings = bootstrap.settings()
    return consumer(bootstrap.applying(), Queue(settings.queue_url, settings.dead_letters_url))


def handler(event: Mapping[str, Any], context: object) -> Any:
    """Lambda entry for SQS batches; answers which messages failed and are to come again."""
    return _consumer()(event, context)
