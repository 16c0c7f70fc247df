"""Registering: the account, its address and its password are created together, once."""

from collections.abc import Callable
from dataclasses import dataclass, field

from library_common.access import Caller
from library_common.clock import Clock
from library_common.idempotency import Ticket
from library_common.ids import new_id
from library_common.versions import VersionConflict
from users_service.application.authorization import StaffRecheck, actor_of
from users_service.application.code_requests import AskForCode
from users_service.application.envelopes import envelopes
from users_service.application.password_policy import PasswordPolicy
from users_service.application.ports import AlreadyAnswered, EmailKey, Members, Passwords
from users_service.domain.account_changes import registered, require_may_register
from users_service.domain.errors import EmailTaken, StillChanging
from users_service.domain.membership import Terms
from users_service.domain.model import Member, Preferences
from users_service.domain.roles import Role
from users_service.schemas.responses import UserView

ATTEMPTS = 5
"""How often to write the account when the acting staff account changes meanwhile."""


@dataclass(frozen=True)
class Registration:
    """A new account as requested. Without a password nobody can log in to it yet."""

    name: str
    email: str
    role: Role
    password: str | None = field(default=None, repr=False)
    phone: str | None = None
    preferences: Preferences = field(default_factory=Preferences)


@dataclass(frozen=True)
class Registered:
    """The new account; `replayed` when an earlier, same request made it."""

    user: UserView
    replayed: bool


@dataclass(frozen=True)
class Register:
    """The use case. `ids` makes the id of a new account.

    People who register themselves are sent a code that proves their address.
    """

    members: Members
    passwords: Passwords
    policy: PasswordPolicy
    email_key: EmailKey
    terms: Terms
    clock: Clock
    ask: AskForCode
    ids: Callable[[], str] = new_id

    def __call__(self, wanted: Registration, *, caller: Caller, ticket: Ticket | None) -> Registered:
        """Raises RoleNotAllowed, NoLongerAllowed, InvalidFields, EmailTaken, IdempotencyKeyReused, StillChanging."""
        by = actor_of(caller)
        require_may_register(wanted.role, by)
        now = self.clock.now().replace(microsecond=0)
        email_key = self.email_key(wanted.email)
        # Hashing a password takes a quarter of a second, so check everything else before. Look up the address before
        # the ticket: otherwise the same request, running at the same time, could finish in between, and its own
        # account would look like somebody else's.
        taken = self.members.holder_of(email_key) is not None
        if ticket is not None and (earlier := self.members.answer_to(ticket, now)) is not None:
            return _replayed(earlier)
        password = None
        if wanted.password is not None:
            password = self.policy.check(wanted.password, name=wanted.name, email=wanted.email)
        if taken:
            raise EmailTaken

        change = registered(
            Member(
                id=self.ids(),
                name=wanted.name,
                email=wanted.email,
                email_key=email_key,
                role=wanted.role,
                stored_status=self.terms.start(by_staff=by.is_staff),
                phone=wanted.phone,
                preferences=wanted.preferences,
                expires_at=self.terms.end_for(wanted.role, now),
                created_at=now,
            )
        )
        member = change.member
        user = UserView.of(member, now)
        recheck = StaffRecheck(self.members)
        acting_staff = recheck(None, member, by, now)
        password_hash = self.passwords.hash(password) if password is not None else None
        happened = envelopes(change.happened, now)
        for _ in range(ATTEMPTS):
            try:
                self.members.add(
                    member,
                    password_hash=password_hash,
                    happened=happened,
                    ticket=ticket,
                    answer=user.model_dump_json(),
                    now=now,
                    acting_staff=acting_staff,
                )
            except AlreadyAnswered as exc:
                return _replayed(exc.answer)
            except VersionConflict:
                acting_staff = recheck(None, member, by, now)
                continue
            if not by.is_staff:
                self.ask.verification_if_possible(email_key)
            return Registered(user, replayed=False)
        raise StillChanging


def _replayed(answer: str) -> Registered:
    return Registered(UserView.model_validate_json(answer), replayed=True)
