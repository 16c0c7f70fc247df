"""Identifiers, fresh and derived, and the moments that stand beside them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library_common.clock import SystemClock, from_rfc3339, is_rfc3339, to_rfc3339
from library_common.ids import dated_id, derived_id, is_id, new_id, smallest_id_at
from tests.support.clock import NOON

pytestmark = pytest.mark.unit

ASCII = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E))


def test_fresh_ids_are_well_formed_and_distinct() -> None:
    ids = [new_id() for _ in range(1000)]

    assert len(set(ids)) == 1000
    assert all(is_id(one) for one in ids)


@given(st.lists(ASCII, min_size=1))
def test_a_derived_id_is_well_formed_and_the_same_every_time(parts: list[str]) -> None:
    assert is_id(derived_id(*parts))
    assert derived_id(*parts) == derived_id(*parts)


@given(st.lists(ASCII, min_size=1), st.lists(ASCII, min_size=1))
def test_different_parts_give_different_ids(one: list[str], other: list[str]) -> None:
    assert (derived_id(*one) == derived_id(*other)) == (one == other)


def test_a_derived_id_never_changes_between_releases() -> None:
    # Were it to change, a repeat across a deployment would lend twice.
    assert derived_id("loan", "user:U\x1fkey") == "0BX79QGCARN9B6VAJQCYGHSB5W"


@given(
    st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
    st.integers(1, 10**6),
    st.lists(ASCII, min_size=1),
)
def test_dated_ids_begin_at_the_least_of_their_moment(moment: datetime, earlier: int, parts: list[str]) -> None:
    least = smallest_id_at(moment)

    assert is_id(least)
    assert least <= dated_id(moment, *parts)
    if moment - timedelta(milliseconds=earlier) >= datetime(1970, 1, 1, tzinfo=UTC):
        assert dated_id(moment - timedelta(milliseconds=earlier), *parts) < least


def test_before_there_were_dates_is_the_beginning() -> None:
    assert smallest_id_at(datetime(1, 1, 1, tzinfo=UTC)) == smallest_id_at(datetime(1970, 1, 1, tzinfo=UTC)) == "0" * 26
    assert is_id(smallest_id_at(datetime.max.replace(tzinfo=UTC)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 25,
        "0" * 27,
        "8" + "0" * 25,
        "0" * 25 + "I",
        "0" * 25 + "L",
        "0" * 25 + "O",
        "0" * 25 + "U",
        "01arz3ndektsv4rrffq69g5fav",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV\n",
        "\u0660" * 26,
    ],
)
def test_what_is_no_id(text: str) -> None:
    assert not is_id(text)


# -- moments --------------------------------------------------------------------------------------


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.timezones()))  # noqa: DTZ001 - bounds
def test_moments_come_back_to_the_second(moment: datetime) -> None:
    written = to_rfc3339(moment)

    assert timedelta() <= moment.astimezone(UTC) - from_rfc3339(written) < timedelta(seconds=1)
    assert is_rfc3339(written)


def test_moments_are_written_in_utc_in_whole_seconds() -> None:
    nairobi = timezone(timedelta(hours=3))

    assert to_rfc3339(NOON.astimezone(nairobi).replace(microsecond=999_999)) == "2026-11-21T12:00:00Z"
    assert from_rfc3339("2026-11-21T15:00:00+03:00") == NOON


@pytest.mark.parametrize("text", ["2026-11-21T12:00:00", "2026-11-21", "", "now", "2026-13-01T00:00:00Z"])
def test_a_moment_needs_a_zone_and_a_calendar(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        from_rfc3339(text)
    assert not is_rfc3339(text)


@pytest.mark.parametrize("text", ["2026-11-21T15:00:00+03:00", "2026-11-21T12:00:00.5Z", "0001-01-01T00:00:00+14:00"])
def test_only_the_way_we_write_a_moment_is_ours(text: str) -> None:
    assert not is_rfc3339(text)


def test_the_machines_clock_knows_its_zone() -> None:
    assert SystemClock().now().utcoffset() == timedelta()
