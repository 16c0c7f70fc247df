"""Builds the object graph of admin once per process, when first needed. The only place that knows every part."""

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
    registered = _kept(settings.dead_letters_path)
    return DeadLetters(
        declared=lambda: registered_queues(text for _, text in registered.get()),
        queues=SqsQueues(),
        publishers=LambdaPublishers(_kept(settings.publishers_path).get),
    )


def _kept(path: str) -> TtlCache[list[tuple[str, str]]]:
    """The parameters under a path, at most a minute old."""
    return TtlCache(lambda: list(parameters_under(path)), seconds=PARAMETER_SECONDS)
