"""The decisions about a member: pure functions from a member and a wish to a change or a refusal.

A wish that is fulfilled already changes nothing, so any request may be repeated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from users_service.domain.errors import (
    AdminOnly,
    InvalidFields,
    NoLongerAllowed,
    OwnRole,
    OwnStatus,
    RoleNotAllowed,
    StatusTransition,
)
from users_service.domain.events import (
    MemberEvent,
    MemberRegistered,
    MemberRoleChanged,
    MemberStatusChanged,
    SessionsEnd,
    SessionsRevoked,
)
from users_service.domain.membership import STEPS, Status, Terms
from users_service.domain.model import Change, Member
from users_service.domain.roles import Actor, Role


def require_may_register(role: Role, by: Actor) -> None:
    """Raises RoleNotAllowed."""
    if by.may_register(role):
        return
    who = "an administrator" if role is Role.ADMIN else "a librarian or an administrator"
    raise RoleNotAllowed(f"An account with the role {role.value} is registered by {who}.")


def takes_a_voucher(before: Member | None, after: Member, by: Actor) -> bool:
    """Whether a change, or a registration (before: None), is one that only staff of this very moment may make.

    Everything about a staff account by somebody else is: its address, too, which is where a new password is sent.
    A token keeps its role for the rest of its life; a demoted or suspended member of staff must not use that to make
    others staff, or to take over their accounts.
    """
    if before is not None and by.id == before.id:
        return False
    return after.role.is_staff or (before is not None and before.role.is_staff)


def require_still_staff(by: Actor, account: Member | None, now: datetime) -> None:
    """account: the actor's own, as stored now. Raises NoLongerAllowed unless it is as the token claims, and active."""
    if account is None or by.role is None or account.role is not by.role or account.status(now) is not Status.ACTIVE:
        raise NoLongerAllowed


def registered(member: Member) -> Change:
    """A new member, as they are."""
    return Change(member, (MemberRegistered(user_id=member.id, role=member.role, status=member.stored_status),))


@dataclass(frozen=True)
class ProfileWish:
    """Changes to a profile: attribute names of `Member` and `Preferences` with their new values.

    What is not named stays as it is.
    """

    fields: Mapping[str, Any]
    preferences: Mapping[str, Any]


def edit_profile(member: Member, wish: ProfileWish, by: Actor, *, with_password: bool = False) -> Change:
    """with_password: the member proved to be themself. Raises AdminOnly when staff below an administrator edit a
    colleague.
    """
    _require_may_touch(member, by)
    preferences = replace(member.preferences, **wish.preferences)
    changed = replace(member, **wish.fields, preferences=preferences)
    if changed.email_key != member.email_key:
        changed = replace(changed, email_verified_at=None)
    if "phone" in wish.fields and (with_password or changed.phone != member.phone):
        changed = replace(changed, phone_confirmed=with_password and changed.phone is not None)
    return Change(changed)


def changes_where_codes_go(member: Member, fields: Mapping[str, Any]) -> bool:
    """Whether these new values move the address or number to which codes for a new password are sent."""
    wanted = {name: fields[name] for name in ("email_key", "phone") if name in fields}
    # Taking the number away leaves the address as it is: nobody gains anything by it.
    return any(value is not None and value != getattr(member, name) for name, value in wanted.items())


@dataclass(frozen=True)
class StatusWish:
    """reason: a sentence for the member, obligatory for a suspension. until: when a suspension ends by itself."""

    status: Status
    reason: str | None = None
    until: datetime | None = None


def change_status(member: Member, wish: StatusWish, by: Actor, terms: Terms, now: datetime) -> Change:
    """One step in the lifecycle, judged by the status as it reads now.

    Whoever becomes active has a membership that lasts: one that had expired, or that ran out during a
    suspension, is renewed. A suspension may be given another reason or end while it lasts.
    Raises AdminOnly, OwnStatus, InvalidFields, StatusTransition.
    """
    _require_may_touch(member, by)
    if by.id == member.id:
        raise OwnStatus
    _require_sound(wish, now)
    old = member.status(now)
    if wish.status is old and wish.status is not Status.SUSPENDED:
        return Change(member)
    if wish.status is not old and wish.status not in STEPS[old]:
        raise StatusTransition(f"A membership that is {old.value} cannot become {wish.status.value}.")
    expires_at = member.expires_at
    if wish.status is Status.ACTIVE and (old is Status.EXPIRED or (expires_at is not None and expires_at <= now)):
        expires_at = terms.end_for(member.role, now)
    changed = replace(
        member,
        stored_status=wish.status,
        status_reason=wish.reason,
        suspended_until=wish.until,
        expires_at=expires_at,
    )
    if wish.status is old and wish.until == member.suspended_until:
        return Change(changed)
    change = Change(changed, (MemberStatusChanged(user_id=member.id, old=old, new=wish.status, until=wish.until),))
    if wish.status is Status.SUSPENDED and old is not Status.SUSPENDED:
        return sessions_revoked(change, "suspended")
    if wish.status is Status.EXPIRED and member.role.is_staff:
        # Expired members may look at their loans; expired staff may nothing at all.
        return sessions_revoked(change, "expired")
    return change


def change_role(member: Member, role: Role, by: Actor, terms: Terms, now: datetime) -> Change:
    """Another role. An account that becomes staff's no longer ends; one that ceases to be gets a new term.

    Raises OwnRole.
    """
    if by.id == member.id:
        raise OwnRole
    if role is member.role:
        return Change(member)
    expires_at = member.expires_at
    if role.is_staff != member.role.is_staff:
        expires_at = terms.end_for(role, now)
    changed = replace(member, role=role, expires_at=expires_at)
    happened: list[MemberEvent] = [MemberRoleChanged(user_id=member.id, old=member.role, new=role)]
    old, new = member.status(now), changed.status(now)
    if old is not new:
        # Without an end, what had expired by the calendar is active again.
        happened.append(MemberStatusChanged(user_id=member.id, old=old, new=new))
    # Tokens carry the role they were made with.
    return sessions_revoked(Change(changed, tuple(happened)), "role_changed")


def sessions_revoked(change: Change, reason: SessionsEnd) -> Change:
    """The same change, which also ends whatever the member is logged in to."""
    epoch = change.member.session_epoch + 1
    revoked = SessionsRevoked(user_id=change.member.id, reason=reason, epoch=epoch)
    return Change(replace(change.member, session_epoch=epoch), (*change.happened, revoked))


def address_proved(member: Member, terms: Terms, now: datetime) -> Change:
    """The member has shown that the address is theirs; who was waiting for that becomes active.

    Their membership begins as it was given; one that ran out while it waited begins anew. A phone number set before
    was set by whoever had the account then, so it counts for nothing until it is confirmed again.
    """
    if member.email_verified_at is not None and member.stored_status is not Status.PENDING:
        return Change(member)
    changed = replace(member, email_verified_at=member.email_verified_at or now, phone_confirmed=False)
    if member.stored_status is not Status.PENDING:
        return Change(changed)
    expires_at = member.expires_at
    if expires_at is not None and expires_at <= now:
        expires_at = terms.end_for(member.role, now)
    changed = replace(changed, stored_status=Status.ACTIVE, status_reason=None, expires_at=expires_at)
    return Change(changed, (MemberStatusChanged(user_id=member.id, old=Status.PENDING, new=Status.ACTIVE),))


def recovered(member: Member, terms: Terms, now: datetime) -> Change:
    """Whoever reads the mailbox has the account back, and nobody a way in that they do not know of."""
    change = address_proved(member, terms, now)
    return replace(change, member=replace(change.member, phone_confirmed=False))


def time_passed(member: Member, now: datetime) -> Change:
    """Writes down what time alone has made of the status, for those who hear of changes and do not read accounts."""
    new = member.status(now)
    if new is member.stored_status:
        return Change(member)
    changed = replace(member, stored_status=new, status_reason=None, suspended_until=None)
    return Change(changed, (MemberStatusChanged(user_id=member.id, old=member.stored_status, new=new),))


def _require_may_touch(member: Member, by: Actor) -> None:
    if member.role.is_staff and not by.is_admin and by.id != member.id:
        raise AdminOnly


def _require_sound(wish: StatusWish, now: datetime) -> None:
    errors: list[tuple[str, str]] = []
    if wish.status is Status.SUSPENDED and not wish.reason:
        errors.append(("reason", "a suspension needs a reason"))
    if wish.until is not None:
        if wish.status is not Status.SUSPENDED:
            errors.append(("until", "only a suspension has an end"))
        elif wish.until <= now:
            errors.append(("until", "must be in the future"))
    if errors:
        raise InvalidFields(*errors)
