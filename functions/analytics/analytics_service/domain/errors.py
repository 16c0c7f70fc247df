"""Why analytics refuses. Each type has a stable `code`."""

from collections.abc import Sequence
from typing import ClassVar


class AnalyticsError(Exception):
    """Base of every refusal of this service."""

    code: ClassVar[str] = "refused"


class InvalidPeriod(AnalyticsError):
    """The days asked for make no period this can be answered for. `errors`: the parameter and why."""

    code = "invalid_period"

    def __init__(self, detail: str, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)


class PeriodTooBusy(AnalyticsError):
    """More was lent in the period than one answer may read through."""

    code = "period_too_busy"

    def __init__(self) -> None:
        super().__init__("Too much happened in this period to rank it in one answer. Ask for fewer days.")


class NotUnderstood(ValueError):
    """An event that no number of tries will make sense of. Says which fields are wrong, never what they hold."""


class RebuildRefused(AnalyticsError):
    """The rebuild is not in a state in which that can be done."""

    code = "rebuild_refused"
