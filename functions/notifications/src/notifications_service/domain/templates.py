"""What a template consists of: its parts and their fields, and the data fields that it may use, with samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from notifications_service.domain.kinds import Channel, Kind

DIGEST = "digest"
"""The template for several notices in one message. Every other one is named after its kind."""

TEMPLATE_NAMES: tuple[str, ...] = (*(kind.value for kind in Kind), DIGEST)

MAX_SOURCE_BYTES = 10 * 1024
"""Of one field as an administrator writes it."""

MAX_OUTPUT_BYTES = 20 * 1024
"""Of one field as it is sent."""

MAX_ITEMS = 50
"""Turns of a loop, and notices that a digest lists one by one."""


class Part(StrEnum):
    """email, sms: the messages. short: what apps show. many: this kind's lines in a message about several notices."""

    EMAIL = "email"
    SMS = "sms"
    SHORT = "short"
    MANY = "many"


FIELDS_OF_PART: Mapping[Part, tuple[str, ...]] = {
    Part.EMAIL: ("subject", "text", "html"),
    Part.SMS: ("text",),
    Part.SHORT: ("heading", "text"),
    Part.MANY: ("heading", "line"),
}

ONE_LINE = frozenset(
    {
        (Part.EMAIL, "subject"),
        (Part.SMS, "text"),
        (Part.SHORT, "heading"),
        (Part.MANY, "heading"),
        (Part.MANY, "line"),
    }
)
"""Fields in which nothing can begin a new line: neither a header of a message nor an item of a list."""

type PartText = Mapping[str, str]
"""Field -> source, for one part."""

type TemplateText = Mapping[Part, PartText]
"""The parts of a template in one language; for missing parts the built-in ones are used."""


def parts_of(name: str) -> tuple[Part, ...]:
    """All but `many` for the digest, which is about several notices already."""
    return tuple(part for part in Part if name != DIGEST or part is not Part.MANY)


def part_for(channel: Channel) -> Part:
    """What a channel shows."""
    return {Channel.EMAIL: Part.EMAIL, Channel.SMS: Part.SMS}.get(channel, Part.SHORT)


class FieldType(StrEnum):
    """text: as it stands. word: a status, role or reason, in the reader's language where it is a known one.

    moment: RFC 3339, for the filters `date` and `time`. money: for the filter `money`. groups: of a digest, each with a
    `heading` and `lines`. number: how many.
    """

    TEXT = "text"
    PROSE = "prose"
    WORD = "word"
    MOMENT = "moment"
    MONEY = "money"
    NUMBER = "number"
    GROUPS = "groups"


@dataclass(frozen=True)
class Field:
    """One name that a template may use. optional: may be empty, so a template asks before it uses it."""

    name: str
    type: FieldType
    sample: Any
    optional: bool = False


LIBRARY_NAME = Field("library_name", FieldType.TEXT, "Smart Library")
MEMBER_NAME = Field("member_name", FieldType.TEXT, "Grace Gray")
ALWAYS = (LIBRARY_NAME, MEMBER_NAME)
"""Every template has them."""

_TITLE = Field("title", FieldType.TEXT, "The Left Hand of Darkness")
_BOOK_ID = Field("book_id", FieldType.TEXT, "01JD8Y5M2N3P4Q5R6S7T8V9W0X", optional=True)
_LOAN_ID = Field("loan_id", FieldType.TEXT, "01JD8Z1A2B3C4D5E6F7G8H9J0K", optional=True)
_DUE = Field("due_date", FieldType.MOMENT, "2026-12-05T20:59:59Z", optional=True)
_RETURNED = Field("return_date", FieldType.MOMENT, "2026-12-01T09:30:00Z", optional=True)
_PICKUP = Field("pickup_until", FieldType.MOMENT, "2026-11-28T17:00:00Z", optional=True)
_AMOUNT = Field("amount", FieldType.MONEY, {"amount": "2.50", "currency": "USD"})
_REASON = Field("reason", FieldType.WORD, "overdue", optional=True)
_RECEIPT = Field("receipt_number", FieldType.TEXT, "R-2026-000123", optional=True)
_OLD_STATUS = Field("old", FieldType.WORD, "pending", optional=True)
_NEW_STATUS = Field("new", FieldType.WORD, "active")
_UNTIL = Field("until", FieldType.MOMENT, "2027-11-21T00:00:00Z", optional=True)
_OLD_ROLE = Field("old", FieldType.WORD, "student", optional=True)
_NEW_ROLE = Field("new", FieldType.WORD, "faculty")
_SUBJECT = Field("subject", FieldType.TEXT, "Closed on Friday")
_MESSAGE = Field("message", FieldType.PROSE, "The library is closed on Friday.\n\nWe are back on Saturday at nine.")

COUNT = Field("count", FieldType.NUMBER, 3)
_GROUPS = Field(
    "groups",
    FieldType.GROUPS,
    [
        {"heading": "You borrowed 2 items", "lines": ["The Dispossessed", "The Lathe of Heaven"]},
        {"heading": "A hold is ready", "lines": ["Kindred"]},
    ],
)
SAMPLE_GROUPS: Mapping[Kind, tuple[str, ...]] = {
    Kind.LOAN_ISSUED: ("The Dispossessed", "The Lathe of Heaven"),
    Kind.HOLD_READY: ("Kindred",),
}
"""Titles by kind, from which a preview of the digest makes its groups in its own language."""

_LOAN = (_TITLE, _DUE, _RETURNED, _BOOK_ID, _LOAN_ID)
_HOLD = (_TITLE, _PICKUP)
_FINE = (_AMOUNT, _REASON, _RECEIPT)

_OWN: Mapping[str, tuple[Field, ...]] = {
    Kind.WELCOME: (),
    Kind.MEMBERSHIP_CHANGED: (_OLD_STATUS, _NEW_STATUS, _UNTIL),
    Kind.ROLE_CHANGED: (_OLD_ROLE, _NEW_ROLE),
    Kind.PASSWORD_CHANGED: (),
    Kind.LOAN_ISSUED: _LOAN,
    Kind.LOAN_RENEWED: _LOAN,
    Kind.LOAN_RETURNED: _LOAN,
    Kind.LOAN_DUE_SOON: _LOAN,
    Kind.LOAN_OVERDUE: _LOAN,
    Kind.LOAN_LOST: _LOAN,
    Kind.HOLD_PLACED: _HOLD,
    Kind.HOLD_READY: _HOLD,
    Kind.HOLD_EXPIRED: _HOLD,
    Kind.HOLD_CANCELLED: _HOLD,
    Kind.FINE_CHARGED: _FINE,
    Kind.FINE_PAID: _FINE,
    Kind.FINE_WAIVED: _FINE,
    Kind.ANNOUNCEMENT: (_SUBJECT, _MESSAGE),
    DIGEST: (COUNT, _GROUPS),
}


def own_fields(name: str) -> tuple[Field, ...]:
    """The fields of a template besides those that all have."""
    return _OWN[name]


def fields_of(name: str, *, several: bool = False) -> tuple[Field, ...]:
    """All fields of a template. several: of its part for messages about several notices, which has their count."""
    return (*ALWAYS, *_OWN[name], *((COUNT,) if several else ()))


def samples_of(name: str) -> dict[str, Any]:
    """Sample data for a preview: every field with a value."""
    return {field.name: field.sample for field in (*ALWAYS, *_OWN[name])}
