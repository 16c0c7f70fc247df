"""Table stream in, events on the bus out."""

from books_service.settings import BooksSettings
from library_common.lambda_handler import lambda_handler
from library_common.publisher import StreamPublisher


@lambda_handler
def handler() -> StreamPublisher:
    """Lambda entry for stream batches. Raises PublishFailed so that the batch comes again."""
    settings = BooksSettings()
    return StreamPublisher(source="books", bus=settings.event_bus_name, dead_letters=settings.publish_dead_letters)
