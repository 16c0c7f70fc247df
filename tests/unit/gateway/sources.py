"""Where the keys of a small library come from."""

import json
from dataclasses import dataclass, field

from gateway_service.keyring import Keyring
from library_common.tokens import SigningKey

SCOPES = frozenset({"users:read", "inventory:write"})


@dataclass
class Sources:
    """The parameter and the secret as they are at the moment."""

    key: SigningKey = field(default_factory=SigningKey.generate)
    jwks: str = ""
    loans_secret: str = json.dumps({"current": "s" * 64})

    def __post_init__(self) -> None:
        self.jwks = self.key.public_jwks_json()

    def keyring(self) -> Keyring:
        return Keyring(jwks=lambda: self.jwks, services={"loans": (lambda: self.loans_secret, SCOPES)})
