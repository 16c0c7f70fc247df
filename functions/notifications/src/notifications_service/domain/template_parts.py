"""What a wording consists of: the parts of a template, and what each says by which fields."""

from collections.abc import Mapping
from enum import StrEnum

from notifications_service.domain.kinds import Channel, Kind

DIGEST = "digest"
"""The template that several notices in one message are written with. Every other one is named after its kind."""

TEMPLATE_NAMES: tuple[str, ...] = (*(kind.value for kind in Kind), DIGEST)

MAX_SOURCE_BYTES = 10 * 1024
"""Of one field as an administrator writes it."""

MAX_OUTPUT_BYTES = 20 * 1024
"""Of one field as it is sent."""

MAX_ITEMS = 50
"""Turns of a loop, and notices that a digest tells of one by one."""


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

type Wording = Mapping[Part, PartText]
"""The parts of a template in one language; those it leaves out are the built-in ones."""


def parts_of(name: str) -> tuple[Part, ...]:
    """The digest is about several notices already."""
    return tuple(part for part in Part if name != DIGEST or part is not Part.MANY)


def part_for(channel: Channel) -> Part:
    """What a channel shows."""
    return {Channel.EMAIL: Part.EMAIL, Channel.SMS: Part.SMS}.get(channel, Part.SHORT)
