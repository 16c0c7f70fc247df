"""What the tests of the members' port do again and again."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from library_common.access import ANONYMOUS
from library_common.events import Envelope, envelope_for
from library_common.idempotency import Ticket
from tests.fakes.users import a_member
from tests.support.clock import NOON
from users_service.adapters.contacts import email_key
from users_service.application.ports import Members
from users_service.domain.events import MemberRegistered
from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.roles import Role

TABLE = "users"


def a_ticket(key: str = "key", body: str = "body") -> Ticket:
    """An anonymous request with an idempotency key."""
    ticket = Ticket.of(ANONYMOUS, "POST /api/users", key, body)
    assert ticket is not None
    return ticket


def an_event(member: Member) -> Envelope:
    """Some event about the member."""
    event = MemberRegistered(user_id=member.id, role=Role(member.role), status=Status(member.stored_status))
    return envelope_for(event, subject=f"user:{member.id}", at=NOON)


def add(
    members: Members,
    member: Member | None = None,
    *,
    ticket: Ticket | None = None,
    answer: str = "{}",
    now: datetime = NOON,
    **attributes: Any,
) -> Member:
    """Writes a new member with a password: this one, or one with these attributes."""
    added = member or a_member(**attributes)
    members.add(added, password_hash="hash", happened=[an_event(added)], ticket=ticket, answer=answer, now=now)
    return added


def changed(member: Member, **changes: Any) -> Member:
    """The next version of a member."""
    if "email" in changes:
        changes["email_key"] = email_key(changes["email"])
    return replace(member, version=member.version + 1, **changes)
