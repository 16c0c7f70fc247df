"""Calls that fail now and then, before or after their effect; some take the process with them. Always the same ones
for the same seed."""

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from tests.support.mortality import ProcessDied


class InjectedFailure(ConnectionError):
    """The outside did not answer: whoever called does not know whether it did what it was asked."""


@dataclass
class Failures:
    """Fails a share of all calls. deaths: how many of the failures end the process in place of answering."""

    share: float
    seed: int = 0
    deaths: float = 0.1
    injected: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def around[T](self, name: str, call: Callable[[], T]) -> T:
        """The call, or a failure before it, or one after it, which had its effect."""
        if self._random.random() >= self.share:
            return call()
        failure = ProcessDied(name) if self._random.random() < self.deaths else InjectedFailure(name)
        afterwards = self._random.random() < 0.5
        self.injected.append(f"{type(failure).__name__} {'after' if afterwards else 'before'} {name}")
        if afterwards:
            call()
        raise failure

    def over[**P, T](self, function: Callable[P, T]) -> Callable[P, T]:
        """The same function, failing."""

        def failing(*args: P.args, **kwargs: P.kwargs) -> T:
            return self.around(getattr(function, "__name__", "call"), lambda: function(*args, **kwargs))

        return failing


class Flaky:
    """A port or client whose calls fail. only: the names of the methods that do; all if not given."""

    def __init__(self, port: Any, failures: Failures, only: Collection[str] | None = None) -> None:
        self._port, self._failures, self._only = port, failures, only

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found) or isinstance(found, type) or (self._only is not None and name not in self._only):
            return found

        def flaky(*args: Any, **kwargs: Any) -> Any:
            return self._failures.around(name, lambda: found(*args, **kwargs))

        return flaky
