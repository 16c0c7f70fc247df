"""Rebuilds the statistics from the event archive in a new generation, and then makes that one live.

    begin    starts a new generation: live events are applied to it too
    (replay) the operator starts a replay of the archive; its events go to the generation being built only
    finish   reports read the new generation; refused if it holds clearly less than the old one
    revert   reports read the old one again; live events are applied to both until it is deleted
    abandon  deletes the generation being built
    clean    deletes the previous generation, and what was abandoned, page by page

Begin before the replay. Consumers know of it after a few seconds (`SETTLED` includes these and a batch in progress).
The replay must reach beyond that, so that every event is in the replay or was applied live. An event that is in both
changes nothing the second time.

Each step is one conditional write. A later run continues an unfinished deletion. The nightly run keeps the previous
generation for a day.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from analytics_service.application.ports import Generations, GenerationsStore
from library_common.clock import Clock, to_rfc3339
from library_common.versions import VersionConflict

SETTLED = timedelta(seconds=60)
"""After this time no process uses older generations: 3 s of cache, 30 s of a batch, and a margin."""

KEPT = timedelta(days=1)
"""How long the nightly run keeps the previous generation."""

ENOUGH_PERCENT = 99
"""A generation that holds less than this share of the live one was not replayed completely."""


class RebuildRefused(Exception):
    """The step is not possible now. The message is for the operator."""


@dataclass(frozen=True)
class Rebuild:
    """The steps of a rebuild. seconds_left: how long this run may still take."""

    generations: GenerationsStore
    clock: Clock
    seconds_left: Callable[[], float]

    def status(self) -> dict[str, Any]:
        return self._status(self.generations.read())

    def begin(self) -> dict[str, Any]:
        now = self.generations.read()
        if now.building is not None:
            raise RebuildRefused("A generation is being built already. Finish or abandon it first.")
        return self._write(replace(_without_previous(now), building=now.last + 1, last=now.last + 1))

    def finish(self, *, force: bool = False) -> dict[str, Any]:
        """force: also if too little was replayed."""
        now = self.generations.read()
        if now.building is None:
            raise RebuildRefused("No generation is being built.")
        if not self._settled(now):
            raise RebuildRefused("It was begun less than a minute ago, so the replay cannot be complete.")
        if not force:
            self._require_enough(now.live, now.building)
        return self._write(replace(now, live=now.building, building=None, previous=now.live))

    def revert(self) -> dict[str, Any]:
        """Exchanges the live and the previous generation. Both count live events, so this can be undone."""
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
        """Deletes the previous generation and abandoned ones, for as long as this run may take.

        nightly: the previous one only after a day.
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
            except VersionConflict:
                # Another run changed the generations: read them again.
                continue
        return {**self.status(), "deleted": deleted}

    def _settled(self, generations: Generations) -> bool:
        return self._since(generations) >= SETTLED

    def _since(self, generations: Generations) -> timedelta:
        return self.clock.now() - generations.changed_at if generations.changed_at else timedelta.max

    def _require_enough(self, live: int, building: int) -> None:
        last_year = self.clock.now().year + 1  # the library's day may already be in the next year
        held, rebuilt = (self.generations.totals(generation, last_year) for generation in (live, building))
        if not any(rebuilt.values()):
            raise RebuildRefused("Nothing was replayed into the generation being built. Replay first, or use force.")
        short = [
            f"{rebuilt.get(measure, 0)} {measure} instead of {number}"
            for measure, number in held.items()
            if 100 * rebuilt.get(measure, 0) < ENOUGH_PERCENT * number
        ]
        if short:
            raise RebuildRefused(
                f"The generation being built holds clearly less than the live one: {', '.join(short)}. "
                "Is the replay complete and the queue empty? Replay again, or use force."
            )

    def _write(self, generations: Generations) -> dict[str, Any]:
        changed = replace(generations, changed_at=self.clock.now())
        try:
            return self._status(self._save(changed))
        except VersionConflict:
            raise RebuildRefused("Another step was taken at the same time. Check the status.") from None

    def _save(self, generations: Generations) -> Generations:
        saved = replace(generations, version=generations.version + 1)
        self.generations.write(saved)
        return saved

    def _status(self, generations: Generations) -> dict[str, Any]:
        return {
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


def _without_previous(generations: Generations) -> Generations:
    if generations.previous is None:
        return generations
    return replace(generations, previous=None, dropping=(*generations.dropping, generations.previous))
