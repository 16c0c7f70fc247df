"""What notices are about, by which channels they go, and how urgent they are.

Stored values are read as text: a newer version of this service may have written kinds and channels that this one does
not know. Whoever needs to know asks `kind in Kind`.
"""

from enum import StrEnum


class Channel(StrEnum):
    """How to reach a member. In-app is the list under /api/notifications, which needs no sending."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    IN_APP = "in_app"


class Kind(StrEnum):
    """What a notice is about; also the name of the template it is written with."""

    WELCOME = "welcome"
    MEMBERSHIP_CHANGED = "membership_changed"
    ROLE_CHANGED = "role_changed"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a kind of notice
    LOAN_ISSUED = "loan_issued"
    LOAN_RENEWED = "loan_renewed"
    LOAN_RETURNED = "loan_returned"
    LOAN_DUE_SOON = "loan_due_soon"
    LOAN_OVERDUE = "loan_overdue"
    LOAN_LOST = "loan_lost"
    HOLD_PLACED = "hold_placed"
    HOLD_READY = "hold_ready"
    HOLD_EXPIRED = "hold_expired"
    HOLD_CANCELLED = "hold_cancelled"
    FINE_CHARGED = "fine_charged"
    FINE_PAID = "fine_paid"
    FINE_WAIVED = "fine_waived"
    ANNOUNCEMENT = "announcement"


class Urgency(StrEnum):
    """instant: at once, quiet hours or not. timely: as soon as quiet hours allow. routine: may wait for a digest."""

    INSTANT = "instant"
    TIMELY = "timely"
    ROUTINE = "routine"


_INSTANT = frozenset({Kind.PASSWORD_CHANGED})
_TIMELY = frozenset(
    {
        Kind.MEMBERSHIP_CHANGED,
        Kind.LOAN_DUE_SOON,
        Kind.LOAN_OVERDUE,
        Kind.LOAN_LOST,
        Kind.HOLD_READY,
        Kind.HOLD_EXPIRED,
        Kind.FINE_CHARGED,
    }
)


def urgency(kind: str) -> Urgency:
    """How urgent a notice of this kind is."""
    if kind in _INSTANT:
        return Urgency.INSTANT
    return Urgency.TIMELY if kind in _TIMELY else Urgency.ROUTINE
