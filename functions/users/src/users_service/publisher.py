"""The stream of the users table → the event bus."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from library_common.publisher import StreamPublisher
from users_service.settings import UsersSettings


@cache
def _publisher() -> StreamPublisher:
    settings = UsersSettings()
    return StreamPublisher(source="users", bus=settings.event_bus_name, dead_letters=settings.publish_dead_letters)


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # Any: Lambda's context object
    """Lambda handler. Raises PublishFailed so that the batch comes again."""
    return _publisher()(event, context)
