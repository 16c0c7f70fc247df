"""Where the keys of a small library come from."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway_service.keyring import Keyring
from library_common.tokens import SigningKey, VerifiedToken

SCOPES = frozenset({"users:read", "inventory:write"})


class Told:
    """A source whose answer is what a test says: remembered until it is asked anew."""

    def __init__(self, read: Callable[[], str], *, fresh: bool = True) -> None:
        self._read = read
        self._value = read()
        self.fresh = fresh
        self.asked_anew = 0

    def get(self) -> str:
        """fresh: as if the source were asked each time."""
        return self._read() if self.fresh else self._value

    def get_fresh(self, *, pause: float) -> str:
        self.asked_anew += 1
        self._value = self._read()
        return self._value


@dataclass
class Sources:
    """The parameter and the secret as they are at the moment."""

    key: SigningKey = field(default_factory=SigningKey.generate)
    jwks: str = ""
    loans_secret: str = json.dumps({"current": "s" * 64})

    def __post_init__(self) -> None:
        self.jwks = self.key.public_jwks_json()

    def keyring(self, *, fresh: bool = True) -> Keyring:
        """A keyring on these; fresh=False: one that remembers what it has until it asks anew."""
        return Keyring(
            jwks=Told(lambda: self.jwks, fresh=fresh),
            services={"loans": (Told(lambda: self.loans_secret, fresh=fresh), SCOPES)},
        )


@dataclass
class Revoked:
    """Implements `authorizer.Revocations`: user id -> the first epoch whose tokens are good."""

    epochs: dict[str, int] = field(default_factory=dict)

    def revokes(self, token: VerifiedToken) -> bool:
        return token.epoch < self.epochs.get(token.subject, 0)
