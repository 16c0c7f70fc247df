"""Moments as clients send them: RFC 3339 with a zone; in UTC and whole seconds once inside."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator


def _as_text(value: object) -> object:
    # Numbers, and digits alone in a string, would be taken for seconds since 1970.
    if not (isinstance(value, str) and ":" in value):
        raise ValueError("must be a timestamp like 2026-11-21T20:32:51Z")
    return value


def _whole_seconds(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC).replace(microsecond=0)
    except OverflowError as exc:
        raise ValueError("is beyond the calendar") from exc


type Timestamp = Annotated[AwareDatetime, BeforeValidator(_as_text), AfterValidator(_whole_seconds)]
"""A moment in a request body."""
