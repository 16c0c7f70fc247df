"""What an operator does to rebuild the statistics, in which order, and what is refused."""

from datetime import timedelta

import pytest

from analytics_service.application.ports import Generations
from analytics_service.application.rebuild import SETTLED, Rebuild, RebuildRefused
from tests.fakes.analytics import FakeGenerations
from tests.support.clock import FixedClock

pytestmark = pytest.mark.unit


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def generations() -> FakeGenerations:
    return FakeGenerations(items={1: 25, 2: 5}, held={1: {"loans": 200, "titles": 9}, 2: {"loans": 198, "titles": 9}})


@pytest.fixture
def rebuild(generations: FakeGenerations, clock: FixedClock) -> Rebuild:
    return Rebuild(generations, clock, lambda: 60.0)


def test_the_old_generation_goes_once_nobody_writes_to_it(
    rebuild: Rebuild, generations: FakeGenerations, clock: FixedClock
) -> None:
    begun = rebuild.begin()
    assert (begun["live"], begun["building"]) == (1, 2)
    assert begun["replay_until_at_least"] == "2026-11-21T12:01:00Z"

    clock.advance(SETTLED)
    assert rebuild.finish()["live"] == 2
    clock.advance(SETTLED)
    assert rebuild.clean() | {"changed_at": None} == {
        "live": 2,
        "building": None,
        "previous": None,
        "dropping": [1],
        "changed_at": None,
        "replay_until_at_least": None,
        "deleted": 0,
    }
    assert generations.items[1] == 25

    clock.advance(SETTLED)
    assert rebuild.clean() | {"changed_at": None} == {
        "live": 2,
        "building": None,
        "previous": None,
        "dropping": [],
        "changed_at": None,
        "replay_until_at_least": None,
        "deleted": 25,
    }
    assert generations.items == {1: 0, 2: 5}


def test_an_abandoned_generation_is_deleted_and_its_number_never_used_again(
    rebuild: Rebuild, generations: FakeGenerations, clock: FixedClock
) -> None:
    rebuild.begin()
    assert rebuild.abandon() | {"changed_at": None} == {
        "live": 1,
        "building": None,
        "previous": None,
        "dropping": [2],
        "changed_at": None,
        "replay_until_at_least": None,
    }
    assert rebuild.begin()["building"] == 3

    clock.advance(timedelta(minutes=2))
    rebuild.clean()
    assert generations.items == {1: 25, 2: 0}


def test_deleting_goes_on_where_it_got_to(generations: FakeGenerations, clock: FixedClock) -> None:
    generations.now = Generations(live=2, last=2, dropping=(1,))
    turns = iter([60.0, 60.0, 0.0])

    assert Rebuild(generations, clock, lambda: next(turns)).clean()["deleted"] == 20
    assert generations.now.position is not None

    assert Rebuild(generations, clock, lambda: 60.0).clean()["deleted"] == 5
    assert generations.now.dropping == ()


@pytest.mark.parametrize(
    ("rebuilt", "why"),
    [
        ({"loans": 0, "titles": 0}, "Nothing was replayed"),
        ({"loans": 197, "titles": 9}, "197 loans instead of 200"),
        ({"loans": 200, "titles": 0}, "0 titles instead of 9"),
    ],
)
def test_a_generation_that_holds_clearly_less_becomes_live_by_force_only(
    rebuild: Rebuild, generations: FakeGenerations, clock: FixedClock, rebuilt: dict[str, int], why: str
) -> None:
    generations.held[2] = rebuilt
    rebuild.begin()
    clock.advance(SETTLED)

    with pytest.raises(RebuildRefused, match=why):
        rebuild.finish()
    assert (generations.now.live, generations.now.building) == (1, 2)

    assert rebuild.finish(force=True)["live"] == 2


def test_what_was_live_is_kept_and_can_be_live_again(rebuild: Rebuild, clock: FixedClock) -> None:
    rebuild.begin()
    clock.advance(SETTLED)
    finished = rebuild.finish()
    assert (finished["live"], finished["previous"], finished["dropping"]) == (2, 1, [])

    reverted = rebuild.revert()
    assert (reverted["live"], reverted["previous"]) == (1, 2)

    assert rebuild.begin()["dropping"] == [2], "two sets are counted in at once, not three"
    with pytest.raises(RebuildRefused, match="kept"):
        rebuild.revert()


def test_the_night_leaves_the_previous_generation_alone_for_a_day(
    rebuild: Rebuild, generations: FakeGenerations, clock: FixedClock
) -> None:
    rebuild.begin()
    clock.advance(SETTLED)
    rebuild.finish()

    clock.advance(timedelta(hours=23))
    assert rebuild.clean(nightly=True)["previous"] == 1
    clock.advance(timedelta(hours=24))
    assert rebuild.clean(nightly=True)["dropping"] == [1]
    clock.advance(timedelta(hours=24))
    assert rebuild.clean(nightly=True)["dropping"] == []
    assert generations.items[1] == 0


@pytest.mark.parametrize("step", ["finish", "abandon", "revert"])
def test_there_is_nothing_to_end_before_a_beginning(rebuild: Rebuild, step: str) -> None:
    with pytest.raises(RebuildRefused):
        getattr(rebuild, step)()


def test_there_is_one_at_a_time_and_none_in_a_hurry(rebuild: Rebuild) -> None:
    rebuild.begin()

    with pytest.raises(RebuildRefused, match="already"):
        rebuild.begin()
    with pytest.raises(RebuildRefused, match="less than a minute"):
        rebuild.finish()


def test_of_two_operators_at_once_one_is_refused(rebuild: Rebuild, generations: FakeGenerations) -> None:
    def another_one() -> None:
        generations.before_write = lambda: None
        generations.now = Generations(live=1, building=2, last=2, version=1)

    generations.before_write = another_one

    with pytest.raises(RebuildRefused, match="same time"):
        rebuild.begin()
