"""The keys tokens are checked with, fetched when a token first needs them and remembered, so that a warm check needs
no call: a process that only ever sees people's tokens reads no service's secret."""

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
from library_common.tokens import SignerUnknown, TokenRefused, TokenVerifier, VerifiedToken, claimed_service

LOOK_AGAIN_SECONDS = 10.0
"""Tokens of unknown signers make this process look for newer keys at most this often: they may be made up. And so
often it tries to read a secret that could not be read: each try may be seconds of somebody else's request."""


class Source(Protocol):
    """Where keys come from: `library_common.ttl_cache.TtlCache`."""

    def get(self) -> str: ...

    def get_fresh(self, *, pause: float) -> str: ...


@dataclass
class Keyring:
    """Checks people's tokens with the published public keys, a service's with every key of its secret's ring.

    A service whose secret cannot be read, or holds no ring, has no keys until it can: its tokens are refused, and
    nobody else's. Without the published keys no person's token is checked at all.

    jwks: the published keys. services: service name -> (its secret, the scopes its tokens may claim).
    """

    jwks: Source
    services: Mapping[str, tuple[Source, frozenset[str]]]
    monotonic: Callable[[], float] = time.monotonic
    _verifiers: dict[str | None, tuple[str | None, TokenVerifier]] = field(default_factory=dict, init=False)
    """Signer -> what its keys were read from, and the verifier with them."""
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
        service = claimed_service(token)
        verifier = self.verifier(service)
        try:
            return verifier.verify_from(service, token, now)
        except SignerUnknown:
            self._look_again(service)
            newer = self.verifier(service)
            if newer is verifier:
                raise
        return newer.verify_from(service, token, now)

    def verifier(self, service: str | None) -> TokenVerifier:
        """The verifier for the tokens of a service, or of people (None), with the keys as they are now; built anew
        only when they changed. Raises TokenRefused when there is no such service."""
        if service is None:
            stored: str | None = self.jwks.get()
        elif service in self.services:
            stored = self._secret(service)
        else:
            raise TokenRefused("unknown service")
        known = self._verifiers.get(service)
        if known is not None and known[0] == stored:
            return known[1]
        verifier = self._built(service, stored)
        self._verifiers[service] = (stored, verifier)
        return verifier

    def _built(self, service: str | None, stored: str | None) -> TokenVerifier:
        if service is None:
            return TokenVerifier(json.loads(stored or ""), {})
        return TokenVerifier({}, {service: (_accepted(service, stored), self.services[service][1])})

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
            source.get_fresh(pause=LOOK_AGAIN_SECONDS)
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
