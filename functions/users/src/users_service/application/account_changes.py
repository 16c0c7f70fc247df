"""Changing an account: read it, decide, write it; if somebody else wrote in between, start over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from library_common.access import Caller
from library_common.clock import Clock
from library_common.versions import VersionConflict
from users_service.application.account_search import existing
from users_service.application.authorization import StaffRecheck, actor_of
from users_service.application.code_requests import AskForCode
from users_service.application.envelopes import envelopes
from users_service.application.ports import Attempts, EmailKey, Members, Passwords, VersionCheck
from users_service.domain.account_changes import (
    ProfileUpdate,
    StatusUpdate,
    change_role,
    change_status,
    changes_where_codes_go,
    edit_profile,
)
from users_service.domain.credentials import password_to_compare
from users_service.domain.errors import PasswordNeeded, StillChanging
from users_service.domain.membership import Terms
from users_service.domain.model import Change, Member
from users_service.domain.roles import Actor, Role
from users_service.schemas.responses import UserView

type Decide = Callable[[Member, datetime], Change]
"""What a use case makes of an account as it was read, at this time."""

ATTEMPTS = 5
CONTACT_CHANGES = "contact_account"
"""The limit on changes of one's own address or number, by account: it bounds guesses of the password and messages."""


def any_version(_: int) -> None:
    """The `VersionCheck` that accepts every version."""


@dataclass(frozen=True)
class AccountEditor:
    """The one way to change an account; the use cases below decide what changes."""

    members: Members
    clock: Clock

    def change(self, user_id: str, accept: VersionCheck, decide: Decide, *, by: Actor | None) -> UserView:
        """Like `write`; returns the account as it is answered."""
        return UserView.of(self.write(user_id, accept, decide, by=by), self.clock.now())

    def write(self, user_id: str, accept: VersionCheck, decide: Decide, *, by: Actor | None) -> Member:
        """Writes what `decide` makes of the account, if it changes anything.

        by: who asks for the change; None for the system itself. Raises UserNotFound, UnknownValue, NoLongerAllowed,
        StillChanging, EmailTaken, and what `accept` and `decide` raise.
        """
        recheck = StaffRecheck(self.members)
        for _ in range(ATTEMPTS):
            now = self.clock.now().replace(microsecond=0)
            before = existing(self.members, user_id)
            before.require_known_values()
            accept(before.version)
            change = decide(before, now)
            if change.member == before:
                return before
            acting_staff = recheck(before, change.member, by, now) if by is not None else None
            member = replace(change.member, version=before.version + 1)
            happened = envelopes(change.happened, now)
            try:
                self.members.save(member, before=before, happened=happened, acting_staff=acting_staff)
            except VersionConflict:
                continue
            return member
        raise StillChanging


@dataclass(frozen=True)
class EditProfile:
    """Name, address, phone and preferences.

    A new address must be proved: it gets a code, and the old address a notice. Members send their password to change
    their own address or number, so a stolen token is not enough to take the account over.
    """

    editor: AccountEditor
    email_key: EmailKey
    ask: AskForCode
    passwords: Passwords
    attempts: Attempts

    def __call__(
        self,
        user_id: str,
        update: ProfileUpdate,
        *,
        caller: Caller,
        accept: VersionCheck,
        current_password: str | None = None,
    ) -> UserView:
        """Raises UserNotFound, UnknownValue, AdminOnly, NoLongerAllowed, PasswordNeeded, TooManyRequests, EmailTaken,
        StillChanging.
        """
        fields = dict(update.fields)
        if "email" in fields:
            fields["email_key"] = self.email_key(fields["email"])
        whole = replace(update, fields=fields)
        by = actor_of(caller)
        with_password = caller.is_person(user_id) and self._proved(user_id, fields, current_password)
        moved: tuple[str, str, str] | None = None

        def decide(member: Member, _: datetime) -> Change:
            nonlocal moved
            change = edit_profile(member, whole, by, with_password=with_password)
            new_key = change.member.email_key
            moved = (member.email, member.email_key, new_key) if new_key != member.email_key else None
            return change

        edited = self.editor.change(user_id, accept, decide, by=by)
        if moved is not None:
            self.ask.after_email_change(*moved)
        return edited

    def _proved(self, user_id: str, fields: Mapping[str, Any], presented: str | None) -> bool:
        """Whether the account's password was sent. Raises PasswordNeeded if it is wrong, or missing and needed."""
        if not fields.keys() & {"email_key", "phone"}:
            return False
        member = existing(self.editor.members, user_id)
        stored = self.editor.members.password_hash(user_id)
        if stored is None:
            # Without a password nobody has logged in yet, so there is nothing to take over.
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

    editor: AccountEditor
    terms: Terms

    def __call__(self, user_id: str, update: StatusUpdate, *, caller: Caller, accept: VersionCheck) -> UserView:
        """Raises UserNotFound, UnknownValue, AdminOnly, OwnStatus, NoLongerAllowed, InvalidFields, StatusTransition,
        StillChanging.
        """
        by = actor_of(caller)
        return self.editor.change(
            user_id, accept, lambda member, now: change_status(member, update, by, self.terms, now), by=by
        )


@dataclass(frozen=True)
class Promote:
    """Another role."""

    editor: AccountEditor
    terms: Terms

    def __call__(self, user_id: str, role: Role, *, caller: Caller, accept: VersionCheck) -> UserView:
        """Raises UserNotFound, UnknownValue, OwnRole, NoLongerAllowed, StillChanging."""
        by = actor_of(caller)
        return self.editor.change(
            user_id, accept, lambda member, now: change_role(member, role, by, self.terms, now), by=by
        )
