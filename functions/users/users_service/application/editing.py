"""Changing an account: read, decide, write unless somebody came in between, and then decide anew."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from library_common.access import Caller
from library_common.clock import Clock
from library_common.events import happened
from library_common.ids import is_id
from users_service.application.acting import Vouching
from users_service.application.actors import actor_of
from users_service.application.code_requests import AskForCode
from users_service.application.ports import ChangedMeanwhile, EmailKey, Members, VersionCheck
from users_service.application.views import UserView
from users_service.domain.decisions import ProfileWish, StatusWish, change_role, change_status, edit_profile
from users_service.domain.errors import StillChanging, UserNotFound
from users_service.domain.membership import Terms
from users_service.domain.model import Change, Member
from users_service.domain.roles import Actor, Role

ATTEMPTS = 5


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
            envelopes = [happened(event, subject=f"user:{member.id}", at=now) for event in change.happened]
            try:
                self.members.save(member, before=before, happened=envelopes, voucher=voucher)
            except ChangedMeanwhile:
                continue
            return member
        raise StillChanging


@dataclass(frozen=True)
class EditProfile:
    """Name, address, phone and preferences. Another address is to be proved anew, and a code for that is sent."""

    editing: Editing
    email_key: EmailKey
    ask: AskForCode

    def __call__(self, user_id: str, wish: ProfileWish, *, caller: Caller, accept: VersionCheck) -> UserView:
        """Raises UserNotFound, AdminOnly, NoLongerAllowed, EmailTaken, StillChanging."""
        fields = dict(wish.fields)
        if "email" in fields:
            fields["email_key"] = self.email_key(fields["email"])
        whole = replace(wish, fields=fields)
        by = actor_of(caller)
        moved = False

        def decide(member: Member, _: datetime) -> Change:
            nonlocal moved
            change = edit_profile(member, whole, by)
            moved = change.member.email_key != member.email_key
            return change

        edited = self.editing.change(user_id, accept, decide, by=by)
        if moved:
            self.ask.verification_if_possible(fields["email_key"])
        return edited


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
