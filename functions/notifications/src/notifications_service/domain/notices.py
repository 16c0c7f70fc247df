"""From what happened in the library to what its members are told: which member, which kind, with which data.

Events come in older and newer versions: fields that are missing are left out, fields that are not known are ignored,
and so are types that are not in `TOLD`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field

from notifications_service.domain.amounts import is_money, plain_money
from notifications_service.domain.kinds import Kind
from notifications_service.domain.reminders import identity_of_reminder

type Data = Mapping[str, Any]

_LOAN = ("title", "due_date", "book_id", "loan_id")
_HOLD = ("title", "pickup_until", "book_id", "reservation_id")
_FINE = ("amount", "reason", "receipt_number")


@dataclass(frozen=True)
class Telling:
    """What an event of a type is told as. fields: of the event, what the notice holds. only_if: of its data."""

    source: str
    kind: Kind
    fields: tuple[str, ...]
    only_if: Callable[[Data], bool] = lambda _: True


TOLD: Mapping[str, Telling] = {
    "MemberRegistered": Telling("library.users", Kind.WELCOME, ()),
    "MemberStatusChanged": Telling("library.users", Kind.MEMBERSHIP_CHANGED, ("old", "new", "until")),
    "MemberRoleChanged": Telling("library.users", Kind.ROLE_CHANGED, ("old", "new")),
    "SessionsRevoked": Telling(
        "library.users", Kind.PASSWORD_CHANGED, (), lambda data: data.get("reason") == "password_changed"
    ),
    "LoanCreated": Telling("library.loans", Kind.LOAN_ISSUED, _LOAN),
    "LoanRenewed": Telling("library.loans", Kind.LOAN_RENEWED, _LOAN),
    "LoanReturned": Telling("library.loans", Kind.LOAN_RETURNED, (*_LOAN, "return_date")),
    "LoanOverdue": Telling("library.loans", Kind.LOAN_OVERDUE, _LOAN),
    "LoanLost": Telling("library.loans", Kind.LOAN_LOST, _LOAN),
    "BookReserved": Telling("library.loans", Kind.HOLD_PLACED, _HOLD),
    "ReservationReady": Telling("library.loans", Kind.HOLD_READY, _HOLD),
    "ReservationExpired": Telling("library.loans", Kind.HOLD_EXPIRED, _HOLD),
    "ReservationCancelled": Telling("library.loans", Kind.HOLD_CANCELLED, _HOLD),
    "FineCalculated": Telling("library.fines", Kind.FINE_CHARGED, _FINE),
    "FinePaid": Telling("library.fines", Kind.FINE_PAID, _FINE),
    "FineWaived": Telling("library.fines", Kind.FINE_WAIVED, _FINE),
}
"""Every type that is told, by its name on the bus. The rule of the template delivers these and `FORGOTTEN`."""

FORGOTTEN = ("library.users", "MemberErased")
"""After this nothing is kept about the member."""

LONGEST_TEXT = 500
"""Of what an event says; longer than any title that fits into a message."""

LONGEST_ID = 64

ID = r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
"""Ids of members, as all ids of the library."""

_AMOUNTS = frozenset({"amount"})
"""Fields that say how much money."""

MOMENTS = ("due_date", "return_date", "pickup_until", "until")
"""Fields that say when, RFC 3339."""

LENDING = frozenset({"LoanCreated", "LoanRenewed"})
"""Types that give a loan a due date, of which members are reminded."""


class Happening(BaseModel):
    """An event as notifications understands it. ValidationError for one that does not say whom it is about.

    source: who says so, by its name on the bus. replayed: it was heard before, and comes from the archive now.
    """

    id: str = Field(min_length=1, max_length=LONGEST_ID)
    type: str
    occurred_at: str
    user_id: str = Field(pattern=ID)
    data: dict[str, Any]
    source: str | None = None
    replayed: bool = False

    @property
    def is_its_sources(self) -> bool:
        """Whether it comes from the service whose events of this type are."""
        if self.type == FORGOTTEN[1]:
            return self.source == FORGOTTEN[0]
        telling = TOLD.get(self.type)
        return telling is None or self.source == telling.source


@dataclass(frozen=True)
class Notice:
    """Something a member is told once. identity: what is the same when it is the same notice, however it comes.

    by_hand: somebody of the staff wrote it, or had it sent; no event did.
    """

    user_id: str
    kind: Kind
    identity: str
    data: Data = field(default_factory=dict)
    by_hand: bool = False


def notice_of(event: Happening, overdue_days: tuple[int, ...]) -> Notice | None:
    """What the member is told of an event; None for nothing.

    overdue_days: on which days after the due date members are reminded. An event that says a loan is overdue is the
    first of these reminders, so that whichever comes first is the only one.
    Raises ValueError for an event with an amount or an id that is none.
    """
    telling = TOLD.get(event.type)
    if telling is None or not telling.only_if(event.data):
        return None
    data = {name: value for name in telling.fields if (value := _plain(name, event.data.get(name))) is not None}
    identity = event.id
    if event.type == "LoanOverdue" and overdue_days and {"loan_id", "due_date"} <= data.keys():
        if len(data["loan_id"]) > LONGEST_ID:
            raise ValueError("a loan's id that is none")
        identity = identity_of_reminder(Kind.LOAN_OVERDUE, data["loan_id"], data["due_date"], min(overdue_days))
    return Notice(event.user_id, telling.kind, identity, data)


def _plain(name: str, value: object) -> Any:
    """Text, or an amount of money; None for anything a template could not show. Raises ValueError for a sum that is
    none: nobody is told of another one than it was."""
    if name in _AMOUNTS and value is not None:
        if not isinstance(value, Mapping) or not is_money(value):
            raise ValueError("an amount that is none")
        return plain_money(value)
    match value:
        case str():
            return value[:LONGEST_TEXT]
        case bool() | None:
            return None
        case int():
            return str(value)[:LONGEST_TEXT]
    return None
