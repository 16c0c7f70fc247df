"""Who a member can be, and who may make them that."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Members differ only in lending policy; staff may act for others."""

    STUDENT = "student"
    FACULTY = "faculty"
    PATRON = "patron"
    LIBRARIAN = "librarian"
    ADMIN = "admin"

    @property
    def is_staff(self) -> bool:
        return self in STAFF


STAFF = frozenset({Role.LIBRARIAN, Role.ADMIN})
OPEN_TO_ANYBODY = frozenset({Role.STUDENT, Role.PATRON})


@dataclass(frozen=True)
class Actor:
    """Who asks for a change. Both None for somebody without a token."""

    id: str | None = None
    role: Role | None = None

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    @property
    def is_staff(self) -> bool:
        return self.role in STAFF

    def may_register(self, role: Role) -> bool:
        """Students and patrons register themselves; staff vouch for faculty and librarians, admins for admins."""
        if role in OPEN_TO_ANYBODY:
            return True
        if role is Role.ADMIN:
            return self.is_admin
        return self.is_staff
