"""Tokens: minting and checking, side by side so that the two cannot drift apart.

People carry ES256 access tokens signed with the library's key. Services carry short HS256 tokens
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
"""What reading a token raises, also of what PyJWT lets through: claims of any type, JSON of any depth."""


class TokenRefused(Exception):
    """The token proves nothing: malformed, expired, wrongly signed, for somebody else."""


class SignerUnknown(TokenRefused):
    """No key that is known here has signed it: it is made up, or the keys known here are out of date.

    service: the service that it claims to come from; None for a person's token.
    """

    def __init__(self, why: str, service: str | None) -> None:
        super().__init__(why)
        self.service = service


@dataclass(frozen=True)
class VerifiedToken:
    """What a good token proves."""

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
        """The key that signs now, out of a secret with a ring of them (`key_rings`) or with this one alone.

        Raises KeyError when there is no key in it yet.
        """
        return cls.from_jwk(json.loads(text)["current"])

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> "SigningKey":
        """Reads what `private_jwk` gave. Raises KeyError without a key id."""
        return cls(jwk["kid"], jwk)

    def to_json(self) -> str:
        """For the secret: a ring of this key alone. Private."""
        return json.dumps({"current": self.private_jwk()})

    def private_jwk(self) -> dict[str, Any]:
        """The whole key. Private."""
        return {**self._private_jwk, "kid": self.kid, "alg": "ES256", "use": "sig"}

    def public_jwk(self) -> dict[str, Any]:
        """What others verify with."""
        public = {name: self._private_jwk[name] for name in ("kty", "crv", "x", "y")}
        return {**public, "kid": self.kid, "alg": "ES256", "use": "sig"}

    def public_jwks_json(self) -> str:
        """The JWKS document of this key alone."""
        return json.dumps({"keys": [self.public_jwk()]})

    @cached_property
    def _parsed(self) -> jwt.PyJWK:
        return jwt.PyJWK({**self._private_jwk, "kid": self.kid, "alg": "ES256"})

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A compact JWS. The key is parsed the first time only."""
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
    """A person's access token: `sub` is the user id, `sid` the session that it belongs to, `sep` the account's
    session epoch at login: revoking all of somebody's sessions begins a new one."""
    return key.sign(
        {
            **({"sid": session} if session is not None else {}),
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "role": Role(role).value,
            "sep": epoch,
            "jti": new_id(),
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
        }
    )


def mint_service_token(
    secret: str, *, service: str, scopes: frozenset[str], now: datetime, lifetime: timedelta = SERVICE_LIFETIME
) -> str:
    """A service's token, signed with the service's own secret."""
    claims = {
        "iss": f"{_SERVICE_ISSUER_PREFIX}{service}",
        "aud": AUDIENCE,
        "sub": service,
        "scope": " ".join(sorted(scopes)),
        "jti": new_id(),
        "iat": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
    }
    return jwt.encode(claims, secret, algorithm="HS256")


def claimed_service(token: str) -> str | None:
    """The service that a token claims to come from, None for a person's. Proves nothing: it says whose keys to take.

    Raises TokenRefused for what is no token.
    """
    try:
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except _UNREADABLE as exc:
        raise TokenRefused(type(exc).__name__) from exc
    if isinstance(issuer, str) and issuer.startswith(_SERVICE_ISSUER_PREFIX):
        return issuer.removeprefix(_SERVICE_ISSUER_PREFIX)
    return None


class TokenVerifier:
    """Checks tokens of both kinds without a network call.

    jwks: the public keys for people's tokens. services: service name -> (accepted secrets, scopes it
    may claim); several secrets during a rotation. The algorithm is fixed by the kind of issuer,
    never taken from the token, so `none` and key-confusion tokens do not verify.
    """

    def __init__(self, jwks: Mapping[str, Any], services: Mapping[str, tuple[tuple[str, ...], frozenset[str]]]) -> None:
        self._keys = {entry["kid"]: jwt.PyJWK({**entry, "alg": "ES256"}) for entry in jwks.get("keys", [])}
        self._services = dict(services)

    def verify(self, token: str, now: datetime) -> VerifiedToken:
        """Raises TokenRefused; SignerUnknown when other keys than those known here might say otherwise."""
        return self.verify_from(claimed_service(token), token, now)

    def verify_from(self, service: str | None, token: str, now: datetime) -> VerifiedToken:
        """As `verify`, for whom `claimed_service` read the token's claim already."""
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
                raise TokenRefused("scope beyond what the service may claim")
            return VerifiedToken(kind="service", subject=service, token_id=str(claims["jti"]), scopes=scopes)
        raise SignerUnknown("wrong secret" if secrets else "no secret", service)


def _decode(token: str, key: AllowedPublicKeys | str, algorithm: str, issuer: str, now: datetime) -> dict[str, Any]:
    # PyJWT reads the clock itself; ours is injected, so the time claims are checked here.
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
    moment = now.astimezone(UTC).timestamp()
    expires, issued, begins = float(claims["exp"]), float(claims["iat"]), float(claims.get("nbf", 0))
    if not all(map(math.isfinite, (expires, issued, begins))):
        # Python's JSON knows NaN and Infinity; neither is ever over.
        raise jwt.DecodeError("no moment")
    if moment >= expires + CLOCK_SKEW_SECONDS:
        raise jwt.ExpiredSignatureError("expired")
    if issued > moment + CLOCK_SKEW_SECONDS:
        raise jwt.ImmatureSignatureError("issued in the future")
    if begins > moment + CLOCK_SKEW_SECONDS:
        raise jwt.ImmatureSignatureError("not good yet")
    return claims
