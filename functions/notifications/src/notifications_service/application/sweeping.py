"""Every minute: what is due goes to the sender. Finds whatever a nudge did not: retries, digests, reminders, deaths."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from library_common.clock import Clock
from notifications_service.application.api_ports import Position
from notifications_service.application.ports import BUCKETS, Agenda, Due, Outgoing

MOST_WAITING = 2000
"""Messages nobody has looked at yet. With more than these the sender is behind, and to tell it again does not help."""

SECONDS = 40.0
"""How long a sweep goes on. What it does not reach is there in the next minute."""


@dataclass(frozen=True)
class Sweep:
    """The use case. Two at once put some things on the queue twice, which does no harm.

    Where it had to stop the next one goes on, and begins anew when it is through: what nobody gets done, and so is
    found again and again, holds up nothing behind it. A new process begins at the beginning.
    """

    agenda: Agenda
    outgoing: Outgoing
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic
    left_off: dict[int, Position] = field(default_factory=dict)

    def __call__(self) -> int:
        """How many tasks were queued."""
        if self.outgoing.waiting() > MOST_WAITING:
            return 0
        now = self.clock.now()
        until = self.monotonic() + SECONDS
        queued = 0
        positions: dict[int, Position | None] = {bucket: self.left_off.get(bucket) for bucket in range(BUCKETS)}
        skipped = set(self.left_off)
        seen: set[Due] = set()
        # A page of each in turn, so that one full bucket does not starve the others.
        while positions and self.monotonic() < until and queued < MOST_WAITING:
            for bucket, after in list(positions.items()):
                found, more = self.agenda.due(bucket, now, after)
                # A member's messages of one channel are one task.
                new = [task for task in dict.fromkeys(found) if task not in seen]
                if new:
                    self.outgoing.put(new)
                seen.update(new)
                queued += len(new)
                if more is None and bucket not in skipped:
                    del positions[bucket]
                else:
                    positions[bucket] = more
                if more is None:
                    skipped.discard(bucket)
        self.left_off.clear()
        self.left_off.update({bucket: after for bucket, after in positions.items() if after is not None})
        return queued
