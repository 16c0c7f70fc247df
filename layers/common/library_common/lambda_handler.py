"""A Lambda handler that is built when it is first called: importing its module reads no settings."""

from collections.abc import Callable
from functools import cache
from typing import Any


class lambda_handler:  # noqa: N801 - a decorator
    """Decorates a function that builds a handler. What it built is called for every event, and kept.

    @lambda_handler
    def handler() -> Consumer[Delivery]: ...
    """

    def __init__(self, build: Callable[[], Callable[[Any, Any], Any]]) -> None:
        self._built = cache(build)
        self.cache_clear = self._built.cache_clear

    def __call__(self, event: Any, context: Any) -> Any:
        return self._built()(event, context)
