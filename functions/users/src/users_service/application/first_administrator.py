"""The first administrator of a library: an account for an address that whoever deploys it names.

Nobody sets a password for it: a code goes to the address, and whoever reads it there sets one.

An address is ensured once. What became of its account since (another address, another role, nothing at all) is the
library's own affair: a later deployment, or the rollback of one, that names the address again changes none of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from library_common.clock import Clock
from library_common.ids import new_id
from users_service.application.code_requests import AskForCode
from users_service.application.ports import Deployments, EmailKey, Members
from users_service.application.telling import envelopes
from users_service.domain.codes import Purpose
from users_service.domain.decisions import registered
from users_service.domain.errors import EmailTaken
from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.roles import Role


class AddressOfAnother(Exception):
    """The address belongs to an account that is no administrator's, and did not become a first administrator's before.

    It is not made one: whoever registered it first, and knows its password, would own the library.
    """

    def __init__(self) -> None:
        super().__init__(
            "The address in AdminEmail belongs to an account that is not an administrator's. Name another address, "
            "or have an administrator promote the account."
        )


@dataclass(frozen=True)
class EnsureFirstAdministrator:
    """The use case. `ids` makes the id of a new account."""

    members: Members
    deployments: Deployments
    ask: AskForCode
    email_key: EmailKey
    clock: Clock
    ids: Callable[[], str] = new_id

    def __call__(self, email: str) -> None:
        """Doing it again changes nothing; the code is sent again as long as an administrator has the address and
        no password was set.

        The account comes first, then that it was ensured, then the code: whatever it ends in between, doing it again
        finishes what is missing. Raises AddressOfAnother; ValueError for what is no address.
        """
        key = self.email_key(email)
        ensured = self.deployments.has_ensured(key)
        if not ensured and self.members.holder_of(key) is None:
            self._add(email, key)
        administrator = self._administrator(key)
        if not ensured:
            if administrator is None:
                raise AddressOfAnother
            self.deployments.mark_ensured(key, self.clock.now())
        if administrator is not None and self.members.password_hash(administrator.id) is None:
            self.ask.put(Purpose.PASSWORD_RESET, key)

    def _administrator(self, key: str) -> Member | None:
        """Whoever has the address, if it is an administrator."""
        user_id = self.members.holder_of(key)
        member = self.members.get(user_id) if user_id is not None else None
        return member if member is not None and member.role is Role.ADMIN else None

    def _add(self, email: str, key: str) -> None:
        now = self.clock.now().replace(microsecond=0)
        change = registered(
            Member(
                id=self.ids(),
                name="Administrator",
                email=email,
                email_key=key,
                role=Role.ADMIN,
                stored_status=Status.ACTIVE,
                created_at=now,
            )
        )
        told = envelopes(change.happened, now)
        try:
            self.members.add(change.member, password_hash=None, happened=told, ticket=None, answer="", now=now)
        except EmailTaken:
            return  # by the same deployment, asked twice, or by somebody registering: what it is now is looked at next
