"""Identifiers: ULIDs, 26 characters of Crockford base 32."""

import hashlib
import re
from datetime import datetime

from ulid import ULID

ID_PATTERN = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def new_id() -> str:
    """A fresh ULID."""
    return str(ULID())


def derived_id(*parts: str) -> str:
    """The same id for the same parts: SHA-256, cut to the 128 bits of a ULID.

    For requests that find their own earlier result by their idempotency key.
    """
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return str(ULID.from_bytes(digest[:16]))


def dated_id(moment: datetime, *parts: str) -> str:
    """The same id for the same time and parts. Ids sort by their times."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return str(ULID.from_bytes(int(moment.timestamp() * 1000).to_bytes(6) + digest[:10]))


def smallest_id_at(moment: datetime) -> str:
    """The smallest id of that time: no id of that time or later sorts before it. Times before 1970 count as 1970."""
    return str(ULID.from_bytes(max(0, int(moment.timestamp() * 1000)).to_bytes(6) + bytes(10)))


def time_of_id(id_: str) -> datetime:
    """When the id was made, or the time it was made for. Raises ValueError for text that is not an id."""
    return ULID.from_str(id_).datetime


def is_id(text: str) -> bool:
    """Whether `text` is a well-formed id. Nothing with this id needs to exist."""
    return ID_PATTERN.fullmatch(text) is not None
