"""Making, publishing and rotating key rings.

A run may end at any point: it leaves a ring that works, and the next run finishes what is missing.

1. The public keys of the old and the new ring are published together.
2. The stored ring is replaced. From now on the new key signs.
3. The public keys of the new ring alone are published.

So nothing ever signs with a key that is not published. Services' keys are not published: the authorizer reads the same
parameter as the service.

A ring that cannot be read is replaced only by force, and without step 1, since its public keys are unknown: the new
key signs unpublished between steps 2 and 3. If the store does not answer at all, step 2 fails and nothing has changed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from library_common.clock import Clock, to_rfc3339
from library_common.key_rings import Ring
from library_common.telemetry import count, logger

type Result = Literal["made", "kept", "rotated", "refused", "failed"]


@dataclass(frozen=True)
class Outcome:
    """The result for one ring. code: why it was refused or failed. not_before: when to ask again, RFC 3339."""

    ring: str
    result: Result
    code: str | None = None
    detail: str | None = None
    not_before: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


class LockHeld(Exception):
    """Another run holds the lock of this ring."""


class RingUnreadable(Exception):
    """The ring's store does not answer, or does not hold a ring."""


class RotationFailed(Exception):
    """Some rings could not be completed or rotated. The log says why."""


class RingStore[Key](Protocol):
    """Where a ring is stored. `write` replaces the whole ring."""

    def read(self) -> Ring[Key] | None: ...

    def write(self, ring: Ring[Key]) -> None: ...


@dataclass(frozen=True)
class ManagedRing[Key]:
    """One ring, its store and its rules.

    overlap: the shortest time between two rotations (`gateway_service.overlap`). publish: makes public keys known to
    verifiers that cannot read the ring; it does nothing for keys that are published already.
    """

    name: str
    store: RingStore[Key]
    generate: Callable[[], Key]
    overlap: timedelta
    publish: Callable[[Sequence[Key]], None] = lambda _: None

    def complete(self, now: datetime) -> Outcome:
        """Makes missing keys and publishes what is not published. Raises RingUnreadable."""
        ring = self._read()
        if ring is not None and ring.next is not None:
            self.publish(ring.keys)
            return Outcome(self.name, "kept")
        begun = ring or Ring(self.generate())
        self._replace(ring, replace(begun, next=self.generate(), rotated_at=now))
        return Outcome(self.name, "made")

    def rotate(self, now: datetime) -> Outcome:
        """Rotates the ring by one key. Refused while tokens or caches of the last rotation may still be in use."""
        self.complete(now)
        ring = self._ring()
        not_before = ring.rotated_at + self.overlap if ring.rotated_at is not None else now
        if now < not_before:
            detail = "The previous key may still be in use, and the next one may not be known everywhere yet."
            return Outcome(self.name, "refused", "too_soon", detail, to_rfc3339(not_before))
        self._replace(ring, ring.rotated(self.generate(), now))
        return Outcome(self.name, "rotated")

    def replace_all(self, now: datetime) -> Outcome:
        """Replaces all keys, since whoever read the stored ring knows the next one, too. The ring may be unreadable."""
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
        """Completes the ring, and rotates it when its current key has signed for `lifetime` or longer."""
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
            raise LookupError(f"{self.name} is empty right after it was written")
        return ring

    def _replace(self, old: Ring[Key] | None, new: Ring[Key]) -> None:
        before = old.keys if old is not None else ()
        self.publish((*new.keys, *(key for key in before if key not in new.keys)))
        self._write(new)

    def _write(self, new: Ring[Key]) -> None:
        self.store.write(new)
        self.publish(new.keys)


@dataclass(frozen=True)
class KeyRotation:
    """All rings of the library, by name: `signing-key`, and `service:<name>` for each service.

    lock: holds the lock of a ring, so that one run at a time works on it; raises LockHeld. lifetime: how long a key
    signs before the daily run rotates it.
    """

    rings: Mapping[str, ManagedRing[Any]]
    lock: Callable[[str], AbstractContextManager[None]]
    clock: Clock
    lifetime: timedelta

    def complete(self, names: Iterable[str]) -> list[Outcome]:
        """For a deployment: makes the keys these rings lack. Raises RotationFailed after it has tried all."""
        return self._each(lambda ring: ring.complete(self.clock.now()), names)

    def daily(self) -> list[Outcome]:
        """Completes all rings and rotates those that are due. Raises RotationFailed after it has tried all."""
        return self._each(lambda ring: ring.rotate_when_due(self.clock.now(), self.lifetime), self.rings)

    def rotate(self, names: Iterable[str], *, force: bool) -> list[Outcome]:
        """Tries to rotate each of these rings now. A failure is answered, too (`unreadable`, `unfinished`)."""
        return [self._rotate(name, force=force) for name in dict.fromkeys(names)]

    def _rotate(self, name: str, *, force: bool) -> Outcome:
        ring = self.rings.get(name)
        if ring is None:
            return Outcome(name, "refused", code="no_such_ring", detail=f"There are: {', '.join(self.rings)}.")
        try:
            with self.lock(name):
                now = self.clock.now()
                return _counted(ring.replace_all(now) if force else ring.rotate(now))
        except LockHeld:
            return Outcome(name, "refused", code="in_progress", detail="Another run is rotating it.")
        except RingUnreadable:
            return _failed(name, "unreadable", "It cannot be read; the log says why. Use force to replace it.")
        except Exception:  # noqa: BLE001 - as in `_each`
            return _failed(name, "unfinished", "It failed halfway; the log says why. Try again.")

    def _each(self, work: Callable[[ManagedRing[Any]], Outcome], names: Iterable[str]) -> list[Outcome]:
        outcomes, failed = [], []
        for name in names:
            try:
                with self.lock(name):
                    outcomes.append(_counted(work(self.rings[name])))
            except Exception:  # noqa: BLE001 - one failing ring must not stop the others
                logger().exception("key ring failed", extra={"ring": name})
                failed.append(name)
        if failed:
            raise RotationFailed(", ".join(failed))
        return outcomes


def _failed(ring: str, code: str, detail: str) -> Outcome:
    """Call it in an `except` block: the traceback is logged."""
    logger().exception("key ring failed", extra={"ring": ring})
    return _counted(Outcome(ring, "failed", code=code, detail=detail))


def _counted(outcome: Outcome) -> Outcome:
    count("KeyRing", ring=outcome.ring, result=outcome.result)
    return outcome
