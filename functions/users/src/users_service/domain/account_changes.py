"""The rules for changing an account: functions from a member and an update to a change or a refusal.

An update to what is so already changes nothing, so any request may be repeated. Whoever calls these has made sure that
role and status are known (`Member.require_known_values`).
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
    if not by.may_register(role):
        who = "an administrator" if role is Role.ADMIN else "a librarian or an administrator"
        raise RoleNotAllowed(f"Only {who} may register an account with the role {role.value}.")


def needs_staff_recheck(before: Member | None, after: Member, by: Actor) -> bool:
    """Whether a change, or a registration (before: None), needs an acting account that is still active staff.

    That holds for everything somebody changes in another's staff account, its address included: codes for a new
    password go there. A token keeps its role until it expires; without this check, staff who were demoted or suspended
    could use it to make others staff or to take over their accounts.
    """
    if before is not None and by.id == before.id:
        return False
    return after.is_staff or (before is not None and before.is_staff)


def require_still_staff(by: Actor, account: Member | None, now: datetime) -> None:
    """account: the actor's own, as stored now. Raises NoLongerAllowed unless it is active and has the token's role."""
    if account is None or by.role is None or account.role != by.role or account.status(now) != Status.ACTIVE:
        raise NoLongerAllowed


def registered(member: Member) -> Change:
    """A new member."""
    event = MemberRegistered(user_id=member.id, role=Role(member.role), status=Status(member.stored_status))
    return Change(member, (event,))


@dataclass(frozen=True)
class ProfileUpdate:
    """Attribute names of `Member` and of `Preferences` with their new values. What is not named stays as it is."""

    fields: Mapping[str, Any]
    preferences: Mapping[str, Any]


def edit_profile(member: Member, update: ProfileUpdate, by: Actor, *, with_password: bool = False) -> Change:
    """with_password: the member sent their password. Raises AdminOnly when a librarian edits another staff account."""
    _require_may_change(member, by)
    preferences = replace(member.preferences, **update.preferences)
    changed = replace(member, **update.fields, preferences=preferences)
    if changed.email_key != member.email_key:
        changed = replace(changed, email_verified_at=None)
    if "phone" in update.fields and (with_password or changed.phone != member.phone):
        changed = replace(changed, phone_confirmed=with_password and changed.phone is not None)
    return Change(changed)


def changes_where_codes_go(member: Member, fields: Mapping[str, Any]) -> bool:
    """Whether these new values change the address or number to which codes for a new password go."""
    wanted = {name: fields[name] for name in ("email_key", "phone") if name in fields}
    # Removing the number leaves the address as it is: nobody gains anything by it.
    return any(value is not None and value != getattr(member, name) for name, value in wanted.items())


@dataclass(frozen=True)
class StatusUpdate:
    """reason: a sentence for the member, required for a suspension. until: when a suspension ends by itself."""

    status: Status
    reason: str | None = None
    until: datetime | None = None


def change_status(member: Member, update: StatusUpdate, by: Actor, terms: Terms, now: datetime) -> Change:
    """One step in the lifecycle, from the status at `now`.

    When an account becomes active, a membership that has expired, also during a suspension, gets a new term. A
    suspension may be given another reason or end.
    Raises AdminOnly, OwnStatus, InvalidFields, StatusTransition.
    """
    _require_may_change(member, by)
    if by.id == member.id:
        raise OwnStatus
    _require_valid(update, now)
    old = Status(member.status(now))
    if update.status is old and update.status is not Status.SUSPENDED:
        return Change(member)
    if update.status is not old and update.status not in STEPS[old]:
        raise StatusTransition(f"A membership that is {old} cannot become {update.status}.")
    expires_at = member.expires_at
    if update.status is Status.ACTIVE and (old is Status.EXPIRED or (expires_at is not None and expires_at <= now)):
        expires_at = terms.end_for(member.role, now)
    changed = replace(
        member,
        stored_status=update.status,
        status_reason=update.reason,
        suspended_until=update.until,
        expires_at=expires_at,
    )
    if update.status is old and update.until == member.suspended_until:
        return Change(changed)
    change = Change(changed, (MemberStatusChanged(user_id=member.id, old=old, new=update.status, until=update.until),))
    if update.status is Status.SUSPENDED and old is not Status.SUSPENDED:
        return sessions_revoked(change, "suspended")
    if update.status is Status.EXPIRED and member.is_staff:
        # Expired members may still log in, to see their loans; expired staff may not.
        return sessions_revoked(change, "expired")
    return change


def change_role(member: Member, role: Role, by: Actor, terms: Terms, now: datetime) -> Change:
    """Another role. An account that becomes staff's no longer expires; one that stops being staff's gets a new term.

    Raises OwnRole.
    """
    if by.id == member.id:
        raise OwnRole
    if role == member.role:
        return Change(member)
    changed = replace(member, role=role)
    if changed.is_staff != member.is_staff:
        changed = replace(changed, expires_at=terms.end_for(role, now))
    happened: list[MemberEvent] = [MemberRoleChanged(user_id=member.id, old=Role(member.role), new=role)]
    old, new = Status(member.status(now)), Status(changed.status(now))
    if old is not new:
        # A membership that had expired is active again once it has no end.
        happened.append(MemberStatusChanged(user_id=member.id, old=old, new=new))
    # Tokens carry the role they were made with.
    return sessions_revoked(Change(changed, tuple(happened)), "role_changed")


def sessions_revoked(change: Change, reason: SessionsEnd) -> Change:
    """The same change, which also ends all sessions of the account."""
    epoch = change.member.session_epoch + 1
    revoked = SessionsRevoked(user_id=change.member.id, reason=reason, epoch=epoch)
    return Change(replace(change.member, session_epoch=epoch), (*change.happened, revoked))


def address_proved(member: Member, terms: Terms, now: datetime) -> Change:
    """The member has proved the address; a pending account becomes active.

    The term of its membership stays, unless it ran out meanwhile: then a new one begins. A phone number set before may
    be somebody else's, so it must be confirmed again.
    """
    pending = member.stored_status == Status.PENDING
    if member.email_verified_at is not None and not pending:
        return Change(member)
    changed = replace(member, email_verified_at=member.email_verified_at or now, phone_confirmed=False)
    if not pending:
        return Change(changed)
    expires_at = member.expires_at
    if expires_at is not None and expires_at <= now:
        expires_at = terms.end_for(member.role, now)
    changed = replace(changed, stored_status=Status.ACTIVE, status_reason=None, expires_at=expires_at)
    return Change(changed, (MemberStatusChanged(user_id=member.id, old=Status.PENDING, new=Status.ACTIVE),))


def recovered(member: Member, terms: Terms, now: datetime) -> Change:
    """A password was reset by e-mail: proves the address, and a phone number must be confirmed again in any case."""
    change = address_proved(member, terms, now)
    return replace(change, member=replace(change.member, phone_confirmed=False))


def time_passed(member: Member, now: datetime) -> Change:
    """Stores a status that has changed with time alone, so that other services learn of it through an event."""
    old, new = Status(member.stored_status), Status(member.status(now))
    if new is old:
        return Change(member)
    changed = replace(member, stored_status=new, status_reason=None, suspended_until=None)
    return Change(changed, (MemberStatusChanged(user_id=member.id, old=old, new=new),))


def _require_may_change(member: Member, by: Actor) -> None:
    if member.is_staff and not by.is_admin and by.id != member.id:
        raise AdminOnly


def _require_valid(update: StatusUpdate, now: datetime) -> None:
    errors: list[tuple[str, str]] = []
    if update.status is Status.SUSPENDED and not update.reason:
        errors.append(("reason", "a suspension needs a reason"))
    if update.until is not None:
        if update.status is not Status.SUSPENDED:
            errors.append(("until", "only a suspension has an end"))
        elif update.until <= now:
            errors.append(("until", "must be in the future"))
    if errors:
        raise InvalidFields(*errors)
