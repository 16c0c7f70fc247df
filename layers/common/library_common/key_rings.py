"""Rings of keys in secrets: the current, the next and the previous key.

The signer uses the current key; verifiers accept all keys of the ring. A new key is first the next one, so
verifiers know it before it signs anything. An old key is still accepted as the previous one. So a rotation
goes unnoticed, even by a process that reads the ring late.
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

    rotated_at: time of the last rotation; None while the secret holds the first value, which CloudFormation made.
    """

    current: Key
    next: Key | None = None
    previous: Key | None = None
    rotated_at: datetime | None = None

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys to accept, the current one first."""
        return tuple(key for key in (self.current, self.next, self.previous) if key is not None)

    def rotated(self, new: Key, at: datetime) -> "Ring[Key]":
        """The ring after a rotation. Raises ValueError without a next key: verifiers would not know the new key."""
        if self.next is None:
            raise ValueError("a ring without a next key cannot be rotated")
        return Ring(current=self.next, next=new, previous=self.current, rotated_at=at)


def signing_ring(text: str) -> Ring[SigningKey] | None:
    """The library's signing keys from their secret; None when there are none yet."""
    return _read(text, SigningKey.from_jwk)


def signing_ring_json(ring: Ring[SigningKey]) -> str:
    """The value for the secret. Private."""
    return json.dumps(_written(ring, SigningKey.private_jwk))


def secret_ring(text: str) -> Ring[str] | None:
    """A service's token secrets from the stored secret; None when there are none yet."""
    return _read(text, str)


def current_secret(text: str) -> str:
    """The secret that a service signs with now. Raises LookupError when there is none."""
    ring = secret_ring(text)
    if ring is None:
        raise LookupError("the service has no secret yet")
    return ring.current


def secret_ring_json(ring: Ring[str], scopes: str = "") -> str:
    """For the secret. Private. scopes: what tokens signed with it may claim, separated by spaces."""
    return json.dumps({"scopes": scopes, **_written(ring, str)})


def granted_scopes(text: str) -> frozenset[str]:
    """What tokens of a service may claim, out of the secret that holds its ring."""
    return frozenset(str(json.loads(text).get("scopes", "")).split())


def public_jwks_json(keys: Iterable[SigningKey]) -> str:
    """The JWKS document for verifiers."""
    return json.dumps({"keys": [key.public_jwk() for key in keys]}, separators=(",", ":"))


def _read[Key](text: str, key_of: Callable[[Any], Key]) -> Ring[Key] | None:
    stored = json.loads(text)
    slots = {name: key_of(stored[name]) if stored.get(name) else None for name in ("current", "next", "previous")}
    if slots["current"] is None:
        return None
    at = stored.get("rotated_at")
    return Ring(slots["current"], slots["next"], slots["previous"], from_rfc3339(at) if at else None)


def _written[Key](ring: Ring[Key], stored: Callable[[Key], Any]) -> dict[str, Any]:
    slots = {"current": ring.current, "next": ring.next, "previous": ring.previous}
    document = {name: stored(key) for name, key in slots.items() if key is not None}
    if ring.rotated_at is not None:
        document["rotated_at"] = to_rfc3339(ring.rotated_at)
    return document
