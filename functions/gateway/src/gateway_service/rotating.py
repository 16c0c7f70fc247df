"""Making, publishing and rotating key rings.

Whatever point a run ends at, the next one finds a ring that works and finishes what is missing:

1. the public keys of the old and the new ring together are published,
2. the secret is replaced, and with it what signs,
3. the public keys of the new ring alone are published.

So there is no moment at which something signs with a key that is not published. Service secrets need no
publication: whoever checks them reads the same secret as whoever signs with them.

A ring that cannot be read is only ever replaced, by force, and without the first step: its public keys are not
known. If what keeps it does not answer at all, the second step fails and nothing has changed; if what it holds is
no ring, the new keys sign for the moment before the third step, and a run that ends there is finished by the next.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from library_common.clock import Clock, to_rfc3339
from library_common.key_rings import Ring
from library_common.telemetry import count, logger

type Result = Literal["made", "kept", "rotated", "refused", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of one ring. code: why it was refused or failed. not_before: when the same would not be, RFC 3339."""

    ring: str
    result: Result
    code: str | None = None
    detail: str | None = None
    not_before: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


class TurnTaken(Exception):
    """Somebody else is at this ring."""


class RingUnreadable(Exception):
    """What keeps the ring does not answer, or what it holds is no ring."""


class KeepingFailed(Exception):
    """Some rings could not be looked after; the log says why."""


class RingStore[Key](Protocol):
    """Where a ring is kept. Writing replaces it whole."""

    def read(self) -> Ring[Key] | None: ...

    def write(self, ring: Ring[Key]) -> None: ...


class Turns(Protocol):
    """Lets one run at a time at a ring. Raises TurnTaken."""

    def take(self, ring: str) -> AbstractContextManager[None]: ...


@dataclass(frozen=True)
class RingKeeper[Key]:
    """One ring and what belongs to it.

    overlap: how long a ring stays as it is between two rotations (`overlap`). publish: makes keys known to
    those who check, if they do not read the ring itself; called with what is published already, it does nothing.
    """

    name: str
    store: RingStore[Key]
    generate: Callable[[], Key]
    overlap: timedelta
    publish: Callable[[Sequence[Key]], None] = lambda _: None

    def complete(self, now: datetime) -> Outcome:
        """A ring with a current and a next key, published. Changes nothing about one that is.

        Raises RingUnreadable, as whatever reads the ring does.
        """
        ring = self._read()
        if ring is not None and ring.next is not None:
            self.publish(ring.keys)
            return Outcome(self.name, "kept")
        current = ring.current if ring is not None else self.generate()
        previous = ring.previous if ring is not None else None
        self._replace(ring, Ring(current, next=self.generate(), previous=previous, rotated_at=now))
        return Outcome(self.name, "made")

    def rotate(self, now: datetime) -> Outcome:
        """A turn of the ring; refused while somebody might notice."""
        self.complete(now)
        ring = self._ring()
        not_before = ring.rotated_at + self.overlap if ring.rotated_at is not None else now
        if now < not_before:
            return Outcome(
                self.name,
                "refused",
                code="too_soon",
                detail="The keys before may still be in use, and the next one may not be known everywhere yet.",
                not_before=to_rfc3339(not_before),
            )
        self._replace(ring, ring.rotated(self.generate(), now))
        return Outcome(self.name, "rotated")

    def replace_all(self, now: datetime) -> Outcome:
        """A ring of new keys only: whoever read the secret knows the next key as well as the current one.

        Never raises RingUnreadable: one that cannot be read is replaced like any other.
        """
        new = Ring(self.generate(), next=self.generate(), rotated_at=now)
        try:
            old = self._read()
        except RingUnreadable:
            logger().warning("unreadable key ring is replaced", extra={"ring": self.name})
            self._write(new)
        else:
            self._replace(old, new)
        return Outcome(self.name, "rotated")

    def rotate_when_due(self, now: datetime, lifetime: timedelta) -> Outcome:
        """Completes the ring, and rotates one that has been as it is for `lifetime` or longer."""
        outcome = self.complete(now)
        since = self._ring().rotated_at
        if outcome.result == "kept" and (since is None or now - since >= lifetime):
            return self.rotate(now)
        return outcome

    def _read(self) -> Ring[Key] | None:
        try:
            return self.store.read()
        except Exception as exc:
            raise RingUnreadable(self.name) from exc

    def _ring(self) -> Ring[Key]:
        ring = self._read()
        if ring is None:
            raise LookupError(f"{self.name} holds no keys although they were just written")
        return ring

    def _replace(self, old: Ring[Key] | None, new: Ring[Key]) -> None:
        before = old.keys if old is not None else ()
        self.publish((*new.keys, *(key for key in before if key not in new.keys)))
        self._write(new)

    def _write(self, new: Ring[Key]) -> None:
        self.store.write(new)
        self.publish(new.keys)


@dataclass(frozen=True)
class KeyKeeping:
    """All rings of the library, by name: `signing-key`, and `service:<name>` for each service.

    lifetime: how long a key signs before the daily run rotates it.
    """

    rings: Mapping[str, RingKeeper[Any]]
    turns: Turns
    clock: Clock
    lifetime: timedelta

    def complete(self, names: Iterable[str]) -> list[Outcome]:
        """For a deployment: makes what is missing of these rings. Raises KeepingFailed when one could not be."""
        return self._each(lambda ring: ring.complete(self.clock.now()), names)

    def daily(self) -> list[Outcome]:
        """Repairs and rotates what is due. Raises KeepingFailed after it has tried all."""
        return self._each(lambda ring: ring.rotate_when_due(self.clock.now(), self.lifetime), self.rings)

    def rotate(self, names: Iterable[str], *, force: bool) -> list[Outcome]:
        """What somebody asked for. A ring that does not exist is refused, and so is one that is rotated already.

        Tries all: one that fails has failed (`unreadable`, `unfinished`) and keeps no other from being rotated.
        """
        return [self._rotate(name, force=force) for name in dict.fromkeys(names)]

    def _rotate(self, name: str, *, force: bool) -> Outcome:
        ring = self.rings.get(name)
        if ring is None:
            known = ", ".join(self.rings)
            return Outcome(name, "refused", code="no_such_ring", detail=f"There are: {known}.")
        try:
            with self.turns.take(name):
                now = self.clock.now()
                return _counted(ring.replace_all(now) if force else ring.rotate(now))
        except TurnTaken:
            return Outcome(name, "refused", code="in_progress", detail="Another run is at it.")
        except RingUnreadable:
            return _failed(name, "unreadable", "It cannot be read, and the log says why. With force it is replaced.")
        except Exception:  # noqa: BLE001 - as in `_each`
            return _failed(name, "unfinished", "It failed on the way, and the log says why. Ask again.")

    def _each(self, work: Callable[[RingKeeper[Any]], Outcome], names: Iterable[str]) -> list[Outcome]:
        outcomes = []
        failed = []
        for name in names:
            try:
                with self.turns.take(name):
                    outcomes.append(_counted(work(self.rings[name])))
            except Exception:  # noqa: BLE001 - one ring that cannot be read does not keep the others from being kept
                _log_failure(name)
                failed.append(name)
        if failed:
            raise KeepingFailed(", ".join(failed))
        return outcomes


def _failed(ring: str, code: str, detail: str) -> Outcome:
    """For use where the exception is being handled."""
    _log_failure(ring)
    return _counted(Outcome(ring, "failed", code=code, detail=detail))


def _log_failure(ring: str) -> None:
    logger().exception("key ring failed", extra={"ring": ring})


def _counted(outcome: Outcome) -> Outcome:
    count("KeyRing", ring=outcome.ring, result=outcome.result)
    return outcome
