"""What is wrong with a refused field, said so that it can be read after the field's name: pydantic's commonest
findings in sentences of our own, the others as pydantic says them.
"""

from collections.abc import Mapping
from typing import Any

MAX_MESSAGE_LENGTH = 300
"""Characters of a sentence of pydantic's; ours hold nothing of the client's making and are as long as they are."""

_DAY = "must be a day like 2026-11-21"
_MOMENT = "must be a moment like 2026-11-21T12:00:00Z"
_WHOLE = "must be a whole number"
_NUMBER = "must be a number"
_BOOLEAN = "must be true or false"
_OBJECT = "must be an object"

_SENTENCES = {
    "missing": "is needed",
    "extra_forbidden": "is not known here",
    "string_type": "must be text",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "list_type": "must be a list",
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "date_type": _DAY,
    "date_parsing": _DAY,
    "date_from_datetime_parsing": _DAY,
    "date_from_datetime_inexact": _DAY,
    "datetime_type": _MOMENT,
    "datetime_parsing": _MOMENT,
    "datetime_from_date_parsing": _MOMENT,
    "timezone_aware": "needs a time zone, like Z",
}

# What stands in braces is the declaration's, never the client's.
_WITH_BOUNDS = {
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "string_pattern_mismatch": "is not written as it has to be, which is {pattern}",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
}


def field_message(error: Mapping[str, Any]) -> str:
    """The sentence for one of pydantic's errors. It repeats nothing of what was sent."""
    kind, bounds = str(error["type"]), error.get("ctx") or {}
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    if kind in _WITH_BOUNDS:
        return _WITH_BOUNDS[kind].format_map(bounds)
    if kind.endswith(("too_short", "too_long")) and bounds.keys() & {"min_length", "max_length"}:
        return _length(kind, bounds, error.get("input"))
    return str(error["msg"]).removeprefix("Value error, ")[:MAX_MESSAGE_LENGTH]


def _length(kind: str, bounds: Mapping[str, Any], given: object) -> str:
    short = kind.endswith("too_short")
    bound = bounds["min_length" if short else "max_length"]
    if short and bound == 1:
        return "must not be empty"
    # Text that was cleaned first is counted as if it were a list.
    of = "character" if isinstance(given, str) else "item"
    return f"must have at {'least' if short else 'most'} {bound} {of}{'' if bound == 1 else 's'}"
