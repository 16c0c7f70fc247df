"""From an event to a notice: which member, which kind, with which data.

Events come in older and newer versions. Missing fields are left out; unknown fields are ignored, and so are types that
are not in `EVENT_RULES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field

from notifications_service.domain.kinds import Kind
from notifications_service.domain.local_formats import is_money, plain_money
from notifications_service.domain.reminders import identity_of_reminder

type Data = Mapping[str, Any]

_LOAN = ("title", "due_date", "book_id", "loan_id")
_HOLD = ("title", "pickup_until", "book_id", "reservation_id")
_FINE = ("amount", "reason", "receipt_number")


@dataclass(frozen=True)
class EventRule:
    """The notice of an event type. fields: of the event, kept in the notice. only_if: a condition on its data."""

    source: str
    kind: Kind
    fields: tuple[str, ...]
    only_if: Callable[[Data], bool] = lambda _: True


EVENT_RULES: Mapping[str, EventRule] = {
    "MemberRegistered": EventRule("library.users", Kind.WELCOME, ()),
    "MemberStatusChanged": EventRule("library.users", Kind.MEMBERSHIP_CHANGED, ("old", "new", "until")),
    "MemberRoleChanged": EventRule("library.users", Kind.ROLE_CHANGED, ("old", "new")),
    "SessionsRevoked": EventRule(
        "library.users", Kind.PASSWORD_CHANGED, (), lambda data: data.get("reason") == "password_changed"
    ),
    "LoanCreated": EventRule("library.loans", Kind.LOAN_ISSUED, _LOAN),
    "LoanRenewed": EventRule("library.loans", Kind.LOAN_RENEWED, _LOAN),
    "LoanReturned": EventRule("library.loans", Kind.LOAN_RETURNED, (*_LOAN, "return_date")),
    "LoanOverdue": EventRule("library.loans", Kind.LOAN_OVERDUE, _LOAN),
    "LoanLost": EventRule("library.loans", Kind.LOAN_LOST, _LOAN),
    "BookReserved": EventRule("library.loans", Kind.HOLD_PLACED, _HOLD),
    "ReservationReady": EventRule("library.loans", Kind.HOLD_READY, _HOLD),
    "ReservationExpired": EventRule("library.loans", Kind.HOLD_EXPIRED, _HOLD),
    "ReservationCancelled": EventRule("library.loans", Kind.HOLD_CANCELLED, _HOLD),
    "FineCalculated": EventRule("library.fines", Kind.FINE_CHARGED, _FINE),
    "FinePaid": EventRule("library.fines", Kind.FINE_PAID, _FINE),
    "FineWaived": EventRule("library.fines", Kind.FINE_WAIVED, _FINE),
}
"""Every event type that members are notified of. The rule of the template delivers these and `MEMBER_ERASED`."""

MEMBER_ERASED = ("library.users", "MemberErased")
"""After this event nothing is kept about the member."""

LONGEST_TEXT = 500
"""Characters of a text in an event; longer than any title that fits into a message."""

LONGEST_ID = 64

ID = r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
"""Ids of members, like all ids of the library."""

_AMOUNTS = frozenset({"amount"})
"""Fields with an amount of money."""

TIMESTAMP_FIELDS = ("due_date", "return_date", "pickup_until", "until")
"""Fields with a timestamp, RFC 3339."""

DUE_DATE_EVENTS = frozenset({"LoanCreated", "LoanRenewed"})
"""Event types that give a loan a due date, of which members are reminded."""


class IncomingEvent(BaseModel):
    """An event of the bus. ValidationError unless it names a member.

    source: the service that sent it. replayed: it comes from the archive, and was handled before.
    """

    id: str = Field(min_length=1, max_length=LONGEST_ID)
    type: str
    occurred_at: str
    user_id: str = Field(pattern=ID)
    data: dict[str, Any]
    source: str | None = None
    replayed: bool = False

    @property
    def has_right_source(self) -> bool:
        """Whether it comes from the service that events of this type come from."""
        if self.type == MEMBER_ERASED[1]:
            return self.source == MEMBER_ERASED[0]
        rule = EVENT_RULES.get(self.type)
        return rule is None or self.source == rule.source


@dataclass(frozen=True)
class Notice:
    """Something a member is notified of once. identity: the same for the same notice, however it comes.

    by_hand: staff sent it; no event caused it.
    """

    user_id: str
    kind: Kind
    identity: str
    data: Data = field(default_factory=dict)
    by_hand: bool = False


def notice_of(event: IncomingEvent, overdue_days: tuple[int, ...]) -> Notice | None:
    """The notice of an event; None when members are not notified of it.

    overdue_days: on which days after the due date members are reminded. An event that says a loan is overdue counts as
    the first of these reminders, so that only one of the two notifies.
    Raises ValueError for an invalid amount or id.
    """
    rule = EVENT_RULES.get(event.type)
    if rule is None or not rule.only_if(event.data):
        return None
    data = {name: value for name in rule.fields if (value := _plain(name, event.data.get(name))) is not None}
    identity = event.id
    if event.type == "LoanOverdue" and overdue_days and {"loan_id", "due_date"} <= data.keys():
        if len(data["loan_id"]) > LONGEST_ID:
            raise ValueError("invalid loan id")
        identity = identity_of_reminder(Kind.LOAN_OVERDUE, data["loan_id"], data["due_date"], min(overdue_days))
    return Notice(event.user_id, rule.kind, identity, data)


def _plain(name: str, value: object) -> Any:
    """Text, or an amount of money; None for anything a template could not show. Raises ValueError for an invalid
    amount."""
    if name in _AMOUNTS and value is not None:
        if not isinstance(value, Mapping) or not is_money(value):
            raise ValueError("invalid amount")
        return plain_money(value)
    match value:
        case str():
            return value[:LONGEST_TEXT]
        case bool() | None:
            return None
        case int():
            return str(value)[:LONGEST_TEXT]
    return None
