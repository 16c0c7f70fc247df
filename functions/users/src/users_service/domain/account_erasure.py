"""When an account may be erased, and how it is closed before that."""

from dataclasses import replace

from users_service.domain.account_changes import sessions_revoked
from users_service.domain.errors import StillObliged
from users_service.domain.events import MemberErased
from users_service.domain.membership import Status
from users_service.domain.model import Change, Member

CLOSING = "The account is being erased."


def require_erasable(member: Member, open_loans: int) -> None:
    """Raises StillObliged with every reason against it."""
    reasons: list[tuple[str, str]] = []
    if member.is_staff:
        # So that the last administrator cannot vanish, and somebody decides about every staff account that ends.
        reasons.append(("staff_account", "Give the staff account a member's role first."))
    if open_loans:
        are = "copy is" if open_loans == 1 else "copies are"
        reasons.append(("open_loans", f"{open_loans} {are} still on loan or being lent."))
    if reasons:
        raise StillObliged(*reasons)


def closed(member: Member) -> Change:
    """The account while it is being erased: it cannot borrow, and its sessions end.

    There is no event for the status: a moment later the account is erased, or as before.
    """
    if member.stored_status == Status.SUSPENDED and member.status_reason == CLOSING:
        return Change(member)
    shut = replace(member, stored_status=Status.SUSPENDED, status_reason=CLOSING, suspended_until=None)
    return sessions_revoked(Change(shut), "erased")


def reopened(now_closed: Member, before: Member) -> Change:
    """The account as it was, because it cannot be erased after all. Its sessions stay ended.

    Leaves what somebody has changed since it was closed.
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
    """The event that tells other services."""
    return (MemberErased(user_id=member.id),)
