"""Finding members: by the beginning of a name, by role, by what their status reads as."""

from dataclasses import dataclass
from datetime import datetime

from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.roles import Role


@dataclass(frozen=True)
class Filters:
    """Which members are looked for; None does not restrict. name_prefix: as `sort_name` writes names."""

    name_prefix: str | None = None
    role: Role | None = None
    status: Status | None = None

    def accept(self, member: Member, sort_name: str, now: datetime) -> bool:
        """Whether a member, sorted under `sort_name`, is looked for."""
        return (
            (self.name_prefix is None or sort_name.startswith(self.name_prefix))
            and (self.role is None or member.role is self.role)
            and (self.status is None or member.status(now) is self.status)
        )


@dataclass(frozen=True)
class Place:
    """A place in the directory: just after this member. Members of the same name stand in order of their ids."""

    sort_name: str
    user_id: str
