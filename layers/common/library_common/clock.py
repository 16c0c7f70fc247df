"""Time as a dependency: nothing else in the system reads the wall clock."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Answers the current moment as an aware UTC datetime."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def to_rfc3339(moment: datetime) -> str:
    """`2026-11-21T20:32:51Z`: UTC, whole seconds, as the API and the events write it."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def from_rfc3339(text: str) -> datetime:
    """The inverse of `to_rfc3339`. Raises ValueError for anything without a zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a timestamp needs a zone: {text!r}")
    return moment.astimezone(UTC)


def is_rfc3339(text: str) -> bool:
    """Whether `from_rfc3339` reads it and `to_rfc3339` writes it the same way."""
    try:
        return to_rfc3339(from_rfc3339(text)) == text
    except (ValueError, OverflowError):
        return False
