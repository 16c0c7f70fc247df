"""Key rings made, published and rotated; with every way of ending in the middle."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

import pytest

from gateway_service.key_rotation import KeyRotation, LockHeld, ManagedRing, Outcome, RingUnreadable, RotationFailed
from gateway_service.overlap import SERVICE_SECRET_OVERLAP, SIGNER_SECONDS, SIGNING_KEY_OVERLAP, VERIFIER_SECONDS
from library_common.context import invocation
from library_common.key_rings import Ring
from library_common.tokens import ACCESS_LIFETIME, CLOCK_SKEW_SECONDS, SERVICE_LIFETIME
from tests.support.clock import NOON, FixedClock
from tests.support.operator_log import OperatorLog

pytestmark = pytest.mark.unit

OVERLAP = timedelta(minutes=20)
KEY_LIFETIME = timedelta(days=30)
OLD = NOON - OVERLAP


class Killed(BaseException):
    """The process ended."""


@dataclass
class StoredRing:
    """A stored ring and what is published of it, with numbered keys; `dies_after` writes of either the process ends.

    malformed: what is stored is not a ring. down: the store neither answers nor takes anything.
    """

    ring: Ring[str] | None = None
    published: tuple[str, ...] = ()
    writes: int = 0
    dies_after: int | None = None
    numbers: Iterator[int] = field(default_factory=count)
    malformed: bool = False
    down: bool = False

    def read(self) -> Ring[str] | None:
        if self.down:
            raise ConnectionError("no answer")
        if self.malformed:
            raise ValueError("no ring")
        return self.ring

    def write(self, ring: Ring[str]) -> None:
        if self.down:
            raise ConnectionError("no answer")
        self._count()
        self.ring = ring
        if not self.malformed:
            self.require_sound()
        self.malformed = False

    def publish(self, keys: Sequence[str]) -> None:
        if tuple(keys) != self.published:
            self._count()
            self.published = tuple(keys)
            self.require_sound()

    def require_sound(self) -> None:
        """What signs, and what signed while tokens of it may live, is published."""
        if self.ring is not None:
            assert set(self.ring.keys) <= set(self.published)

    def keeper(self, name: str = "signing-key") -> ManagedRing[str]:
        return ManagedRing(
            name=name,
            store=self,
            generate=lambda: f"key {next(self.numbers)}",
            overlap=OVERLAP,
            publish=self.publish,
        )

    def _count(self) -> None:
        if self.writes == self.dies_after:
            raise Killed
        self.writes += 1


@dataclass
class Locks:
    """The locks in memory."""

    held: set[str] = field(default_factory=set)

    @contextmanager
    def hold(self, ring: str) -> Iterator[None]:
        if ring in self.held:
            raise LockHeld(ring)
        self.held.add(ring)
        try:
            yield
        finally:
            self.held.discard(ring)


def grown() -> StoredRing:
    """A ring that was rotated twice, long enough ago to be rotated again."""
    ring = Ring("b", next="c", previous="a", rotated_at=OLD)
    return StoredRing(ring=ring, published=ring.keys)


# -- one ring -------------------------------------------------------------------------------------


def test_from_nothing_come_a_key_that_signs_and_one_that_will() -> None:
    kept = StoredRing()

    outcome = kept.keeper().complete(NOON)

    assert outcome == Outcome("signing-key", "made")
    assert kept.ring == Ring("key 0", next="key 1", rotated_at=NOON)
    assert set(kept.published) == {"key 0", "key 1"}


def test_a_single_key_stays_the_current_one() -> None:
    kept = StoredRing(ring=Ring("first"), published=("first",))

    assert kept.keeper().complete(NOON).result == "made"
    assert kept.ring == Ring("first", next="key 0", rotated_at=NOON)


def test_completing_again_changes_nothing() -> None:
    kept = grown()

    assert kept.keeper().complete(NOON) == Outcome("signing-key", "kept")
    assert kept.writes == 0


@pytest.mark.parametrize("published", [(), ("a",), ("b", "c", "a", "left over")])
def test_completing_repairs_what_is_published(published: tuple[str, ...]) -> None:
    kept = StoredRing(ring=Ring("b", next="c", previous="a", rotated_at=OLD), published=published)

    kept.keeper().complete(NOON)

    assert kept.published == ("b", "c", "a")


def test_an_ordinary_rotation_moves_every_key_by_one_place() -> None:
    kept = grown()

    assert kept.keeper().rotate(NOON) == Outcome("signing-key", "rotated")
    assert kept.ring == Ring("c", next="key 0", previous="b", rotated_at=NOON)
    assert kept.published == ("c", "key 0", "b")


@pytest.mark.parametrize("age", [timedelta(), OVERLAP / 2, OVERLAP - timedelta(seconds=1)])
def test_an_ordinary_rotation_is_refused_while_somebody_might_notice(age: timedelta) -> None:
    ring = Ring("b", next="c", previous="a", rotated_at=NOON - age)
    kept = StoredRing(ring=ring, published=ring.keys)

    outcome = kept.keeper().rotate(NOON)

    assert (outcome.result, outcome.code) == ("refused", "too_soon")
    assert outcome.not_before is not None
    assert outcome.not_before.startswith("2026-11-21T12")
    assert (kept.ring, kept.writes) == (ring, 0)


def test_a_ring_without_a_next_key_gets_one_and_rotates_later() -> None:
    kept = StoredRing(ring=Ring("first"), published=("first",))

    assert kept.keeper().rotate(NOON).code == "too_soon"
    assert kept.keeper().rotate(NOON + OVERLAP).result == "rotated"
    assert kept.ring == Ring("key 0", next="key 1", previous="first", rotated_at=NOON + OVERLAP)


def test_a_compromised_ring_keeps_nothing_however_young_it_is() -> None:
    kept = StoredRing(ring=Ring("b", next="c", previous="a", rotated_at=NOON), published=("b", "c", "a"))

    assert kept.keeper().replace_all(NOON).result == "rotated"
    assert kept.ring is not None
    assert set(kept.ring.keys) == {"key 0", "key 1"}
    assert set(kept.published) == {"key 0", "key 1"}


@pytest.mark.parametrize(
    "act",
    [
        lambda kept: kept.keeper().complete(NOON),
        lambda kept: kept.keeper().rotate(NOON),
        lambda kept: kept.keeper().replace_all(NOON),
    ],
    ids=["complete", "rotate", "replace all"],
)
@pytest.mark.parametrize("begin", [StoredRing, grown], ids=["nothing", "a grown ring"])
@pytest.mark.parametrize("dies_after", range(4))
def test_a_run_that_ends_anywhere_leaves_a_sound_ring_and_the_next_one_finishes(
    act: Callable[[StoredRing], object], begin: Callable[[], StoredRing], dies_after: int
) -> None:
    kept = begin()
    kept.dies_after = dies_after
    try:
        act(kept)
    except Killed:
        kept.require_sound()
    kept.dies_after = None

    kept.keeper().complete(NOON + timedelta(minutes=1))

    assert kept.ring is not None
    assert kept.ring.next is not None
    assert kept.published == kept.ring.keys


# -- rings that cannot be read --------------------------------------------------------------------


def malformed() -> StoredRing:
    """Something that is no ring, while keys from before are still published."""
    return StoredRing(published=("b", "c", "a"), malformed=True)


def test_a_malformed_ring_is_replaced_by_force() -> None:
    kept = malformed()

    assert kept.keeper().replace_all(NOON) == Outcome("signing-key", "rotated")
    assert kept.ring == Ring("key 0", next="key 1", rotated_at=NOON)
    assert kept.published == ("key 0", "key 1")


@pytest.mark.parametrize(
    "act",
    [
        lambda keeper: keeper.complete(NOON),
        lambda keeper: keeper.rotate(NOON),
        lambda keeper: keeper.rotate_when_due(NOON, KEY_LIFETIME),
    ],
    ids=["complete", "rotate", "rotate when due"],
)
@pytest.mark.parametrize("trouble", ["malformed", "down"])
def test_a_ring_that_cannot_be_read_is_left_alone_without_force(
    act: Callable[[ManagedRing[str]], object], trouble: str
) -> None:
    kept = grown()
    setattr(kept, trouble, True)

    with pytest.raises(RingUnreadable, match="signing-key"):
        act(kept.keeper())
    assert (kept.writes, kept.published) == (0, ("b", "c", "a"))


def test_force_takes_nothing_that_is_published_away_while_the_store_does_not_answer() -> None:
    """Else every token would be refused: what signs would not be published any more."""
    kept = grown()
    kept.down = True

    with pytest.raises(ConnectionError):
        kept.keeper().replace_all(NOON)
    kept.require_sound()


@pytest.mark.parametrize("dies_after", range(2))
def test_a_replacement_of_a_malformed_ring_that_ends_anywhere_can_be_finished(dies_after: int) -> None:
    kept = malformed()
    kept.dies_after = dies_after
    with pytest.raises(Killed):
        kept.keeper().replace_all(NOON)
    kept.dies_after = None

    if kept.malformed:
        assert kept.published == ("b", "c", "a"), "as if nothing had been asked"
        kept.keeper().replace_all(NOON)
    kept.keeper().complete(NOON + timedelta(minutes=1))

    assert kept.ring is not None
    assert kept.published == kept.ring.keys


# -- all rings ------------------------------------------------------------------------------------


@dataclass
class House:
    """A library's rings."""

    signing: StoredRing = field(default_factory=grown)
    loans: StoredRing = field(default_factory=grown)
    locks: Locks = field(default_factory=Locks)
    clock: FixedClock = field(default_factory=FixedClock)

    def rotation(self) -> KeyRotation:
        rings = [self.signing.keeper(), self.loans.keeper("service:loans")]
        return KeyRotation({ring.name: ring for ring in rings}, self.locks.hold, self.clock, KEY_LIFETIME)


def test_the_daily_run_rotates_what_is_due_and_nothing_else() -> None:
    house = House()
    house.loans.ring = Ring("b", next="c", previous="a", rotated_at=NOON - KEY_LIFETIME)

    assert [outcome.result for outcome in house.rotation().daily()] == ["kept", "rotated"]
    assert [outcome.result for outcome in house.rotation().daily()] == ["kept", "kept"]


def test_over_a_year_each_key_signs_for_a_month() -> None:
    house = House()
    signed_with = []
    for _ in range(365):
        house.rotation().daily()
        assert house.signing.ring is not None
        signed_with.append(house.signing.ring.current)
        house.clock.advance(timedelta(days=1))

    assert 12 <= len(set(signed_with)) <= 14


def test_a_command_rotates_what_it_names_once() -> None:
    house = House()

    outcomes = house.rotation().rotate(["service:loans", "service:loans", "service:nobody"], force=False)

    assert [(o.ring, o.result, o.code) for o in outcomes] == [
        ("service:loans", "rotated", None),
        ("service:nobody", "refused", "no_such_ring"),
    ]
    assert house.signing.writes == 0


def test_while_another_run_is_rotating_it_a_command_is_refused() -> None:
    house = House()

    with house.locks.hold("signing-key"):
        outcomes = house.rotation().rotate(["signing-key", "service:loans"], force=True)

    assert [(o.result, o.code) for o in outcomes] == [("refused", "in_progress"), ("rotated", None)]


@pytest.mark.parametrize("trouble", ["malformed", "down"])
def test_a_command_goes_on_with_the_others_when_a_ring_cannot_be_read(trouble: str, log: OperatorLog) -> None:
    house = House()
    setattr(house.signing, trouble, True)

    with invocation() as running:
        outcomes = house.rotation().rotate(["signing-key", "service:loans"], force=False)

    assert [(o.ring, o.result, o.code) for o in outcomes] == [
        ("signing-key", "failed", "unreadable"),
        ("service:loans", "rotated", None),
    ]
    assert [(line["level"], line["ring"]) for line in log.lines] == [("ERROR", "signing-key")]
    assert running.counts["KeyRing ring=signing-key result=failed"] == 1
    assert house.locks.held == set()


def test_a_forced_command_replaces_a_malformed_ring_and_says_which_fails_otherwise(log: OperatorLog) -> None:
    house = House(signing=malformed())
    house.loans.down = True

    outcomes = house.rotation().rotate(["service:loans", "signing-key"], force=True)

    assert [(o.ring, o.result, o.code) for o in outcomes] == [
        ("service:loans", "failed", "unfinished"),
        ("signing-key", "rotated", None),
    ]
    assert house.loans.published == ("b", "c", "a")
    assert [line["ring"] for line in log.lines if line["level"] == "ERROR"] == ["service:loans"]


def test_a_ring_that_fails_does_not_stop_the_others() -> None:
    house = House(signing=StoredRing(), loans=StoredRing())
    house.locks.held.add("signing-key")

    with pytest.raises(RotationFailed, match="signing-key"):
        house.rotation().complete(["signing-key", "service:loans"])
    assert house.signing.ring is None
    assert house.loans.ring is not None


# -- how long keys overlap ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overlap", "lifetime"), [(SIGNING_KEY_OVERLAP, ACCESS_LIFETIME), (SERVICE_SECRET_OVERLAP, SERVICE_LIFETIME)]
)
def test_the_overlap_covers_every_cache_and_the_last_token(overlap: timedelta, lifetime: timedelta) -> None:
    stale_signer = timedelta(seconds=SIGNER_SECONDS)
    skew = timedelta(seconds=CLOCK_SKEW_SECONDS)

    assert overlap >= stale_signer + lifetime + skew, "tokens of the previous key are over"
    assert overlap >= timedelta(seconds=VERIFIER_SECONDS), "whoever checks knows the next key"


def test_a_day_is_long_enough_for_any_overlap() -> None:
    """The shortest interval the daily run rotates at."""
    assert max(SIGNING_KEY_OVERLAP, SERVICE_SECRET_OVERLAP) < timedelta(days=1)
