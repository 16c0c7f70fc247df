"""The refusals of analytics. Each has a stable `code`."""

from collections.abc import Sequence


class InvalidPeriod(Exception):
    """The period is not valid. `errors`: the parameter and why."""

    code = "invalid_period"

    def __init__(self, detail: str, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)


class PeriodTooBusy(Exception):
    """The period has more counters than one answer may read."""

    code = "period_too_busy"

    def __init__(self) -> None:
        super().__init__("Too many titles were lent in this period for one answer. Ask for fewer days.")


class MemberNotFound(Exception):
    """The member's id is not valid."""

    code = "member_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such member.")
