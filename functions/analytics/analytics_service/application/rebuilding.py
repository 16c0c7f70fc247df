"""Rebuilds everything from the events of the archive, beside what is there, and then exchanges the two.

    begin    a new generation is being built: every live event is applied to it, too
    (replay) whoever asks for it starts a replay of the archive; its events go to the generation being built only
    finish   the new generation is what reports read; the old one is deleted bit by bit
    abandon  the generation being built is deleted instead

Begin comes before the replay. A consumer knows of it after a few seconds (`SETTLED` allows for that and for a batch
under way); the replay must reach to a moment after that, so that every event is in the replay or was applied live,
and an event that is both changes nothing the second time.

Each step is one conditional write. Deleting goes on from where it got to, whoever calls: a second run, or the nightly
one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from analytics_service.application.ports import Generations, GenerationsStore, Stale
from library_common.clock import Clock, to_rfc3339

SETTLED = timedelta(seconds=60)
"""After this long nobody writes by an older view of the generations: 3 s of view, 30 s of a batch, and then some."""


class RebuildRefused(Exception):
    """The rebuild is not in a state in which that can be done; the sentence is for the operator."""


@dataclass(frozen=True)
class Rebuilding:
    """What an operator does. seconds_left: how long this run may still take."""

    generations: GenerationsStore
    clock: Clock
    seconds_left: Callable[[], float]

    def status(self) -> dict[str, Any]:
        return self._told(self.generations.read())

    def begin(self) -> dict[str, Any]:
        now = self.generations.read()
        if now.building is not None:
            raise RebuildRefused("A generation is being built already. Finish or abandon it first.")
        return self._write(replace(now, building=now.last + 1, last=now.last + 1))

    def finish(self) -> dict[str, Any]:
        now = self.generations.read()
        if now.building is None:
            raise RebuildRefused("No generation is being built.")
        if not self._settled(now):
            raise RebuildRefused("It was begun less than a minute ago: nothing can have been replayed completely.")
        return self._write(replace(now, live=now.building, building=None, dropping=(*now.dropping, now.live)))

    def abandon(self) -> dict[str, Any]:
        now = self.generations.read()
        if now.building is None:
            raise RebuildRefused("No generation is being built.")
        return self._write(replace(now, building=None, dropping=(*now.dropping, now.building)))

    def clean(self) -> dict[str, Any]:
        """Deletes what earlier generations left, for as long as this run may take."""
        deleted = 0
        while self.seconds_left() > 0:
            now = self.generations.read()
            if not now.dropping or not self._settled(now):
                break
            first, *others = now.dropping
            number, position = self.generations.delete_some(first, now.position)
            deleted += number
            try:
                self._save(replace(now, position=position, dropping=now.dropping if position else tuple(others)))
            except Stale:
                # Somebody else began, finished or cleaned: what was deleted is gone, the rest is looked at anew.
                continue
        return {**self.status(), "deleted": deleted}

    def _settled(self, generations: Generations) -> bool:
        return generations.changed_at is None or self.clock.now() - generations.changed_at >= SETTLED

    def _write(self, generations: Generations) -> dict[str, Any]:
        changed = replace(generations, changed_at=self.clock.now())
        try:
            return self._told(self._save(changed))
        except Stale:
            raise RebuildRefused("Somebody else did something at the same time. Look at the status.") from None

    def _save(self, generations: Generations) -> Generations:
        saved = replace(generations, version=generations.version + 1)
        self.generations.write(saved)
        return saved

    def _told(self, generations: Generations) -> dict[str, Any]:
        told: Mapping[str, Any] = {
            "live": generations.live,
            "building": generations.building,
            "dropping": list(generations.dropping),
            "changed_at": to_rfc3339(generations.changed_at) if generations.changed_at else None,
            "replay_until_at_least": (
                to_rfc3339(generations.changed_at + SETTLED)
                if generations.building is not None and generations.changed_at
                else None
            ),
        }
        return dict(told)
