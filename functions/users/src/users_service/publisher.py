"""The stream of the users table → the event bus."""

from library_common.lambda_handler import lambda_handler
from library_common.publisher import StreamPublisher
from users_service.settings import UsersSettings


@lambda_handler
def handler() -> StreamPublisher:
    """Lambda entry for stream batches. Raises PublishFailed so that the batch comes again."""
    settings = UsersSettings()
    return StreamPublisher(source="users", bus=settings.event_bus_name, dead_letters=settings.publish_dead_letters)
