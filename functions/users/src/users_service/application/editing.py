"""Changing an account: read, decide, write unless somebody came in between, and then decide anew."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from library_common.access import Caller
from library_common.clock import Clock
from library_common.ids import is_id
from users_service.application.acting import Vouching
from users_service.application.actors import actor_of
from users_service.application.code_requests import AskForCode
from users_service.application.ports import Attempts, ChangedMeanwhile, EmailKey, Members, Passwords, VersionCheck
from users_service.application.telling import envelopes
from users_service.application.views import UserView
from users_service.domain.decisions import (
    ProfileWish,
    StatusWish,
    change_role,
    change_status,
    changes_where_codes_go,
    edit_profile,
)
from users_service.domain.errors import PasswordNeeded, StillChanging, UserNotFound
from users_service.domain.identity import password_to_compare
from users_service.domain.membership import Terms
from users_service.domain.model import Change, Member
from users_service.domain.roles import Actor, Role

ATTEMPTS = 5
CONTACT_CHANGES = "contact_account"
"""The limit on changes of one's own address or number, by account: guesses of the password, and messages they cause."""


def any_version(_: int) -> None:
    """For changes that hold whichever version the account has."""


@dataclass(frozen=True)
class Editing:
    """The one way an account is changed; the use cases below say what is decided."""

    members: Members
    clock: Clock

    def change(
        self,
        user_id: str,
        accept: VersionCheck,
        decide: Callable[[Member, datetime], Change],
        *,
        by: Actor | None,
    ) -> UserView:
        """The account as `decide` leaves it, for people. See `write`."""
        return UserView.of(self.write(user_id, accept, decide, by=by), self.clock.now())

    def write(
        self,
        user_id: str,
        accept: VersionCheck,
        decide: Callable[[Member, datetime], Change],
        *,
        by: Actor | None,
    ) -> Member:
        """Writes what `decide` makes of the account; nothing when it leaves it as it was.

        by: whose wish it is; None when it is nobody's, as with what time alone brings about.
        Raises UserNotFound, NoLongerAllowed, StillChanging, EmailTaken, and what `accept` and `decide` raise.
        """
        vouching = Vouching(self.members)
        for _ in range(ATTEMPTS):
            now = self.clock.now().replace(microsecond=0)
            before = self.members.get(user_id) if is_id(user_id) else None
            if before is None:
                raise UserNotFound
            accept(before.version)
            change = decide(before, now)
            if change.member == before:
                return before
            voucher = vouching.voucher(before, change.member, by, now) if by is not None else None
            member = replace(change.member, version=before.version + 1)
            told = envelopes(change.happened, now)
            try:
                self.members.save(member, before=before, happened=told, voucher=voucher)
            except ChangedMeanwhile:
                continue
            return member
        raise StillChanging


@dataclass(frozen=True)
class EditProfile:
    """Name, address, phone and preferences.

    Another address is to be proved anew: a code for that goes to it, and a notice to the old one. Where codes for a new
    password go, members change with their password: with a stolen token alone nobody gets the account for good.
    """

    editing: Editing
    email_key: EmailKey
    ask: AskForCode
    passwords: Passwords
    attempts: Attempts

    def __call__(
        self,
        user_id: str,
        wish: ProfileWish,
        *,
        caller: Caller,
        accept: VersionCheck,
        current_password: str | None = None,
    ) -> UserView:
        """Raises UserNotFound, AdminOnly, NoLongerAllowed, PasswordNeeded, TooManyRequests, EmailTaken,
        StillChanging.
        """
        fields = dict(wish.fields)
        if "email" in fields:
            fields["email_key"] = self.email_key(fields["email"])
        whole = replace(wish, fields=fields)
        by = actor_of(caller)
        with_password = caller.is_person(user_id) and self._proved(user_id, fields, current_password)
        moved: tuple[str, str, str] | None = None

        def decide(member: Member, _: datetime) -> Change:
            nonlocal moved
            change = edit_profile(member, whole, by, with_password=with_password)
            new_key = change.member.email_key
            moved = (member.email, member.email_key, new_key) if new_key != member.email_key else None
            return change

        edited = self.editing.change(user_id, accept, decide, by=by)
        if moved is not None:
            self.ask.after_a_move(*moved)
        return edited

    def _proved(self, user_id: str, fields: Mapping[str, Any], presented: str | None) -> bool:
        """Whether the caller gave the account's password. Raises PasswordNeeded where it takes one and there is none,
        or a wrong one is given.
        """
        if not fields.keys() & {"email_key", "phone"}:
            return False
        member = self.editing.members.get(user_id) if is_id(user_id) else None
        stored = self.editing.members.password_hash(user_id) if member is not None else None
        if member is None or stored is None:
            # Without a password nobody has logged in to it yet, so there is nothing to take over.
            return False
        if presented is None:
            if changes_where_codes_go(member, fields):
                raise PasswordNeeded
            return False
        self.attempts.take(CONTACT_CHANGES, member.id)
        if not self.passwords.matches(password_to_compare(presented), stored):
            raise PasswordNeeded(wrong=True)
        return True


@dataclass(frozen=True)
class ChangeStatus:
    """A step in the lifecycle of a membership."""

    editing: Editing
    terms: Terms

    def __call__(self, user_id: str, wish: StatusWish, *, caller: Caller, accept: VersionCheck) -> UserView:
        """Raises UserNotFound, AdminOnly, OwnStatus, NoLongerAllowed, InvalidFields, StatusTransition,
        StillChanging.
        """
        by = actor_of(caller)
        return self.editing.change(
            user_id, accept, lambda member, now: change_status(member, wish, by, self.terms, now), by=by
        )


@dataclass(frozen=True)
class Promote:
    """Another role."""

    editing: Editing
    terms: Terms

    def __call__(self, user_id: str, role: Role, *, caller: Caller, accept: VersionCheck) -> UserView:
        """Raises UserNotFound, OwnRole, NoLongerAllowed, StillChanging."""
        by = actor_of(caller)
        return self.editing.change(
            user_id, accept, lambda member, now: change_role(member, role, by, self.terms, now), by=by
        )
