"""Rebuilds everything from the events of the archive, beside what is there, and then exchanges the two.

    begin    a new generation is being built: every live event is applied to it, too
    (replay) whoever asks for it starts a replay of the archive; its events go to the generation being built only
    finish   the new generation is what reports read; refused when it holds clearly less than the old one
    revert   the old one is what reports read again: until it is given up, live events are applied to it as well
    abandon  the generation being built is deleted instead
    clean    gives the old one up and deletes it bit by bit, like what was abandoned

Begin comes before the replay. A consumer knows of it after a few seconds (`SETTLED` allows for that and for a batch
under way); the replay must reach to a moment after that, so that every event is in the replay or was applied live,
and an event that is both changes nothing the second time.

Each step is one conditional write. Deleting goes on from where it got to, whoever calls: a second run, or the nightly
one, which leaves the old generation alone for the first day.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from analytics_service.application.ports import Generations, GenerationsStore, Stale
from library_common.clock import Clock, to_rfc3339

SETTLED = timedelta(seconds=60)
"""After this long nobody writes by an older view of the generations: 3 s of view, 30 s of a batch, and then some."""


KEPT = timedelta(days=1)
"""How long the night leaves the previous generation alone."""

ENOUGH_PERCENT = 99
"""A generation that holds less than this of what the live one holds was not replayed completely."""


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
        return self._write(replace(_without_previous(now), building=now.last + 1, last=now.last + 1))

    def finish(self, *, force: bool = False) -> dict[str, Any]:
        """force: also when too little was replayed, because that is how it has to be."""
        now = self.generations.read()
        if now.building is None:
            raise RebuildRefused("No generation is being built.")
        if not self._settled(now):
            raise RebuildRefused("It was begun less than a minute ago: nothing can have been replayed completely.")
        if not force:
            self._require_enough(now.live, now.building)
        return self._write(replace(now, live=now.building, building=None, previous=now.live))

    def revert(self) -> dict[str, Any]:
        """Exchanges the live generation and the one before. Both have counted everything, so this can be undone."""
        now = self.generations.read()
        if now.previous is None:
            raise RebuildRefused("No earlier generation is kept.")
        return self._write(replace(now, live=now.previous, previous=now.live))

    def abandon(self) -> dict[str, Any]:
        now = self.generations.read()
        if now.building is None:
            raise RebuildRefused("No generation is being built.")
        return self._write(replace(now, building=None, dropping=(*now.dropping, now.building)))

    def clean(self, *, nightly: bool = False) -> dict[str, Any]:
        """Gives up the previous generation and deletes what is given up, for as long as this run may take.

        nightly: the previous one only when it has been for a day.
        """
        now = self.generations.read()
        if now.previous is not None and (not nightly or self._since(now) >= KEPT):
            self._write(_without_previous(now))
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
        return self._since(generations) >= SETTLED

    def _since(self, generations: Generations) -> timedelta:
        return self.clock.now() - generations.changed_at if generations.changed_at else timedelta.max

    def _require_enough(self, live: int, building: int) -> None:
        last_year = self.clock.now().year + 1  # a library's day may be in the next year already
        held, rebuilt = (self.generations.totals(generation, last_year) for generation in (live, building))
        if not any(rebuilt.values()):
            raise RebuildRefused("Nothing was replayed into the generation being built. Replay first, or force it.")
        short = [
            f"{rebuilt.get(measure, 0)} {measure} instead of {number}"
            for measure, number in held.items()
            if 100 * rebuilt.get(measure, 0) < ENOUGH_PERCENT * number
        ]
        if short:
            raise RebuildRefused(
                f"The generation being built holds clearly less than the live one: {', '.join(short)}. "
                "Is the replay complete and the queue empty? Replay again, or force it."
            )

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
            "previous": generations.previous,
            "dropping": list(generations.dropping),
            "changed_at": to_rfc3339(generations.changed_at) if generations.changed_at else None,
            "replay_until_at_least": (
                to_rfc3339(generations.changed_at + SETTLED)
                if generations.building is not None and generations.changed_at
                else None
            ),
        }
        return dict(told)


def _without_previous(generations: Generations) -> Generations:
    if generations.previous is None:
        return generations
    return replace(generations, previous=None, dropping=(*generations.dropping, generations.previous))
