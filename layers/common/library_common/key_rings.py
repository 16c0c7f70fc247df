"""Rings of keys, as secrets hold them: what signs now, what signs next and what signed before.

Whoever checks tokens accepts every key of a ring; whoever signs takes the current one. A key is known to all
that check before it signs anything, because it has been the next one for a while, and is accepted after it
stopped signing, as the previous one. So a rotation is never noticed, however late anybody reads the ring.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.tokens import SigningKey


@dataclass(frozen=True)
class Ring[Key]:
    """One to three keys.

    rotated_at: since when `next` and `previous` are what they are; None while CloudFormation's own first
    value is in the secret.
    """

    current: Key
    next: Key | None = None
    previous: Key | None = None
    rotated_at: datetime | None = None

    @property
    def keys(self) -> tuple[Key, ...]:
        """All that is to be accepted: the current one first."""
        return tuple(key for key in (self.current, self.next, self.previous) if key is not None)

    def rotated(self, new: Key, at: datetime) -> "Ring[Key]":
        """The ring a turn further. Raises ValueError without a next key: nobody could know the one to sign with."""
        if self.next is None:
            raise ValueError("a ring without a next key cannot be rotated")
        return Ring(current=self.next, next=new, previous=self.current, rotated_at=at)


def signing_ring(text: str) -> Ring[SigningKey] | None:
    """The library's own keys out of their secret; None when there are none yet."""
    return _read(text, SigningKey.from_jwk)


def signing_ring_json(ring: Ring[SigningKey]) -> str:
    """For the secret. Private."""
    return _written(ring, SigningKey.private_jwk)


def secret_ring(text: str) -> Ring[str] | None:
    """A service's secrets out of the secret that holds them; None when there are none yet."""
    return _read(text, str)


def current_secret(text: str) -> str:
    """What a service signs with now, out of the secret that holds its ring. Raises LookupError when there is none."""
    ring = secret_ring(text)
    if ring is None:
        raise LookupError("the service's secret holds none")
    return ring.current


def secret_ring_json(ring: Ring[str], scopes: str = "") -> str:
    """For the secret. Private. scopes: what tokens signed with it may claim, separated by spaces."""
    return json.dumps({"scopes": scopes, **json.loads(_written(ring, str))})


def granted_scopes(text: str) -> frozenset[str]:
    """What tokens of a service may claim, out of the secret that holds its ring."""
    return frozenset(str(json.loads(text).get("scopes", "")).split())


def public_jwks_json(keys: Iterable[SigningKey]) -> str:
    """The JWKS document that others verify with."""
    return json.dumps({"keys": [key.public_jwk() for key in keys]}, separators=(",", ":"))


def _read[Key](text: str, key_of: Callable[[Any], Key]) -> Ring[Key] | None:
    stored = json.loads(text)
    slots = {name: key_of(stored[name]) if stored.get(name) else None for name in ("current", "next", "previous")}
    if slots["current"] is None:
        return None
    at = stored.get("rotated_at")
    return Ring(slots["current"], slots["next"], slots["previous"], from_rfc3339(at) if at else None)


def _written[Key](ring: Ring[Key], stored: Callable[[Key], Any]) -> str:
    slots = {"current": ring.current, "next": ring.next, "previous": ring.previous}
    document = {name: stored(key) for name, key in slots.items() if key is not None}
    if ring.rotated_at is not None:
        document["rotated_at"] = to_rfc3339(ring.rotated_at)
    return json.dumps(document)
