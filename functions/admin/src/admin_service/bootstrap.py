"""Builds the object graph of admin once per process, when first needed. The only place that knows every part."""

from collections.abc import Callable
from functools import cache

from admin_service.adapters.publishers import LambdaPublishers
from admin_service.adapters.sqs import SqsQueues, registered_queues
from admin_service.application.dead_letters import DeadLetters
from admin_service.settings import AdminSettings
from library_common.configuration import PARAMETER_SECONDS, parameters_under
from library_common.ttl_cache import TtlCache


@cache
def dead_letters() -> DeadLetters:
    """What the HTTP API and the watch use."""
    settings = AdminSettings()
    return DeadLetters(
        declared=_kept(lambda: registered_queues(text for _, text in parameters_under(settings.dead_letters_path))),
        queues=SqsQueues(),
        publishers=LambdaPublishers(_kept(lambda: list(parameters_under(settings.publishers_path)))),
    )


def _kept[T](read: Callable[[], T]) -> Callable[[], T]:
    return TtlCache(read, seconds=PARAMETER_SECONDS).get
