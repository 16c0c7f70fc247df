"""Who asks for a change, and whether they are still staff while it is written."""

from dataclasses import dataclass
from datetime import datetime

from library_common.access import Caller
from users_service.application.ports import Members
from users_service.domain.account_changes import needs_staff_recheck, require_still_staff
from users_service.domain.model import Member
from users_service.domain.roles import Actor, Role


def actor_of(caller: Caller) -> Actor:
    """The caller as the rules know them. Services and people without a token have neither id nor role."""
    if caller.kind != "person" or caller.role is None:
        return Actor()
    return Actor(id=caller.id, role=Role(caller.role.value))


@dataclass(frozen=True)
class StaffRecheck:
    """Reads the acting staff account; the change is then written only if that account is still as it was read.

    So if two administrators demote each other at the same time, one of them fails, and one administrator is left.
    """

    members: Members

    def __call__(self, before: Member | None, after: Member, by: Actor, now: datetime) -> Member | None:
        """The acting account if the change needs the check, else None. Raises NoLongerAllowed."""
        if not needs_staff_recheck(before, after, by):
            return None
        account = self.members.get(by.id) if by.id is not None else None
        require_still_staff(by, account, now)
        return account
