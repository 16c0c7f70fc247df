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


class MemberNotFound(AnalyticsError):
    """What was given as a member's id cannot be one."""

    code = "member_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such member.")
