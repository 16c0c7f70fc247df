"""Environment of the loans functions."""

from typing import Annotated

from pydantic import Field

from library_common.settings import CallerSettings
from loans_service.domain.loan import LEASE


class LoansSettings(CallerSettings):
    """Parameters and secrets are named here and read when first needed.

    loan_history_days: how long closed loans name their members. checkout_lease_seconds: how long a process owns a
    checkout. recovery_pause_seconds: the pause after a first failed recovery.
    """

    loan_policy_parameter: str = ""
    library_time_zone: str = "UTC"
    recovery_queue_url: str = ""
    recovery_delay_seconds: int = 45
    recovery_pause_seconds: Annotated[int, Field(ge=1, le=900)] = 30
    checkout_lease_seconds: Annotated[int, Field(ge=1)] = int(LEASE.total_seconds())
    loan_history_days: Annotated[int, Field(ge=1, le=3650)] = 180
