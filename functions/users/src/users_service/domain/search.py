"""Searching members by the beginning of the name, by role and by status."""

from dataclasses import dataclass
from datetime import datetime

from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.roles import Role


@dataclass(frozen=True)
class Filters:
    """Which members to find; None does not restrict. name_prefix: as `sort_name` writes names."""

    name_prefix: str | None = None
    role: Role | None = None
    status: Status | None = None

    def accept(self, member: Member, sort_name: str, now: datetime) -> bool:
        """Whether a member, sorted under `sort_name`, matches."""
        return (
            (self.name_prefix is None or sort_name.startswith(self.name_prefix))
            and (self.role is None or member.role == self.role)
            and (self.status is None or member.status(now) == self.status)
        )


@dataclass(frozen=True)
class Position:
    """Where a list goes on: after this member. Members of the same name are in order of their ids."""

    sort_name: str
    user_id: str
