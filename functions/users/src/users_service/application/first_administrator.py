"""The first administrator of a library: an account for the e-mail address that the deployment names.

The account has no password: a code goes to the address, and whoever reads it there sets one.

This happens once for each address. If a later deployment, or its roll-back, names the address again, the account stays
as it is: it may have another address or role by now, or be erased.
"""

from collections.abc import Callable
from dataclasses import dataclass

from library_common.clock import Clock
from library_common.ids import new_id
from users_service.application.code_requests import AskForCode
from users_service.application.envelopes import envelopes
from users_service.application.ports import EmailKey, FirstAdministrators, Members
from users_service.domain.account_changes import registered
from users_service.domain.codes import Purpose
from users_service.domain.errors import EmailTaken
from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.roles import Role


class AddressOfAnother(Exception):
    """The address belongs to an account that is not an administrator's, and it was never a first administrator's.

    The account is not promoted: whoever registered it, and knows its password, would own the library.
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
    ensured: FirstAdministrators
    ask: AskForCode
    email_key: EmailKey
    clock: Clock
    ids: Callable[[], str] = new_id

    def __call__(self, email: str) -> None:
        """Running it again changes nothing, but sends the code again while an administrator has the address and no
        password is set.

        Order: the account, the record that it was made, the code. So running it again after a crash finishes the
        rest. Raises AddressOfAnother; ValueError for what is not an address.
        """
        key = self.email_key(email)
        ensured = self.ensured.contains(key)
        if not ensured and self.members.holder_of(key) is None:
            self._add(email, key)
        administrator = self._administrator(key)
        if not ensured:
            if administrator is None:
                raise AddressOfAnother
            self.ensured.record(key, self.clock.now())
        if administrator is not None and self.members.password_hash(administrator.id) is None:
            self.ask.put(Purpose.PASSWORD_RESET, key)

    def _administrator(self, key: str) -> Member | None:
        """The account with the address, if it is an administrator's."""
        user_id = self.members.holder_of(key)
        member = self.members.get(user_id) if user_id is not None else None
        return member if member is not None and member.role == Role.ADMIN else None

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
        happened = envelopes(change.happened, now)
        try:
            self.members.add(change.member, password_hash=None, happened=happened, ticket=None, answer="", now=now)
        except EmailTaken:
            return  # by the same deployment, asked twice, or by a registration: the caller looks at the account next
