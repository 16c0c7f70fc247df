"""Processes that die before or after any one of their outside calls."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class ProcessDied(BaseException):
    """The process died. Not an Exception, so that no `except Exception` catches it."""


@dataclass
class Mortality:
    """Counts outside calls. The process dies at call `number`, before or after its effect."""

    number: int | None = None
    after: bool = False
    calls: list[str] = field(default_factory=list)

    def step(self, name: str, call: Callable[[], Any]) -> Any:
        self.calls.append(name)
        dies = self.number is not None and len(self.calls) == self.number
        if dies and not self.after:
            raise ProcessDied(name)
        try:
            return call()
        finally:
            # Whether it was answered or refused: nobody is left to read it.
            if dies:
                raise ProcessDied(name)


class Mortal:
    """A port whose calls `Mortality` counts. name: prefix of the counted names."""

    def __init__(self, port: Any, mortality: Mortality, name: str = "") -> None:
        self._port, self._mortality, self._prefix = port, mortality, f"{name}." if name else ""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def stepped(*args: Any, **kwargs: Any) -> Any:
            return self._mortality.step(f"{self._prefix}{name}", lambda: method(*args, **kwargs))

        return stepped
