"""Every minute: queues what is due. It finds what no task was queued for: retries, digests, reminders, crashes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from library_common.clock import Clock
from notifications_service.application.ports import BUCKETS, Due, DueTasks, Position, TaskQueue

MOST_WAITING = 2000
"""Messages in the queue that nobody has received yet. With more than these the sender is behind, and more tasks do not
help."""

SECONDS = 40.0
"""How long a sweep goes on. The next one finds the rest."""


@dataclass(frozen=True)
class Sweep:
    """The use case. Two at once queue some tasks twice, which does no harm.

    A sweep that had to stop is continued by the next one, which begins anew once it is through: tasks that nobody gets
    done, and so are found again and again, hold up nothing behind them. A new process begins at the beginning.
    """

    due_tasks: DueTasks
    queue: TaskQueue
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic
    left_off: dict[int, Position] = field(default_factory=dict)

    def __call__(self) -> int:
        """Returns how many tasks were queued."""
        if self.queue.waiting() > MOST_WAITING:
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
                found, more = self.due_tasks.due(bucket, now, after)
                # A member's messages of one channel are one task.
                new = [task for task in dict.fromkeys(found) if task not in seen]
                if new:
                    self.queue.put(new)
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
