"""Messages for refused fields, to be read after the field's name. Common errors of pydantic have a message here;
others keep pydantic's own.
"""

from collections.abc import Mapping
from typing import Any

MAX_MESSAGE_LENGTH = 300
"""Longest message of pydantic's that is passed on, in characters."""

_DATE = "must be a date like 2026-11-21"
_TIMESTAMP = "must be a timestamp like 2026-11-21T12:00:00Z"
_WHOLE = "must be a whole number"
_NUMBER = "must be a number"
_BOOLEAN = "must be true or false"
_OBJECT = "must be an object"

_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "string_type": "must be a string",
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
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "datetime_type": _TIMESTAMP,
    "datetime_parsing": _TIMESTAMP,
    "datetime_from_date_parsing": _TIMESTAMP,
    "timezone_aware": "must have a time zone, such as Z",
}

# The values in braces come from the declaration of the field, never from the client.
_WITH_BOUNDS = {
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be greater than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
}


def field_message(error: Mapping[str, Any]) -> str:
    """The message for one of pydantic's errors. It does not repeat what the client sent."""
    kind, bounds = str(error["type"]), error.get("ctx") or {}
    if kind in _MESSAGES:
        return _MESSAGES[kind]
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
    # Pydantic counts text that a validator cleaned as if it were a list.
    of = "character" if isinstance(given, str) else "item"
    return f"must have at {'least' if short else 'most'} {bound} {of}{'' if bound == 1 else 's'}"
