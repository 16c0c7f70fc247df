"""A clock that only moves when a test moves it."""

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


class FixedClock:
    """Implements `library_common.clock.Clock`; also a monotonic clock in seconds and a `sleep` that moves it."""

    def __init__(self, moment: datetime = NOON) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)

    def advance(self, by: timedelta) -> None:
        self.moment += by
