"""Environment of the loans functions."""

from typing import Annotated

from pydantic import Field

from library_common.settings import CallerSettings


class LoansSettings(CallerSettings):
    """Parameters and secrets are named here and read when first needed.

    loan_history_days: how long closed loans name their members.
    """

    loan_policy_parameter: str = ""
    library_time_zone: str = "UTC"
    recovery_queue_url: str = ""
    recovery_delay_seconds: int = 45
    loan_history_days: Annotated[int, Field(ge=1, le=3650)] = 180
