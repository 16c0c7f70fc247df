"""Where the keys of a small library come from."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway_service.keyring import Keyring
from library_common.key_rings import public_jwks_json
from library_common.tokens import SigningKey, VerifiedToken
from library_common.ttl_cache import TtlCache

SCOPES = frozenset({"users:read", "inventory:write"})


def parameter(ring: object, scopes: frozenset[str] = SCOPES) -> str:
    """A service's parameter, with its ring and its scopes."""
    assert isinstance(ring, dict)
    return json.dumps({"scopes": " ".join(sorted(scopes)), **ring})


class CachedSource[Value](TtlCache[Value]):
    """The value of `read`, cached until a fresh one is asked for, whatever the time.

    always_fresh: as if the cache ended before each call. down: reading fails.
    """

    def __init__(self, read: Callable[[], Value], *, always_fresh: bool = True) -> None:
        super().__init__(read, seconds=0)
        self._read = read
        self._known = read()
        self._always_fresh = always_fresh
        self.down = False
        self.reads = 0
        self.refreshes = 0

    def get(self) -> Value:
        if self._always_fresh or self.down:
            self._fetch_again()
        return self._known

    def get_fresh(self, *, pause: float) -> Value:
        self.refreshes += 1
        self._fetch_again()
        return self._known

    def _fetch_again(self) -> None:
        self.reads += 1
        if self.down:
            raise ConnectionError("parameter store down")
        self._known = self._read()


@dataclass
class Sources:
    """The parameters as they are at the moment."""

    key: SigningKey = field(default_factory=SigningKey.generate)
    jwks: str = ""
    services: dict[str, str] = field(default_factory=lambda: {"loans": parameter({"current": "s" * 64})})

    def __post_init__(self) -> None:
        self.jwks = public_jwks_json([self.key])

    def published(self, *, always_fresh: bool = True) -> CachedSource[str]:
        return CachedSource(lambda: self.jwks, always_fresh=always_fresh)

    def service_keys(self, *, always_fresh: bool = True) -> CachedSource[Mapping[str, str]]:
        return CachedSource(lambda: dict(self.services), always_fresh=always_fresh)

    def keyring(self, *, always_fresh: bool = True) -> Keyring:
        """A keyring on these; always_fresh=False: one that caches what it has read."""
        return Keyring(
            jwks=self.published(always_fresh=always_fresh), services=self.service_keys(always_fresh=always_fresh)
        )


@dataclass
class Revoked:
    """Implements `authorizer.Revocations`: user id -> the first epoch whose tokens are good."""

    epochs: dict[str, int] = field(default_factory=dict)

    def revokes(self, token: VerifiedToken) -> bool:
        return token.epoch < self.epochs.get(token.subject, 0)
