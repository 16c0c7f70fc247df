"""The roles of accounts, and who may register which.

An account is read with its role as stored, as text: a newer version of the service may have stored a role that this
version does not know. Such a role is in none of the sets below, so it gives no rights.
"""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Members differ only in lending policy; staff may act for others."""

    STUDENT = "student"
    FACULTY = "faculty"
    PATRON = "patron"
    LIBRARIAN = "librarian"
    ADMIN = "admin"


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
        """Students and patrons register themselves; staff register faculty and librarians, administrators admins."""
        if role in OPEN_TO_ANYBODY:
            return True
        return self.is_admin if role is Role.ADMIN else self.is_staff
