"""The lifecycle of a membership: pending → active → expired or suspended → active, and how long it lasts."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum

from users_service.domain.roles import Role


class Status(StrEnum):
    """Only active members borrow."""

    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    EXPIRED = "expired"


STEPS: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.ACTIVE}),
    Status.ACTIVE: frozenset({Status.SUSPENDED, Status.EXPIRED}),
    Status.SUSPENDED: frozenset({Status.ACTIVE}),
    Status.EXPIRED: frozenset({Status.ACTIVE}),
}


@dataclass(frozen=True)
class Terms:
    """What a new membership is like.

    starts_as: the status of those who register themselves; whom staff register is active at once.
    days: how many days it lasts for those it ends for.
    """

    starts_as: Status
    days: int

    def start(self, *, vouched_for: bool) -> Status:
        """The first status. vouched_for: staff registered the account."""
        return Status.ACTIVE if vouched_for else self.starts_as

    def end_for(self, role: Role, now: datetime) -> datetime | None:
        """The last second of a membership that begins `now`; None for staff, whose account does not end."""
        if role.is_staff:
            return None
        last_day = now.astimezone(UTC).date() + timedelta(days=self.days)
        return datetime.combine(last_day, time(23, 59, 59), tzinfo=UTC)


def effective_status(
    stored: Status, *, suspended_until: datetime | None, expires_at: datetime | None, now: datetime
) -> Status:
    """The status as it reads at `now`: time ends suspensions and memberships without anybody writing it down."""
    status = stored
    if status is Status.SUSPENDED and suspended_until is not None and suspended_until <= now:
        status = Status.ACTIVE
    if status is Status.ACTIVE and expires_at is not None and expires_at <= now:
        status = Status.EXPIRED
    return status
