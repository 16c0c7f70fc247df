"""Making and verifying tokens.

People have ES256 access tokens, signed with the library's key. Services have short-lived HS256 tokens,
signed with their own secret, which only they and the authorizer can read.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Literal

import jwt
from jwt.algorithms import AllowedPublicKeys
from jwt.exceptions import InvalidSignatureError
from jwt.exceptions import InvalidTokenError as _JwtError

from library_common.access import Role
from library_common.ids import new_id

ISSUER = "smart-library"
AUDIENCE = "smart-library-api"
ACCESS_LIFETIME = timedelta(minutes=15)
SERVICE_LIFETIME = timedelta(minutes=5)
CLOCK_SKEW_SECONDS = 5
_SERVICE_ISSUER_PREFIX = "service:"
_UNREADABLE = (_JwtError, KeyError, ValueError, TypeError, OverflowError, RecursionError)
"""Errors from reading a token. PyJWT does not check everything: claims may have any type, JSON any depth."""


class TokenRefused(Exception):
    """The token is malformed, expired, wrongly signed or for another audience."""


class SignerUnknown(TokenRefused):
    """No known key signed the token. It is forged, or the known keys are out of date.

    service: the service that it claims to be from; None for a person's token.
    """

    def __init__(self, why: str, service: str | None) -> None:
        super().__init__(why)
        self.service = service


@dataclass(frozen=True)
class VerifiedToken:
    """The content of a valid token."""

    kind: Literal["person", "service"]
    subject: str
    token_id: str
    role: Role | None = None
    scopes: frozenset[str] = frozenset()
    session: str | None = None
    epoch: int = 0


class SigningKey:
    """A private ES256 key with its key id."""

    def __init__(self, kid: str, private_jwk: Mapping[str, Any]) -> None:
        self.kid = kid
        self._private_jwk = dict(private_jwk)

    @classmethod
    def generate(cls) -> "SigningKey":
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - only where keys are made

        algorithm = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
        jwk = json.loads(algorithm.to_jwk(ec.generate_private_key(ec.SECP256R1())))
        return cls(new_id(), jwk)

    @classmethod
    def from_json(cls, text: str) -> "SigningKey":
        """The current key in the text of a secret (see `key_rings`). Raises KeyError when it holds none."""
        return cls.from_jwk(json.loads(text)["current"])

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> "SigningKey":
        """The inverse of `private_jwk`. Raises KeyError without a key id."""
        return cls(jwk["kid"], jwk)

    def private_jwk(self) -> dict[str, Any]:
        return {**self._private_jwk, "kid": self.kid, "alg": "ES256", "use": "sig"}

    def public_jwk(self) -> dict[str, Any]:
        public = {name: self._private_jwk[name] for name in ("kty", "crv", "x", "y")}
        return {**public, "kid": self.kid, "alg": "ES256", "use": "sig"}

    @cached_property
    def _parsed(self) -> jwt.PyJWK:
        return jwt.PyJWK({**self._private_jwk, "kid": self.kid, "alg": "ES256"})

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A compact JWS. The key is parsed once."""
        return jwt.encode(dict(claims), self._parsed.key, algorithm="ES256", headers={"kid": self.kid})


def mint_access_token(
    key: SigningKey,
    *,
    subject: str,
    role: str,
    now: datetime,
    session: str | None = None,
    epoch: int = 0,
    lifetime: timedelta = ACCESS_LIFETIME,
) -> str:
    """A person's access token. `sub` is the user id, `sid` the session, `sep` the account's session epoch at login.
    Revoking all sessions of an account starts a new epoch."""
    own = {"role": Role(role).value, "sep": epoch, **({"sid": session} if session is not None else {})}
    return key.sign(_claims(ISSUER, subject, now, lifetime) | own)


def mint_service_token(
    secret: str, *, service: str, scopes: frozenset[str], now: datetime, lifetime: timedelta = SERVICE_LIFETIME
) -> str:
    """A service's token, signed with its own secret."""
    claims = _claims(f"{_SERVICE_ISSUER_PREFIX}{service}", service, now, lifetime)
    return jwt.encode(claims | {"scope": " ".join(sorted(scopes))}, secret, algorithm="HS256")


def _claims(issuer: str, subject: str, now: datetime, lifetime: timedelta) -> dict[str, Any]:
    return {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": subject,
        "jti": new_id(),
        "iat": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
    }


def claimed_service(token: str) -> str | None:
    """The service that a token claims to be from; None for a person's. The claim is not verified.

    Raises TokenRefused for text that is not a token.
    """
    try:
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except _UNREADABLE as exc:
        raise TokenRefused(type(exc).__name__) from exc
    if isinstance(issuer, str) and issuer.startswith(_SERVICE_ISSUER_PREFIX):
        return issuer.removeprefix(_SERVICE_ISSUER_PREFIX)
    return None


class TokenVerifier:
    """Verifies tokens of both kinds without a network call.

    jwks: the public keys for people's tokens. services: service name -> (accepted secrets, scopes it
    may claim). The issuer decides the algorithm, never the token's header, so tokens with `alg: none` or a public
    key used as an HMAC secret do not verify.
    """

    def __init__(self, jwks: Mapping[str, Any], services: Mapping[str, tuple[tuple[str, ...], frozenset[str]]]) -> None:
        self._keys = {entry["kid"]: jwt.PyJWK({**entry, "alg": "ES256"}) for entry in jwks.get("keys", [])}
        self._services = dict(services)

    def verify(self, token: str, now: datetime) -> VerifiedToken:
        """Raises TokenRefused; SignerUnknown when newer keys might verify the token."""
        return self.verify_from(claimed_service(token), token, now)

    def verify_from(self, service: str | None, token: str, now: datetime) -> VerifiedToken:
        """Like `verify`, when `claimed_service` was already called."""
        try:
            if service is not None:
                return self._service_token(token, service, now)
            return self._access_token(token, now)
        except _UNREADABLE as exc:
            raise TokenRefused(type(exc).__name__) from exc

    def _access_token(self, token: str, now: datetime) -> VerifiedToken:
        key = self._keys.get(str(jwt.get_unverified_header(token).get("kid")))
        if key is None:
            raise SignerUnknown("unknown key", None)
        claims = _decode(token, key.key, "ES256", ISSUER, now)
        return VerifiedToken(
            kind="person",
            subject=str(claims["sub"]),
            token_id=str(claims["jti"]),
            role=Role(claims["role"]),
            session=str(claims["sid"]) if "sid" in claims else None,
            epoch=int(claims.get("sep", 0)),
        )

    def _service_token(self, token: str, service: str, now: datetime) -> VerifiedToken:
        secrets, allowed = self._services[service]
        for secret in secrets:
            try:
                claims = _decode(token, secret, "HS256", f"{_SERVICE_ISSUER_PREFIX}{service}", now)
            except InvalidSignatureError:
                continue
            scopes = frozenset(str(claims.get("scope", "")).split())
            if not scopes <= allowed:
                raise TokenRefused("scope not granted to the service")
            return VerifiedToken(kind="service", subject=service, token_id=str(claims["jti"]), scopes=scopes)
        raise SignerUnknown("wrong secret" if secrets else "no secret", service)


def _decode(token: str, key: AllowedPublicKeys | str, algorithm: str, issuer: str, now: datetime) -> dict[str, Any]:
    # PyJWT reads the system clock. The time claims are checked here instead, against `now`.
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[algorithm],
        audience=AUDIENCE,
        issuer=issuer,
        options={
            "require": ["exp", "iat", "iss", "aud", "sub", "jti"],
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        },
    )
    seconds = now.astimezone(UTC).timestamp()
    expires, issued, begins = float(claims["exp"]), float(claims["iat"]), float(claims.get("nbf", 0))
    if not all(map(math.isfinite, (expires, issued, begins))):
        # Python's JSON accepts NaN and Infinity, with which a token would never expire.
        raise jwt.DecodeError("not a time")
    if seconds >= expires + CLOCK_SKEW_SECONDS:
        raise jwt.ExpiredSignatureError("expired")
    if issued > seconds + CLOCK_SKEW_SECONDS:
        raise jwt.ImmatureSignatureError("issued in the future")
    if begins > seconds + CLOCK_SKEW_SECONDS:
        raise jwt.ImmatureSignatureError("not valid yet")
    return claims
