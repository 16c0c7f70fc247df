"""Calls that sometimes fail, before or after their effect, or end the process. The same calls for the same seed."""

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from tests.support.mortality import ProcessDied


class InjectedFailure(ConnectionError):
    """No answer: the caller does not know whether the call had its effect."""


@dataclass
class Failures:
    """Fails a share of all calls. deaths: the share of the failures that end the process."""

    share: float
    seed: int = 0
    deaths: float = 0.1
    injected: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def around[T](self, name: str, call: Callable[[], T]) -> T:
        """Makes the call, or fails before it, or fails after it had its effect."""
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
