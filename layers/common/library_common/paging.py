"""Pages of lists and their cursors. A cursor is opaque and belongs to one query."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from library_common.problems import FieldError, InvalidRequest


class Page[T](BaseModel):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None = None


@dataclass(frozen=True)
class Cursors:
    """Encodes and decodes the cursors of one query. query: its parameters without limit and cursor."""

    query: Mapping[str, Any]

    def encode(self, position: Mapping[str, Any] | None) -> str | None:
        """The cursor for the page after `position`, which holds plain JSON values. None at the end of the list."""
        if position is None:
            return None
        raw = json.dumps([self._fingerprint(), position], separators=(",", ":"), sort_keys=True)
        return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")

    def decode(self, cursor: str | None) -> dict[str, Any] | None:
        """The position in a cursor; None without a cursor. Raises InvalidRequest for a cursor of another query."""
        if cursor is None:
            return None
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            fingerprint, position = json.loads(raw)
        except (ValueError, TypeError, RecursionError) as exc:
            raise _bad_cursor() from exc
        if fingerprint != self._fingerprint() or not isinstance(position, dict):
            raise _bad_cursor()
        if not all(isinstance(k, str) and isinstance(v, str | int | None) for k, v in position.items()):
            raise _bad_cursor()
        return position

    def _fingerprint(self) -> str:
        canonical = json.dumps(self.query, sort_keys=True, default=str)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _bad_cursor() -> InvalidRequest:
    return InvalidRequest(
        "The cursor does not belong to this query.", errors=[FieldError("cursor", "not a cursor of this query")]
    )
