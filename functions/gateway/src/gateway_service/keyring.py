"""The keys tokens are checked with. They are fetched when a token first needs them and cached, so a warm check needs no
call. A process that sees only people's tokens reads no service's key."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import inf

from gateway_service.overlap import VERIFIER_SECONDS
from gateway_service.settings import GatewaySettings
from library_common.configuration import parameter, secrets_under
from library_common.key_rings import granted_scopes, secret_ring
from library_common.telemetry import count, logger
from library_common.tokens import SignerUnknown, TokenVerifier, VerifiedToken, claimed_service
from library_common.ttl_cache import TtlCache

REFRESH_PAUSE_SECONDS = 10.0
"""How often at most a token of an unknown signer makes this process fetch the keys again: anybody can make up such
tokens. Services' keys that could not be read are not tried more often either: a try may take seconds of a request."""


@dataclass
class Keyring:
    """Checks people's tokens with the published keys, and a service's tokens with the keys of its ring.

    While a service's ring cannot be read, its tokens are refused, and only its. While the published keys cannot be
    read, no person's token can be checked.

    jwks: the published keys. services: service name -> its parameter's text, with ring and scopes.
    """

    jwks: TtlCache[str]
    services: TtlCache[Mapping[str, str]]
    monotonic: Callable[[], float] = time.monotonic
    _verifiers: dict[str | None, tuple[str, TokenVerifier]] = field(default_factory=dict, init=False)
    """Signer -> the text its keys were read from, and the verifier with these keys."""
    _retry_at: float = field(default=-inf, init=False)
    """When to try again to read the services' keys, after they could not be read."""

    @classmethod
    def from_settings(cls, settings: GatewaySettings) -> "Keyring":
        return cls(
            jwks=parameter(settings.verification_keys_parameter, seconds=VERIFIER_SECONDS),
            services=secrets_under(settings.service_keys_path, seconds=VERIFIER_SECONDS),
        )

    def verify(self, token: str, now: datetime) -> VerifiedToken:
        """The caller a token proves. Raises TokenRefused, and what reading the published keys raised.

        An unknown signer may be newer than the cached keys: its service was deployed just now, or its key was made by
        a forced rotation. So the keys are fetched once more before the token is refused.
        """
        service = claimed_service(token)
        try:
            return self.verifier(service).verify_from(service, token, now)
        except SignerUnknown:
            self._refresh(service)
            return self.verifier(service).verify_from(service, token, now)

    def verifier(self, service: str | None) -> TokenVerifier:
        """The verifier for a service's tokens, or for people's (None). It is rebuilt only when the keys changed.

        Raises SignerUnknown when there is no such service.
        """
        stored = self.jwks.get() if service is None else self._service_texts().get(service)
        if stored is None:
            raise SignerUnknown("unknown service", service)
        known = self._verifiers.get(service)
        if known is None or known[0] != stored:
            known = self._verifiers[service] = (stored, _verifier(service, stored))
        return known[1]

    def _service_texts(self) -> Mapping[str, str]:
        """The parameter of each service; empty while they cannot be read."""
        if self.monotonic() < self._retry_at:
            return {}
        try:
            return self.services.get()
        except Exception:  # noqa: BLE001 - whatever it was, people's tokens can still be checked
            self._retry_at = self.monotonic() + REFRESH_PAUSE_SECONDS
            logger().warning("service keys cannot be read")
            count("KeysUnread")
            return {}

    def _refresh(self, service: str | None) -> None:
        if service is not None and self.monotonic() < self._retry_at:
            return
        source: TtlCache[str] | TtlCache[Mapping[str, str]] = self.jwks if service is None else self.services
        try:
            source.get_fresh(pause=REFRESH_PAUSE_SECONDS)
        except Exception:  # noqa: BLE001 - whatever it was, the token is checked with the cached keys
            count("KeysUnread")


def _verifier(service: str | None, stored: str) -> TokenVerifier:
    if service is None:
        return TokenVerifier(json.loads(stored), {})
    try:
        ring, scopes = secret_ring(stored), granted_scopes(stored)
    except Exception:  # noqa: BLE001 - any text may be in it; the error is not logged, since it may quote a key
        logger().warning("service key cannot be read", extra={"key_of": service})
        count("KeysUnread")
        ring, scopes = None, frozenset[str]()
    return TokenVerifier({}, {service: (ring.keys if ring is not None else (), scopes)})
