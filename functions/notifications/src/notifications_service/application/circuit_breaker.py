"""Stops trying a channel that failed a few times in a row, so that a provider in trouble is not overloaded."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from notifications_service.domain.kinds import Channel

FAILURES = 3


@dataclass
class CircuitBreaker:
    """One per process. After `pause` one try goes through; if it fails, the next pause begins at once."""

    pause: timedelta
    failures: dict[Channel, int] = field(default_factory=dict)
    open_until: dict[Channel, datetime] = field(default_factory=dict)

    def is_open(self, channel: Channel, now: datetime) -> bool:
        until = self.open_until.get(channel)
        return until is not None and now < until

    def failed(self, channel: Channel, now: datetime) -> None:
        self.failures[channel] = self.failures.get(channel, 0) + 1
        if self.failures[channel] >= FAILURES:
            self.open_until[channel] = now + self.pause

    def succeeded(self, channel: Channel) -> None:
        self.failures.pop(channel, None)
        self.open_until.pop(channel, None)
