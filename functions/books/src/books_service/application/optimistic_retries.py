"""Retries of a write that failed because another request wrote first."""

from collections.abc import Callable

from library_common.problems import ServiceUnavailable

_LONGEST_PAUSE = 0.2


class Attempts:
    """The attempts of one request. After a VersionConflict call `again`, then read and decide again."""

    def __init__(self, at_most: int, sleep: Callable[[float], None], jitter: Callable[[], float]) -> None:
        self._left = at_most - 1
        self._made = 0
        self._sleep = sleep
        self._jitter = jitter

    def again(self) -> None:
        """Waits up to 0.2 s. Raises ServiceUnavailable (503, nothing was written) after the last attempt."""
        if self._left == 0:
            raise ServiceUnavailable("Too many requests are changing this title. Try again in a moment.", retry_after=1)
        self._left -= 1
        self._made += 1
        self._sleep(self._jitter() * min(_LONGEST_PAUSE, 0.01 * 2**self._made))


class OptimisticRetries:
    """How often a write is attempted. sleep: takes seconds. jitter: returns a random number from 0 to 1."""

    def __init__(self, *, sleep: Callable[[float], None], jitter: Callable[[], float], at_most: int = 12) -> None:
        self._sleep = sleep
        self._jitter = jitter
        self._at_most = at_most

    def attempts(self) -> Attempts:
        return Attempts(self._at_most, self._sleep, self._jitter)
