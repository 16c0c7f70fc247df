"""The HTTP API of admin: the status of each refusal, and the routes."""

from collections.abc import Callable

from admin_service import bootstrap
from admin_service.application.dead_letters import DeadLetters
from admin_service.domain.errors import DeadLetterQueueNotFound
from admin_service.routes import dead_letters
from library_common.http import ServiceApi

DESCRIPTION = "For administrators: messages between services that could not be handled, to read and to redrive."
PROBLEMS: dict[type[Exception], int] = {DeadLetterQueueNotFound: 404}


def build(provide: Callable[[], DeadLetters]) -> ServiceApi:
    """The API on the use cases that `provide` returns."""
    api = ServiceApi(name="admin", title="Smart Library: admin", description=DESCRIPTION, problems=PROBLEMS)
    dead_letters.declare(api, provide)
    api.publish_openapi("/api/admin/openapi.json")
    return api


api = build(bootstrap.dead_letters)
handler = api
