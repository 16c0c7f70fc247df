"""`TtlCache`: its source is asked rarely, and its value outlives a source that is down."""

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
def cache(source: Source, clock: FixedClock) -> TtlCache[str]:
    return TtlCache(source, seconds=SECONDS, grace=GRACE, monotonic=clock.monotonic)


def test_nothing_is_fetched_before_it_is_needed(source: Source, cache: TtlCache[str]) -> None:
    assert source.asked == 0
    assert cache.get() == "first"
    assert source.asked == 1


def test_a_value_is_fetched_once_until_it_is_too_old(source: Source, clock: FixedClock, cache: TtlCache[str]) -> None:
    cache.get()
    source.value = "second"

    clock.sleep(SECONDS - 1)
    assert cache.get() == "first"
    clock.sleep(1)
    assert cache.get() == "second"
    assert source.asked == 2


def test_a_falsy_value_is_cached_too(source: Source, cache: TtlCache[str]) -> None:
    source.value = ""

    assert [cache.get(), cache.get()] == ["", ""]
    assert source.asked == 1


def test_the_last_good_value_serves_on_while_the_source_is_down(
    source: Source, clock: FixedClock, cache: TtlCache[str]
) -> None:
    cache.get()
    source.down = True

    clock.sleep(SECONDS + GRACE)

    assert cache.get() == "first"


def test_after_the_grace_the_failure_shows(source: Source, clock: FixedClock, cache: TtlCache[str]) -> None:
    cache.get()
    source.down = True
    clock.sleep(SECONDS + GRACE + 1)

    with pytest.raises(ConnectionError):
        cache.get()


def test_a_source_that_never_answered_fails_and_is_asked_again(source: Source, cache: TtlCache[str]) -> None:
    source.down = True
    for _ in range(2):
        with pytest.raises(ConnectionError):
            cache.get()
    source.down = False

    assert cache.get() == "first"


def test_a_source_that_is_down_is_not_asked_by_every_request(
    source: Source, clock: FixedClock, cache: TtlCache[str]
) -> None:
    cache.get()
    source.down = True
    clock.sleep(SECONDS)

    for _ in range(100):
        cache.get()
        clock.sleep(0.1)

    assert source.asked == 2


def test_a_source_that_is_back_is_noticed_soon(source: Source, clock: FixedClock, cache: TtlCache[str]) -> None:
    cache.get()
    source.down = True
    clock.sleep(SECONDS)
    cache.get()
    source.down, source.value = False, "second"

    clock.sleep(15)

    assert cache.get() == "second"


def test_waiting_for_the_next_try_never_outlives_the_grace(source: Source, clock: FixedClock) -> None:
    cache = TtlCache(source, seconds=5.0, grace=0.0, monotonic=clock.monotonic)
    cache.get()
    source.down = True
    clock.sleep(5)
    assert cache.get() == "first"

    clock.sleep(5)

    with pytest.raises(ConnectionError):
        cache.get()


# -- asking anew ----------------------------------------------------------------------------------


def test_get_fresh_asks_the_source_at_once(source: Source, cache: TtlCache[str]) -> None:
    cache.get()
    source.value = "second"

    assert cache.get() == "first"
    assert cache.get_fresh(pause=10.0) == "second"
    assert cache.get() == "second"


def test_asking_anew_as_often_as_one_likes_asks_the_source_now_and_then(
    source: Source, clock: FixedClock, cache: TtlCache[str]
) -> None:
    cache.get()
    for _ in range(100):
        cache.get_fresh(pause=10.0)
        clock.sleep(0.3)

    assert source.asked == 1 + 3, "thirty seconds"


def test_a_value_fetched_anew_is_good_for_as_long_as_any(
    source: Source, clock: FixedClock, cache: TtlCache[str]
) -> None:
    cache.get()
    clock.sleep(SECONDS - 1)
    cache.get_fresh(pause=10.0)

    clock.sleep(SECONDS - 1)
    cache.get()

    assert source.asked == 2


def test_asking_anew_while_the_source_is_down_leaves_the_last_good_value(
    source: Source, clock: FixedClock, cache: TtlCache[str]
) -> None:
    cache.get()
    source.down = True

    assert cache.get_fresh(pause=10.0) == "first"
    clock.sleep(SECONDS + GRACE + 1)
    with pytest.raises(ConnectionError):
        cache.get_fresh(pause=10.0)


def test_the_first_value_may_be_asked_for_anew(source: Source, cache: TtlCache[str]) -> None:
    assert cache.get_fresh(pause=10.0) == "first"
    assert source.asked == 1
