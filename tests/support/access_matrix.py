"""Who may call what: every route by every kind of caller, and what each declaration means for each of them.

The routes come from the API's definition and the services' OpenAPI documents, so a new route is in the matrix by
existing. What is expected follows from what the route declares (`x-access`) and from the authorizer the API gives it.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from library_common.access import Role
from library_common.key_rings import Ring, public_jwks_json, signing_ring_json
from library_common.tokens import AUDIENCE, ISSUER, SigningKey, mint_access_token, mint_service_token
from tests.architecture.deployment import Declared, api_routes, service_identities


@dataclass(frozen=True)
class Route:
    """One method of one path: the authorizer in front of it, and what its service declares of it.

    service: the package that answers. body: the fields a body may have; None when none is taken.
    """

    service: str
    method: str
    path: str
    authorizer: str
    access: Mapping[str, Any]
    body: frozenset[str] | None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Caller:
    """Somebody with (or without) a token. proves: nothing, or that it is a `person` or a `service`."""

    name: str
    token: str | None = field(repr=False)
    proves: str | None = None
    role: str | None = None
    scopes: frozenset[str] = frozenset()
    owner: bool = False


@dataclass(frozen=True)
class Things:
    """What there is to be asked for, by the name of the path parameter; all of it one member's."""

    ids: Mapping[str, str]

    @property
    def owner(self) -> str:
        return self.ids["user_id"]


@dataclass(frozen=True)
class Asked:
    """A request: path, query and body."""

    path: str
    query: Mapping[str, str]
    body: Mapping[str, str] | None


def expected(route: Route, caller: Caller) -> str:  # noqa: PLR0911 - one line per rule
    """`in`, or the status that keeps the caller out."""
    if route.authorizer == "NONE":
        return "in"
    if caller.token is None:
        return "in" if route.authorizer == "OptionalToken" else "401"
    if caller.proves is None:
        return "401"
    access = route.access
    if access.get("public"):
        return "in"
    if caller.proves == "service":
        return "in" if access.get("scope") in caller.scopes else "403"
    if (caller.role == "admin" and (access.get("admin") or access.get("librarian"))) or (
        caller.role == "librarian" and access.get("librarian")
    ):
        return "in"
    if not access.get("member"):
        return "403"
    if caller.owner or access["own"] == "caller":
        return "in"
    return "403" if access["own"].startswith("body:") or caller.role in {"librarian", "admin"} else "404"


# -- the routes -----------------------------------------------------------------------------------


def declared() -> dict[tuple[str, str], tuple[str, Declared]]:
    """Every route of the API but the preflights, with the package of the service behind it."""
    return {route.key: (f"{service}_service", route) for service, route in api_routes()}


def routes(documents: Mapping[str, Mapping[str, Any]]) -> list[Route]:
    """The routes of the API as the services' documents (by package) describe them. Both must list the same."""
    described = {
        (method.upper(), path): (document, operation)
        for document in documents.values()
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert described.keys() == declared().keys(), "the API and the documents list other routes"
    found = []
    for key, (service, route) in declared().items():
        document, operation = described[key]
        fields = _body_fields(document, operation)
        found.append(Route(service, route.method, route.path, route.authorizer, operation["x-access"], fields))
    return found


def path_parameters(path: str) -> list[str]:
    """The names in its braces."""
    return re.findall(r"{(\w+)}", path)


def _body_fields(document: Mapping[str, Any], operation: Mapping[str, Any]) -> frozenset[str] | None:
    if "requestBody" not in operation:
        return None
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    references = [schema, *schema.get("anyOf", [])]
    names = [part["$ref"].rpartition("/")[2] for part in references if "$ref" in part]
    return frozenset(name for part in names for name in document["components"]["schemas"][part]["properties"])


def asked(route: Route, things: Things) -> Asked:
    """A request for the owner's things, with as little body as it takes to be about them."""
    path, own = route.path, route.access.get("own", "")
    for name, value in things.ids.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, f"{route}: what is to be put in?"
    place, _, name = own.partition(":")
    body: dict[str, str] | None = None
    if route.body is not None:
        body = {name: things.owner} if place == "body" else {}
        if own == "loan" and "loan_id" in route.body:
            body = {"loan_id": things.ids["loan_id"]}
    return Asked(path, {name: things.owner} if place == "query" else {}, body)


def seen(status: int, document: object) -> str:
    """`in`, or the status that kept the caller out. What a service answers to those it lets in does not matter here."""
    code = document.get("code") if isinstance(document, Mapping) else None
    if status in (401, 403):
        return str(status)
    if status == 404 and code in ("not_found", "loan_not_found"):
        return "404"
    assert status < 500 or code == "service_unavailable", document
    assert code != "no_such_route", document
    return "in"


# -- the callers ----------------------------------------------------------------------------------


def callers(
    key: SigningKey, secrets: Mapping[str, str], things: Things, strangers: Mapping[str, str], now: datetime
) -> list[Caller]:
    """Everybody. secrets: service name -> its secret. strangers: role -> id of somebody else with that role."""
    return [
        Caller("nobody", None),
        *(Caller(name, token) for name, token in _worthless(key, things.owner, now)),
        *_people(key, things.owner, strangers, now),
        *_services(secrets, now),
    ]


def _people(key: SigningKey, owner: str, strangers: Mapping[str, str], now: datetime) -> Iterator[Caller]:
    for role in Role:
        token = mint_access_token(key, subject=strangers[role.value], role=role.value, now=now)
        yield Caller(f"a {role.value}", token, "person", role.value)
    for role in (Role.STUDENT, Role.FACULTY, Role.PATRON):
        token = mint_access_token(key, subject=owner, role=role.value, now=now)
        yield Caller(f"the owner, a {role.value}", token, "person", role.value, owner=True)


def _services(secrets: Mapping[str, str], now: datetime) -> Iterator[Caller]:
    for service, granted in service_identities().items():
        for scopes in (frozenset[str](), *(frozenset({scope}) for scope in sorted(granted)), granted):
            token = mint_service_token(secrets[service], service=service, scopes=scopes, now=now)
            yield Caller(f"{service} with {sorted(scopes)}", token, "service", scopes=scopes)
        beyond = frozenset({*granted, "everything:write"})
        token = mint_service_token(secrets[service], service=service, scopes=beyond, now=now)
        yield Caller(f"{service} with more than granted", token)
        token = mint_service_token("x" * 64, service=service, scopes=granted, now=now)
        yield Caller(f"somebody who says to be {service}", token)


def _worthless(key: SigningKey, subject: str, now: datetime) -> Iterator[tuple[str, str]]:
    """Tokens that claim to be an administrator's and prove nothing."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "role": "admin",
        "jti": "T",
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(minutes=10)).timestamp()),
    }
    good = mint_access_token(key, subject=subject, role="admin", now=now)
    head, payload, signature = good.split(".")
    yield "expired", mint_access_token(key, subject=subject, role="admin", now=now - timedelta(hours=1))
    yield "not yet valid", mint_access_token(key, subject=subject, role="admin", now=now + timedelta(hours=1))
    stranger = SigningKey(key.kid, json.loads(signing_ring_json(Ring(SigningKey.generate())))["current"])
    yield "signed with another key of the same id", stranger.sign(claims)
    yield "with a signature that was changed", f"{head}.{payload}.{_changed(signature)}"
    yield "with claims that were changed", f"{head}.{_encoded({**claims, 'role': 'librarian'})}.{signature}"
    yield "for another audience", key.sign({**claims, "aud": "another-library"})
    yield "of another issuer", key.sign({**claims, "iss": "another-library"})
    yield "of an unknown role", key.sign({**claims, "role": "root"})
    yield "without an end", key.sign({name: value for name, value in claims.items() if name != "exp"})
    yield "alg none", jwt.encode(claims, "", algorithm="none", headers={"kid": key.kid})
    yield "alg none with the old signature", f"{_encoded({'alg': 'none', 'kid': key.kid})}.{payload}.{signature}"
    public = json.loads(public_jwks_json([key]))["keys"][0]
    pem = jwt.PyJWK({**public, "alg": "ES256"}).key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name, secret in {"PEM": pem, "JWK": json.dumps(public).encode()}.items():
        yield f"HS256 with the public key as {name}", _hs256(claims, key.kid, secret)
    yield "no token at all", "nonsense"


def _hs256(claims: Mapping[str, Any], kid: str, secret: bytes) -> str:
    # By hand: PyJWT itself refuses to take a public key for a secret.
    signed = f"{_encoded({'alg': 'HS256', 'typ': 'JWT', 'kid': kid})}.{_encoded(claims)}"
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _encoded(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def _changed(signature: str) -> str:
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[7] ^= 1
    return base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
