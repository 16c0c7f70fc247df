"""The keys tokens are checked with. They are fetched when a token first needs them and kept, so that a warm check needs
no call. A process that only ever sees people's tokens reads no service's key."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gateway_service.overlap import VERIFIER_SECONDS
from gateway_service.settings import GatewaySettings
from library_common.configuration import parameter, secrets_under
from library_common.key_rings import granted_scopes, secret_ring
from library_common.telemetry import count, logger
from library_common.tokens import SignerUnknown, TokenVerifier, VerifiedToken, claimed_service

LOOK_AGAIN_SECONDS = 10.0
"""Tokens of unknown signers make this process look for newer keys at most this often: they may be made up. And so
often it tries to read keys that could not be read: each try may be seconds of somebody else's request."""


class Source[Value](Protocol):
    """Where keys come from: `library_common.ttl_cache.TtlCache`."""

    def get(self) -> Value: ...

    def get_fresh(self, *, pause: float) -> Value: ...


@dataclass
class Keyring:
    """Checks people's tokens with the published public keys, a service's with every key of its ring.

    A service whose ring cannot be read has no keys until it can: its tokens are refused, and nobody else's. Without
    the published keys no person's token is checked at all.

    jwks: the published keys. services: service name -> the text that holds its ring and its scopes.
    """

    jwks: Source[str]
    services: Source[Mapping[str, str]]
    monotonic: Callable[[], float] = time.monotonic
    _verifiers: dict[str | None, tuple[str, TokenVerifier]] = field(default_factory=dict, init=False)
    """Signer -> what its keys were read from, and the verifier with them."""
    _unread_until: float | None = field(default=None, init=False)

    @classmethod
    def from_settings(cls, settings: GatewaySettings) -> "Keyring":
        return cls(
            jwks=parameter(settings.verification_keys_parameter, seconds=VERIFIER_SECONDS),
            services=secrets_under(settings.service_keys_path, seconds=VERIFIER_SECONDS),
        )

    def verify(self, token: str, now: datetime) -> VerifiedToken:
        """Raises TokenRefused, and what reading the published keys raised when there are none to go on with.

        A signer that is not known here may be newer than the keys kept here: a service may have been deployed just
        now, and after a forced rotation nothing was published beforehand. So they are fetched once more before its
        token is refused.
        """
        service = claimed_service(token)
        try:
            verifier = self.verifier(service)
            return verifier.verify_from(service, token, now)
        except SignerUnknown:
            self._look_again(service)
            return self.verifier(service).verify_from(service, token, now)

    def verifier(self, service: str | None) -> TokenVerifier:
        """The verifier for the tokens of a service, or of people (None), with the keys as they are now; built anew
        only when they changed. Raises SignerUnknown when there is no such service."""
        if service is None:
            stored = self.jwks.get()
        else:
            found = self._service_texts().get(service)
            if found is None:
                raise SignerUnknown("unknown service", service)
            stored = found
        known = self._verifiers.get(service)
        if known is not None and known[0] == stored:
            return known[1]
        verifier = _built(service, stored)
        self._verifiers[service] = (stored, verifier)
        return verifier

    def _service_texts(self) -> Mapping[str, str]:
        """None of any service while they cannot be read."""
        if self._is_unread():
            return {}
        try:
            return self.services.get()
        except Exception:  # noqa: BLE001 - whatever it was: services have no keys, and people have theirs
            self._unread_until = self.monotonic() + LOOK_AGAIN_SECONDS
            logger().warning("service keys unread")
            count("KeysUnread")
            return {}

    def _look_again(self, service: str | None) -> None:
        if service is not None and self._is_unread():
            return
        try:
            if service is None:
                self.jwks.get_fresh(pause=LOOK_AGAIN_SECONDS)
            else:
                self.services.get_fresh(pause=LOOK_AGAIN_SECONDS)
        except Exception:  # noqa: BLE001 - whatever it was: the token is refused with the keys there are
            count("KeysUnread")

    def _is_unread(self) -> bool:
        """Whether the services' keys could not be read a moment ago."""
        return self._unread_until is not None and self.monotonic() < self._unread_until


def _built(service: str | None, stored: str) -> TokenVerifier:
    if service is None:
        return TokenVerifier(json.loads(stored), {})
    try:
        ring, scopes = secret_ring(stored), granted_scopes(stored)
    except Exception:  # noqa: BLE001 - text of any kind may be in it; what is wrong with it may say what is in it
        logger().warning("service key unread", extra={"key_of": service})
        count("KeysUnread")
        ring, scopes = None, frozenset[str]()
    return TokenVerifier({}, {service: (ring.keys if ring is not None else (), scopes)})
