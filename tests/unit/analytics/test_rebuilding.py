"""What an operator does to rebuild the statistics, in which order, and what is refused."""

from datetime import timedelta

import pytest

from analytics_service.application.ports import Generations
from analytics_service.application.rebuilding import SETTLED, Rebuilding, RebuildRefused
from tests.fakes.analytics import FakeGenerations
from tests.support.clock import FixedClock

pytestmark = pytest.mark.unit


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def generations() -> FakeGenerations:
    return FakeGenerations(items={1: 25, 2: 5})


@pytest.fixture
def rebuilding(generations: FakeGenerations, clock: FixedClock) -> Rebuilding:
    return Rebuilding(generations, clock, lambda: 60.0)


def test_the_old_generation_goes_once_nobody_writes_to_it(
    rebuilding: Rebuilding, generations: FakeGenerations, clock: FixedClock
) -> None:
    begun = rebuilding.begin()
    assert (begun["live"], begun["building"]) == (1, 2)
    assert begun["replay_until_at_least"] == "2026-11-21T12:01:00Z"

    clock.advance(SETTLED)
    assert rebuilding.finish()["live"] == 2
    assert rebuilding.clean()["deleted"] == 0
    assert generations.items[1] == 25

    clock.advance(SETTLED)
    assert rebuilding.clean() | {"changed_at": None} == {
        "live": 2,
        "building": None,
        "dropping": [],
        "changed_at": None,
        "replay_until_at_least": None,
        "deleted": 25,
    }
    assert generations.items == {1: 0, 2: 5}


def test_an_abandoned_generation_is_deleted_and_its_number_never_used_again(
    rebuilding: Rebuilding, generations: FakeGenerations, clock: FixedClock
) -> None:
    rebuilding.begin()
    assert rebuilding.abandon() | {"changed_at": None} == {
        "live": 1,
        "building": None,
        "dropping": [2],
        "changed_at": None,
        "replay_until_at_least": None,
    }
    assert rebuilding.begin()["building"] == 3

    clock.advance(timedelta(minutes=2))
    rebuilding.clean()
    assert generations.items == {1: 25, 2: 0}


def test_deleting_goes_on_where_it_got_to(generations: FakeGenerations, clock: FixedClock) -> None:
    generations.now = Generations(live=2, last=2, dropping=(1,))
    turns = iter([60.0, 60.0, 0.0])

    assert Rebuilding(generations, clock, lambda: next(turns)).clean()["deleted"] == 20
    assert generations.now.position is not None

    assert Rebuilding(generations, clock, lambda: 60.0).clean()["deleted"] == 5
    assert generations.now.dropping == ()


@pytest.mark.parametrize("step", ["finish", "abandon"])
def test_there_is_nothing_to_end_before_a_beginning(rebuilding: Rebuilding, step: str) -> None:
    with pytest.raises(RebuildRefused):
        getattr(rebuilding, step)()


def test_there_is_one_at_a_time_and_none_in_a_hurry(rebuilding: Rebuilding) -> None:
    rebuilding.begin()

    with pytest.raises(RebuildRefused, match="already"):
        rebuilding.begin()
    with pytest.raises(RebuildRefused, match="less than a minute"):
        rebuilding.finish()


def test_of_two_operators_at_once_one_is_refused(rebuilding: Rebuilding, generations: FakeGenerations) -> None:
    def another_one() -> None:
        generations.before_write = lambda: None
        generations.now = Generations(live=1, building=2, last=2, version=1)

    generations.before_write = another_one

    with pytest.raises(RebuildRefused, match="same time"):
        rebuilding.begin()
