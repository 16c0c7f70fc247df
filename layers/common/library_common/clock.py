"""The wall clock as a dependency. Nothing else in the system reads it."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Returns the current time as an aware UTC datetime."""

    def now(self) -> datetime: ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def to_rfc3339(moment: datetime) -> str:
    """`2026-11-21T20:32:51Z`: UTC and whole seconds, as in the API and in events."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def from_rfc3339(text: str) -> datetime:
    """The inverse of `to_rfc3339`. Raises ValueError for text without a time zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"the timestamp has no time zone: {text!r}")
    return moment.astimezone(UTC)


def is_rfc3339(text: str) -> bool:
    """Whether `text` is exactly what `to_rfc3339` writes."""
    try:
        return to_rfc3339(from_rfc3339(text)) == text
    except (ValueError, OverflowError):
        return False
