"""Leaving the library for good: what stands in the way, and how an account is closed before it is erased."""

from dataclasses import replace

from users_service.domain.decisions import sessions_revoked
from users_service.domain.errors import StillObliged
from users_service.domain.events import MemberErased
from users_service.domain.membership import Status
from users_service.domain.model import Change, Member

CLOSING = "The account is being erased."


def require_free_to_leave(member: Member, open_loans: int) -> None:
    """Raises StillObliged, with everything that is in the way."""
    reasons: list[tuple[str, str]] = []
    if member.role.is_staff:
        # So that the last administrator cannot vanish, and nobody's rights without somebody deciding it.
        reasons.append(("staff_account", "A staff account is given another role first."))
    if open_loans:
        are = "copy is" if open_loans == 1 else "copies are"
        reasons.append(("open_loans", f"{open_loans} {are} still on loan or being lent."))
    if reasons:
        raise StillObliged(*reasons)


def closed(member: Member) -> Change:
    """The account as it is while it is being erased: it cannot borrow, and every login ends.

    Tells nobody of the status: the account is erased, or as before, a moment later.
    """
    if member.stored_status is Status.SUSPENDED and member.status_reason == CLOSING:
        return Change(member)
    shut = replace(member, stored_status=Status.SUSPENDED, status_reason=CLOSING, suspended_until=None)
    return sessions_revoked(Change(shut), "erased")


def reopened(now_closed: Member, before: Member) -> Change:
    """The account as it was, for somebody who turned out not to be free to leave. Their logins stay ended.

    What somebody has decided about it since it was closed stands.
    """
    if now_closed.status_reason != CLOSING:
        return Change(now_closed)
    return Change(
        replace(
            now_closed,
            stored_status=before.stored_status,
            status_reason=before.status_reason,
            suspended_until=before.suspended_until,
        )
    )


def erased(member: Member) -> tuple[MemberErased]:
    """What others are told of it."""
    return (MemberErased(user_id=member.id),)
