"""Retries of a write that failed because another request wrote first."""

from collections.abc import Callable

from library_common.problems import ServiceUnavailable
from library_common.versions import VersionConflict

_LONGEST_PAUSE = 0.2


class OptimisticRetries:
    """How often a write is attempted. sleep: takes seconds. jitter: returns a random number from 0 to 1."""

    def __init__(self, *, sleep: Callable[[float], None], jitter: Callable[[], float], at_most: int = 12) -> None:
        self._sleep = sleep
        self._jitter = jitter
        self._at_most = at_most

    def __call__[R](
        self, attempt: Callable[[Exception | None], R], *, on: tuple[type[Exception], ...] = (VersionConflict,)
    ) -> R:
        """Reads, decides and writes with `attempt`, again after one of these failures, which it is given. Waits up to
        0.2 s in between. Raises ServiceUnavailable (503, nothing was written) after the last attempt.
        """
        conflict: Exception | None = None
        for made in range(self._at_most):
            if made:
                self._sleep(self._jitter() * min(_LONGEST_PAUSE, 0.01 * 2**made))
            try:
                return attempt(conflict)
            except on as failure:
                conflict = failure
        raise ServiceUnavailable(
            "Too many requests are changing this title. Try again in a moment.", retry_after=1
        ) from conflict
