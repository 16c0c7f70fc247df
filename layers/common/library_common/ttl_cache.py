"""Caches one value that is fetched from elsewhere: a secret, a parameter, keys."""

import time
from collections.abc import Callable

_PAUSE_AFTER_FAILURE_SECONDS = 15.0


class TtlCache[T]:
    """Calls `fetch` at most once per `seconds`.

    When a refresh fails, the last value stays in use for at most `grace` seconds more, and the next try waits
    up to 15 s. Without a last value the failure is raised.
    """

    def __init__(
        self,
        fetch: Callable[[], T],
        *,
        seconds: float,
        grace: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._seconds = seconds
        self._grace = grace
        self._monotonic = monotonic
        self._value: T | None = None
        self._fetched_at: float | None = None
        self._last_forced_at: float | None = None
        self._good_until = 0.0

    def get(self) -> T:
        """The value, at most `seconds` old while `fetch` succeeds. Raises what `fetch` raises."""
        now = self._monotonic()
        if self._value is not None and self._fetched_at is not None and now < self._good_until:
            return self._value
        return self._fetch_now(now)

    def get_fresh(self, *, pause: float) -> T:
        """Fetches now, because the value may have changed; the same as `get` within `pause` seconds of the last time.

        The pause protects the source where anybody can cause the call. Raises what `fetch` raises.
        """
        now = self._monotonic()
        if self._last_forced_at is not None and now < self._last_forced_at + pause:
            return self.get()
        self._last_forced_at = now
        return self._fetch_now(now)

    def _fetch_now(self, now: float) -> T:
        try:
            self._value = self._fetch()
        except Exception:
            # A short outage of the source must not stop the service.
            if self._value is None or self._fetched_at is None or now - self._fetched_at > self._seconds + self._grace:
                raise
            # Nor slow it down: a fetch that times out takes seconds.
            self._good_until = now + min(self._seconds, _PAUSE_AFTER_FAILURE_SECONDS)
            return self._value
        self._fetched_at = now
        self._good_until = now + self._seconds
        return self._value
