"""What is fetched from elsewhere: asked for rarely, and good a while longer than its source."""

import pytest

from library_common.ttl_cache import TtlCache
from tests.support.clock import FixedClock

pytestmark = pytest.mark.unit

SECONDS, GRACE = 60.0, 600.0


class Source:
    """Counts how often it is asked; `down`: raises."""

    def __init__(self) -> None:
        self.asked = 0
        self.down = False
        self.value = "first"

    def __call__(self) -> str:
        self.asked += 1
        if self.down:
            raise ConnectionError("down")
        return self.value


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def remembered(source: Source, clock: FixedClock) -> TtlCache[str]:
    return TtlCache(source, seconds=SECONDS, grace=GRACE, monotonic=clock.monotonic)


def test_nothing_is_fetched_before_it_is_needed(source: Source, remembered: TtlCache[str]) -> None:
    assert source.asked == 0
    assert remembered.get() == "first"
    assert source.asked == 1


def test_a_value_is_fetched_once_until_it_is_too_old(
    source: Source, clock: FixedClock, remembered: TtlCache[str]
) -> None:
    remembered.get()
    source.value = "second"

    clock.sleep(SECONDS - 1)
    assert remembered.get() == "first"
    clock.sleep(1)
    assert remembered.get() == "second"
    assert source.asked == 2


def test_a_falsy_value_is_remembered_too(source: Source, remembered: TtlCache[str]) -> None:
    source.value = ""

    assert [remembered.get(), remembered.get()] == ["", ""]
    assert source.asked == 1


def test_the_last_good_value_serves_on_while_the_source_is_down(
    source: Source, clock: FixedClock, remembered: TtlCache[str]
) -> None:
    remembered.get()
    source.down = True

    clock.sleep(SECONDS + GRACE)

    assert remembered.get() == "first"


def test_after_the_grace_the_failure_shows(source: Source, clock: FixedClock, remembered: TtlCache[str]) -> None:
    remembered.get()
    source.down = True
    clock.sleep(SECONDS + GRACE + 1)

    with pytest.raises(ConnectionError):
        remembered.get()


def test_a_source_that_never_answered_fails_and_is_asked_again(source: Source, remembered: TtlCache[str]) -> None:
    source.down = True
    for _ in range(2):
        with pytest.raises(ConnectionError):
            remembered.get()
    source.down = False

    assert remembered.get() == "first"


def test_a_source_that_is_down_is_not_asked_by_every_request(
    source: Source, clock: FixedClock, remembered: TtlCache[str]
) -> None:
    remembered.get()
    source.down = True
    clock.sleep(SECONDS)

    for _ in range(100):
        remembered.get()
        clock.sleep(0.1)

    assert source.asked == 2


def test_a_source_that_is_back_is_noticed_soon(source: Source, clock: FixedClock, remembered: TtlCache[str]) -> None:
    remembered.get()
    source.down = True
    clock.sleep(SECONDS)
    remembered.get()
    source.down, source.value = False, "second"

    clock.sleep(15)

    assert remembered.get() == "second"


def test_waiting_for_the_next_try_never_outlives_the_grace(source: Source, clock: FixedClock) -> None:
    remembered = TtlCache(source, seconds=5.0, grace=0.0, monotonic=clock.monotonic)
    remembered.get()
    source.down = True
    clock.sleep(5)
    assert remembered.get() == "first"

    clock.sleep(5)

    with pytest.raises(ConnectionError):
        remembered.get()


# -- asking anew ----------------------------------------------------------------------------------


def test_whoever_has_reason_to_gets_the_value_of_now(source: Source, remembered: TtlCache[str]) -> None:
    remembered.get()
    source.value = "second"

    assert remembered.get() == "first"
    assert remembered.get_fresh(pause=10.0) == "second"
    assert remembered.get() == "second"


def test_asking_anew_as_often_as_one_likes_asks_the_source_now_and_then(
    source: Source, clock: FixedClock, remembered: TtlCache[str]
) -> None:
    remembered.get()
    for _ in range(100):
        remembered.get_fresh(pause=10.0)
        clock.sleep(0.3)

    assert source.asked == 1 + 3, "thirty seconds"


def test_a_value_fetched_anew_is_good_for_as_long_as_any(
    source: Source, clock: FixedClock, remembered: TtlCache[str]
) -> None:
    remembered.get()
    clock.sleep(SECONDS - 1)
    remembered.get_fresh(pause=10.0)

    clock.sleep(SECONDS - 1)
    remembered.get()

    assert source.asked == 2


def test_asking_anew_while_the_source_is_down_leaves_the_last_good_value(
    source: Source, clock: FixedClock, remembered: TtlCache[str]
) -> None:
    remembered.get()
    source.down = True

    assert remembered.get_fresh(pause=10.0) == "first"
    clock.sleep(SECONDS + GRACE + 1)
    with pytest.raises(ConnectionError):
        remembered.get_fresh(pause=10.0)


def test_the_first_value_may_be_asked_for_anew(source: Source, remembered: TtlCache[str]) -> None:
    assert remembered.get_fresh(pause=10.0) == "first"
    assert source.asked == 1
