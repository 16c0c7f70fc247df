"""Stops trying a way out that has failed a few times in a row, so that a provider in trouble is not hammered."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from notifications_service.domain.kinds import Channel

FAILURES = 3


@dataclass
class Brake:
    """One per process. After `pause` one try goes through, and its failure begins the next pause at once."""

    pause: timedelta
    failures: dict[Channel, int] = field(default_factory=dict)
    on_until: dict[Channel, datetime] = field(default_factory=dict)

    def is_on(self, channel: Channel, now: datetime) -> bool:
        until = self.on_until.get(channel)
        return until is not None and now < until

    def failed(self, channel: Channel, now: datetime) -> None:
        self.failures[channel] = self.failures.get(channel, 0) + 1
        if self.failures[channel] >= FAILURES:
            self.on_until[channel] = now + self.pause

    def worked(self, channel: Channel) -> None:
        self.failures.pop(channel, None)
        self.on_until.pop(channel, None)
