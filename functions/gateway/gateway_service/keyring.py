"""The keys tokens are checked with, fetched once and remembered, so that a warm check needs no call."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gateway_service.overlap import VERIFIER_SECONDS
from gateway_service.settings import GatewaySettings
from library_common.configuration import parameter, secret
from library_common.key_rings import secret_ring
from library_common.telemetry import count, logger
from library_common.tokens import SignerUnknown, TokenVerifier, VerifiedToken

LOOK_AGAIN_SECONDS = 10.0
"""Tokens of unknown signers make this process look for newer keys at most this often: they may be made up. And so
often it tries to read a secret that could not be read: each try may be seconds of somebody else's request."""


class Source(Protocol):
    """Where keys come from: `library_common.remembered.Remembered`."""

    def get(self) -> str: ...

    def get_anew(self, *, pause: float) -> str: ...


@dataclass
class Keyring:
    """Checks tokens with the published public keys and the services' secrets, every key of each ring.

    A service whose secret cannot be read, or holds no ring, has no keys until it can: its tokens are refused, and
    nobody else's. Without the published keys nothing is checked at all.

    jwks: the published keys. services: service name -> (its secret, the scopes its tokens may claim).
    """

    jwks: Source
    services: Mapping[str, tuple[Source, frozenset[str]]]
    monotonic: Callable[[], float] = time.monotonic
    _sources: tuple[str | None, ...] = field(default=(), init=False)
    _verifier: TokenVerifier | None = field(default=None, init=False)
    _unread_until: dict[str, float] = field(default_factory=dict, init=False)

    @classmethod
    def from_settings(cls, settings: GatewaySettings) -> "Keyring":
        services = {
            name: (secret(identity.secret_arn, seconds=VERIFIER_SECONDS), frozenset(identity.scopes.split()))
            for name, identity in settings.service_identities.items()
        }
        return cls(jwks=parameter(settings.verification_keys_parameter, seconds=VERIFIER_SECONDS), services=services)

    def verify(self, token: str, now: datetime) -> VerifiedToken:
        """Raises TokenRefused, and what reading the published keys raised when there are none to go on with.

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
        secrets = {name: self._secret(name) for name in self.services}
        sources = (jwks, *secrets.values())
        if self._verifier is None or sources != self._sources:
            accepted = {name: (_accepted(name, secrets[name]), self.services[name][1]) for name in self.services}
            self._verifier = TokenVerifier(json.loads(jwks), accepted)
            self._sources = sources
        return self._verifier

    def _secret(self, name: str) -> str | None:
        """None while it cannot be read."""
        if self._is_unread(name):
            return None
        try:
            return self.services[name][0].get()
        except Exception:  # noqa: BLE001 - whatever it was: this service has no keys, and everybody else has theirs
            self._unread_until[name] = self.monotonic() + LOOK_AGAIN_SECONDS
            _report_unread(name)
            return None

    def _look_again(self, service: str | None) -> None:
        if service is not None and self._is_unread(service):
            return
        source = self.jwks if service is None else self.services[service][0]
        try:
            source.get_anew(pause=LOOK_AGAIN_SECONDS)
        except Exception:  # noqa: BLE001 - whatever it was: the token is refused with the keys there are
            count("KeysUnread")

    def _is_unread(self, service: str) -> bool:
        """Whether its secret could not be read a moment ago."""
        return service in self._unread_until and self.monotonic() < self._unread_until[service]


def _accepted(service: str, stored: str | None) -> tuple[str, ...]:
    if stored is None:
        return ()
    try:
        ring = secret_ring(stored)
    except Exception:  # noqa: BLE001 - text of any kind may be in it
        _report_unread(service)
        return ()
    return ring.keys if ring is not None else ()


def _report_unread(service: str) -> None:
    """The name and nothing else: what is wrong with a secret may say what is in it."""
    logger().warning("service secret unread", extra={"secret_of": service})
    count("KeysUnread")
