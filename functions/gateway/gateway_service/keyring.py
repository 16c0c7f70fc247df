"""The keys tokens are checked with, fetched once and remembered, so that a warm check needs no call."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gateway_service.overlap import VERIFIER_SECONDS
from gateway_service.settings import GatewaySettings
from library_common.configuration import parameter, secret
from library_common.key_rings import secret_ring
from library_common.telemetry import count
from library_common.tokens import SignerUnknown, TokenVerifier, VerifiedToken

LOOK_AGAIN_SECONDS = 10.0
"""Tokens of unknown signers make this process look for newer keys at most this often: they may be made up."""


class Source(Protocol):
    """Where keys come from: `library_common.remembered.Remembered`."""

    def get(self) -> str: ...

    def get_anew(self, *, pause: float) -> str: ...


@dataclass
class Keyring:
    """Checks tokens with the published public keys and the services' secrets, every key of each ring.

    jwks: the published keys. services: service name -> (its secret, the scopes its tokens may claim).
    """

    jwks: Source
    services: Mapping[str, tuple[Source, frozenset[str]]]
    _sources: tuple[str, ...] = field(default=(), init=False)
    _verifier: TokenVerifier | None = field(default=None, init=False)

    @classmethod
    def from_settings(cls, settings: GatewaySettings) -> "Keyring":
        services = {
            name: (secret(identity.secret_arn, seconds=VERIFIER_SECONDS), frozenset(identity.scopes.split()))
            for name, identity in settings.service_identities.items()
        }
        return cls(jwks=parameter(settings.verification_keys_parameter, seconds=VERIFIER_SECONDS), services=services)

    def verify(self, token: str, now: datetime) -> VerifiedToken:
        """Raises TokenRefused.

        A signer that is not known here may be newer than the keys remembered here: after a forced rotation
        nothing was published beforehand. So they are fetched once more before its token is refused.
        """
        verifier = self.verifier()
        try:
            return verifier.verify(token, now)
        except SignerUnknown as unknown:
            self._look_again(unknown.service)
            newer = self.verifier()
            if newer is verifier:
                raise
        return newer.verify(token, now)

    def verifier(self) -> TokenVerifier:
        """The verifier for the keys as they are now; built anew only when one of them changed."""
        jwks = self.jwks.get()
        secrets = {name: source.get() for name, (source, _) in self.services.items()}
        sources = (jwks, *secrets.values())
        if self._verifier is None or sources != self._sources:
            accepted = {name: (_accepted(secrets[name]), self.services[name][1]) for name in self.services}
            self._verifier = TokenVerifier(json.loads(jwks), accepted)
            self._sources = sources
        return self._verifier

    def _look_again(self, service: str | None) -> None:
        source = self.jwks if service is None else self.services[service][0]
        try:
            source.get_anew(pause=LOOK_AGAIN_SECONDS)
        except Exception:  # noqa: BLE001 - whatever it was: the token is refused with the keys there are
            count("KeysUnread")


def _accepted(secret_json: str) -> tuple[str, ...]:
    ring = secret_ring(secret_json)
    return ring.keys if ring is not None else ()
