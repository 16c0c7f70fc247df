"""Identifiers: ULIDs (26 characters, Crockford base 32). Nobody reads meaning out of one."""

import hashlib
import re
from datetime import datetime

from ulid import ULID

ID_PATTERN = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def new_id() -> str:
    """A fresh ULID."""
    return str(ULID())


def derived_id(*parts: str) -> str:
    """The same id for the same parts, unguessable from neighbours: SHA-256 cut to a ULID's 128 bits.

    Used where a request must find its own earlier result by nothing but its idempotency key.
    """
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return str(ULID.from_bytes(digest[:16]))


def dated_id(moment: datetime, *parts: str) -> str:
    """The same id for the same moment and parts; ids sort by their moments."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return str(ULID.from_bytes(int(moment.timestamp() * 1000).to_bytes(6) + digest[:10]))


def smallest_id_at(moment: datetime) -> str:
    """Ids dated with that moment or a later one do not sort before it. What was before 1970 is its beginning."""
    return str(ULID.from_bytes(max(0, int(moment.timestamp() * 1000)).to_bytes(6) + bytes(10)))


def time_of_id(dated: str) -> datetime:
    """When the thing with this id was made, or the moment its id was dated with. Raises ValueError for no id."""
    return ULID.from_str(dated).datetime


def is_id(text: str) -> bool:
    """Whether `text` is a well-formed id (it may still name nothing)."""
    return ID_PATTERN.fullmatch(text) is not None
