"""Trying again after a lost race: a few times, a little later each time, never in step with the others."""

from collections.abc import Callable

from library_common.problems import ServiceUnavailable

_LONGEST_PAUSE = 0.2


class Tries:
    """The tries of one request. After a lost race call `again`, then look at what is there now."""

    def __init__(self, at_most: int, sleep: Callable[[float], None], jitter: Callable[[], float]) -> None:
        self._left = at_most - 1
        self._made = 0
        self._sleep = sleep
        self._jitter = jitter

    def again(self) -> None:
        """Waits up to 0.2 s. Raises ServiceUnavailable (503, nothing was written) after the last try."""
        if self._left == 0:
            raise ServiceUnavailable("Too many are changing this title at once. Try again shortly.", retry_after=1)
        self._left -= 1
        self._made += 1
        self._sleep(self._jitter() * min(_LONGEST_PAUSE, 0.01 * 2**self._made))


class RetryPolicy:
    """How often a lost race is run again.

    sleep: takes seconds. jitter: a random number from 0 to 1.
    """

    def __init__(self, *, sleep: Callable[[float], None], jitter: Callable[[], float], at_most: int = 12) -> None:
        self._sleep = sleep
        self._jitter = jitter
        self._at_most = at_most

    def tries(self) -> Tries:
        return Tries(self._at_most, self._sleep, self._jitter)
