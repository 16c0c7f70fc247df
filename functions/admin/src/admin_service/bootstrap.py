"""Builds the object graph of admin once per process, when first needed. The only place that knows every part."""

from functools import cache

from admin_service.adapters.publishers import LambdaPublishers
from admin_service.adapters.registry import DeclaredQueues
from admin_service.adapters.sqs import SqsQueues
from admin_service.application.dead_letters import DeadLetters
from admin_service.settings import AdminSettings
from library_common.configuration import parameter


@cache
def dead_letters() -> DeadLetters:
    """What the HTTP API uses."""
    settings = AdminSettings()
    return DeadLetters(
        declared=DeclaredQueues(parameter(settings.dead_letters_parameter).get),
        queues=SqsQueues(),
        publishers=LambdaPublishers(parameter(settings.publishers_parameter).get),
    )
