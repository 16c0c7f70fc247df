"""The lifecycle of a membership: pending → active → expired or suspended → active, and how long it lasts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum

from users_service.domain.roles import STAFF


class Status(StrEnum):
    """Only active members borrow."""

    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    EXPIRED = "expired"


STEPS: Mapping[str, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.ACTIVE}),
    Status.ACTIVE: frozenset({Status.SUSPENDED, Status.EXPIRED}),
    Status.SUSPENDED: frozenset({Status.ACTIVE}),
    Status.EXPIRED: frozenset({Status.ACTIVE}),
}


@dataclass(frozen=True)
class Terms:
    """What a new membership is like.

    starts_as: the status of those who register themselves; accounts that staff register are active at once.
    days: how many days a membership lasts.
    """

    starts_as: Status
    days: int

    def start(self, *, by_staff: bool) -> Status:
        """The first status. by_staff: whether staff registered the account."""
        return Status.ACTIVE if by_staff else self.starts_as

    def end_for(self, role: str, now: datetime) -> datetime | None:
        """The last second of a membership that begins `now`; None for staff, whose accounts do not end."""
        if role in STAFF:
            return None
        last_day = now.astimezone(UTC).date() + timedelta(days=self.days)
        return datetime.combine(last_day, time(23, 59, 59), tzinfo=UTC)


def effective_status(
    stored: str, *, suspended_until: datetime | None, expires_at: datetime | None, now: datetime
) -> str:
    """The status at `now`: suspensions and memberships end on time, before anybody writes it down.

    A status that this version does not know stays as it is.
    """
    status = stored
    if status == Status.SUSPENDED and suspended_until is not None and suspended_until <= now:
        status = Status.ACTIVE
    if status == Status.ACTIVE and expires_at is not None and expires_at <= now:
        status = Status.EXPIRED
    return status
