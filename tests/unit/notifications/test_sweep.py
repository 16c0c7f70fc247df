"""A sweep that cannot reach everything, because much of it is found again and again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from notifications_service.application.ports import BUCKETS, Due, DueReminder, Position
from notifications_service.application.sweep import MOST_WAITING, Sweep
from tests.support.clock import FixedClock

pytestmark = pytest.mark.unit

PAGE = 200


@dataclass
class DueTasks:
    """Nothing on it is ever done."""

    stuck: int

    def due(self, bucket: int, now: datetime, after: Position | None) -> tuple[list[Due], Position | None]:
        start = int(after["start"]) if after else 0
        end = min(start + PAGE, self.stuck)
        found: list[Due] = [DueReminder(str(bucket), str(number)) for number in range(start, end)]
        return found, {"start": end} if end < self.stuck else None


@dataclass
class TaskQueue:
    """Somebody takes everything and does nothing."""

    queued: list[Due] = field(default_factory=list)

    def put(self, tasks: Sequence[Due], *, delay_seconds: int = 0) -> None:
        self.queued.extend(tasks)

    def waiting(self) -> int:
        return 0


def test_what_is_stuck_holds_up_nothing_behind_it() -> None:
    outgoing = TaskQueue()
    sweep = Sweep(DueTasks(stuck=1000), outgoing, FixedClock())
    everything = BUCKETS * 1000

    sweeps = 0
    while len(set(outgoing.queued)) < everything:
        assert sweep() <= MOST_WAITING + BUCKETS * PAGE
        sweeps += 1
        assert sweeps <= 6


def test_a_sweep_that_reaches_the_end_goes_on_at_the_beginning() -> None:
    outgoing = TaskQueue()
    sweep = Sweep(DueTasks(stuck=500), outgoing, FixedClock())
    sweep()
    outgoing.queued.clear()

    sweep()

    assert len(outgoing.queued) == len(set(outgoing.queued))
    assert DueReminder("0", "0") in outgoing.queued


def test_what_fits_is_found_by_every_sweep() -> None:
    outgoing = TaskQueue()
    sweep = Sweep(DueTasks(stuck=PAGE), outgoing, FixedClock())

    assert [sweep(), sweep()] == [BUCKETS * PAGE, BUCKETS * PAGE]
