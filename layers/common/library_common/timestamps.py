"""The type for timestamps in requests: RFC 3339 with a time zone, converted to UTC and whole seconds."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator


def _as_text(value: object) -> object:
    # Pydantic would read a number, or a string of digits, as seconds since 1970.
    if not (isinstance(value, str) and ":" in value):
        raise ValueError("must be a timestamp like 2026-11-21T20:32:51Z")
    return value


def _whole_seconds(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC).replace(microsecond=0)
    except OverflowError as exc:
        raise ValueError("is out of range") from exc


type Timestamp = Annotated[AwareDatetime, BeforeValidator(_as_text), AfterValidator(_whole_seconds)]
"""A timestamp in a request body."""
