"""Who may act for the library at this very moment, not when their token was made."""

from dataclasses import dataclass
from datetime import datetime

from users_service.application.ports import Members
from users_service.domain.decisions import require_still_staff, takes_a_voucher
from users_service.domain.model import Member
from users_service.domain.roles import Actor


@dataclass(frozen=True)
class Vouching:
    """Finds the account that answers for a change; the write then holds only while that account stays as it is.

    So of two administrators who demote each other at the same moment one succeeds, and the last one cannot vanish.
    """

    members: Members

    def voucher(self, before: Member | None, after: Member, by: Actor, now: datetime) -> Member | None:
        """The acting account where the change takes one, else None. Raises NoLongerAllowed."""
        if not takes_a_voucher(before, after, by):
            return None
        account = self.members.get(by.id) if by.id is not None else None
        require_still_staff(by, account, now)
        return account
