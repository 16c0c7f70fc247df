"""Cursors: good for the query they were made for, and worthless for any other."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library_common.paging import Cursors
from library_common.problems import InvalidRequest

pytestmark = pytest.mark.unit

CURSORS = Cursors({"loans_of": "U", "status": None})
POSITIONS = st.dictionaries(st.text(), st.text() | st.integers() | st.none())


def written(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def content_of(cursor: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))


def assert_refused(cursors: Cursors, cursor: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        cursors.decode(cursor)
    assert [error.field for error in refused.value.errors] == ["cursor"]


@given(POSITIONS)
def test_a_position_comes_back_as_it_went(position: dict[str, Any]) -> None:
    cursor = CURSORS.encode(position)

    assert CURSORS.decode(cursor) == position


def test_no_cursor_is_the_beginning_and_no_position_the_end() -> None:
    assert CURSORS.decode(None) is None
    assert CURSORS.encode(None) is None


@given(POSITIONS)
def test_a_cursor_needs_no_escaping_in_a_query_string(position: dict[str, Any]) -> None:
    cursor = CURSORS.encode(position)

    assert cursor is not None
    assert all(c.isascii() and (c.isalnum() or c in "-_") for c in cursor)


@pytest.mark.parametrize(
    "other",
    [{}, {"loans_of": "V", "status": None}, {"loans_of": "U"}, {"loans_of": "U", "status": "active"}, {"a": "U"}],
)
def test_a_cursor_of_another_query_is_refused(other: dict[str, Any]) -> None:
    cursor = Cursors(other).encode({"id": "1"})
    assert cursor is not None

    assert_refused(CURSORS, cursor)


@pytest.mark.parametrize(
    "position",
    [None, [], "text", 7, {"id": 1.5}, {"id": []}, {"id": {}}, {"id": float("nan")}],
)
def test_a_position_that_is_none_is_refused_though_the_query_is_right(position: object) -> None:
    fingerprint, _ = content_of(CURSORS.encode({}) or "")

    assert_refused(CURSORS, written([fingerprint, position]))


@pytest.mark.parametrize(
    "content", [None, 7, "ab", [], ["a"], ["a", {}, "c"], {}, {"a": 1}, {"a": 1, "b": 2}, [None, {}], [[], {}]]
)
def test_any_other_content_is_refused(content: object) -> None:
    assert_refused(CURSORS, written(content))


@pytest.mark.parametrize("cursor", ["", "=", "====", "a", "é", "\ud800", "\x00", "W10", "Ww", "!!!!", "null"])
def test_garbage_is_refused(cursor: str) -> None:
    assert_refused(CURSORS, cursor)


def test_nesting_without_end_is_refused() -> None:
    depth = 100_000
    assert_refused(CURSORS, base64.urlsafe_b64encode(b"[" * depth + b"]" * depth).decode())


@given(POSITIONS, st.data())
def test_a_shortened_cursor_is_refused(position: dict[str, Any], data: st.DataObject) -> None:
    cursor = CURSORS.encode(position)
    assert cursor is not None

    assert_refused(CURSORS, cursor[: data.draw(st.integers(0, len(cursor) - 2))])


@given(st.text(st.characters(categories=None, exclude_categories=())))
def test_any_text_is_refused_and_nothing_worse(text: str) -> None:
    assert_refused(CURSORS, text)


@given(st.binary())
def test_any_bytes_are_refused_and_nothing_worse(raw: bytes) -> None:
    assert_refused(CURSORS, base64.urlsafe_b64encode(raw).decode())
