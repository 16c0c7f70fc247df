"""The stream of the loans table: puts events on the bus and unfinished loans on the recovery queue."""

from collections.abc import Sequence

from library_common.dynamodb import Item
from library_common.lambda_handler import lambda_handler
from library_common.publisher import StreamPublisher
from loans_service import bootstrap
from loans_service.adapters.items import unfinished_loan_id
from loans_service.adapters.recoveries import QueuedRecoveries


def queue_unfinished(images: Sequence[Item]) -> None:
    """Queues every loan whose last image in this batch is unfinished."""
    last = dict(loan for image in images if (loan := unfinished_loan_id(image)) is not None)
    settings = bootstrap.settings()
    recoveries = QueuedRecoveries(settings.recovery_queue_url)
    for loan_id, is_unfinished in last.items():
        if is_unfinished:
            recoveries.look_again(loan_id, in_seconds=settings.recovery_delay_seconds, attempt=0)


@lambda_handler
def handler() -> StreamPublisher:
    """Lambda entry for stream batches. Raises PublishFailed so that the batch comes again."""
    settings = bootstrap.settings()
    return StreamPublisher(
        source="loans",
        bus=settings.event_bus_name,
        dead_letters=settings.publish_dead_letters,
        on_images=queue_unfinished,
    )
