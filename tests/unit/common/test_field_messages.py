"""What is wrong with a field, in words for whoever filled it in."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from library_common.field_messages import MAX_MESSAGE_LENGTH, field_message
from library_common.text import Line

pytestmark = pytest.mark.unit

_made: Any = StrEnum
KINDS = _made("Kinds", [(f"K{number}", f"quite-a-long-kind-{number}") for number in range(40)])


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str


@pytest.mark.parametrize(
    ("declared", "given", "sentence"),
    [
        (Inner, {}, "is required"),
        (Inner, {"name": "a", "colour": "red"}, "is not a known field"),
        (Inner, "red", "must be an object"),
        (dict[str, int], [], "must be an object"),
        (list[int], "a", "must be a list"),
        (str, 7, "must be a string"),
        (Annotated[str, Field(pattern="^[0-9]{4}$")], "x", "must match the pattern ^[0-9]{4}$"),
        (Annotated[str, Field(min_length=1)], "", "must not be empty"),
        (Annotated[Line, Field(min_length=1)], " ", "must not be empty"),
        (Annotated[Line, Field(min_length=3)], "ab", "must have at least 3 characters"),
        (Annotated[str, Field(max_length=3)], "abcd", "must have at most 3 characters"),
        (Annotated[list[int], Field(max_length=1)], [1, 2], "must have at most 1 item"),
        (int, "seven", "must be a whole number"),
        (int, 1.5, "must be a whole number"),
        (Decimal, "seven", "must be a number"),
        (bool, "perhaps", "must be true or false"),
        (Annotated[int, Field(ge=1)], 0, "must be at least 1"),
        (Annotated[int, Field(le=100)], 101, "must be at most 100"),
        (Literal["x", "y"], "z", "must be one of 'x' or 'y'"),
        (date, "tomorrow", "must be a date like 2026-11-21"),
        (date, "2026-11-21T12:00:00Z", "must be a date like 2026-11-21"),
        (datetime, "soon", "must be a timestamp like 2026-11-21T12:00:00Z"),
        (AwareDatetime, "2026-11-21T12:00:00", "must have a time zone, such as Z"),
    ],
)
def test_the_commonest_mistakes(declared: Any, given: Any, sentence: str) -> None:
    assert told(declared, given) == sentence


def test_all_there_is_to_choose_from_is_named() -> None:
    sentence = told(KINDS, "none")

    assert all(f"'{kind.value}'" in sentence for kind in KINDS)
    assert "none" not in sentence


def test_the_rules_of_the_library_s_own_speak_for_themselves() -> None:
    assert told(Line, "a\x00") == "must not contain control characters"
    assert len(field_message({"type": "value_error", "msg": "x" * 1000})) == MAX_MESSAGE_LENGTH


def told(declared: Any, given: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(declared).validate_python(given)
    (error,) = refused.value.errors()
    return field_message(dict(error))
