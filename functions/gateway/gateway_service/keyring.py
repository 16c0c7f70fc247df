"""The keys tokens are checked with, fetched once and remembered, so that a warm check needs no call."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway_service.settings import GatewaySettings
from library_common.configuration import parameter, secret
from library_common.remembered import Remembered
from library_common.tokens import TokenVerifier


@dataclass
class Keyring:
    """Builds a TokenVerifier from the published public keys and the services' secrets.

    A secret is a JSON object with `current` and, during a rotation, `previous`.
    """

    jwks: Callable[[], str]
    services: dict[str, tuple[Callable[[], str], frozenset[str]]]
    _sources: tuple[str, ...] = field(default=(), init=False)
    _verifier: TokenVerifier | None = field(default=None, init=False)

    @classmethod
    def from_settings(cls, settings: GatewaySettings) -> "Keyring":
        jwks: Remembered[str] = parameter(settings.verification_keys_parameter)
        services = {
            name: (secret(identity.secret_arn).get, frozenset(identity.scopes.split()))
            for name, identity in settings.service_identities.items()
        }
        return cls(jwks=jwks.get, services=services)

    def verifier(self) -> TokenVerifier:
        """The verifier for the keys as they are now; built anew only when one of them changed."""
        jwks = self.jwks()
        secrets = {name: fetch() for name, (fetch, _) in self.services.items()}
        sources = (jwks, *secrets.values())
        if self._verifier is None or sources != self._sources:
            accepted = {name: (_accepted(secrets[name]), self.services[name][1]) for name in self.services}
            self._verifier = TokenVerifier(json.loads(jwks), accepted)
            self._sources = sources
        return self._verifier


def _accepted(secret_json: str) -> tuple[str, ...]:
    stored = json.loads(secret_json)
    return tuple(stored[name] for name in ("current", "previous") if stored.get(name))
