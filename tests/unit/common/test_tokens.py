"""What a token proves, and every way in which one proves nothing."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from library_common.access import Role
from library_common.key_rings import Ring, public_jwks_json, signing_ring_json
from library_common.tokens import (
    ACCESS_LIFETIME,
    AUDIENCE,
    CLOCK_SKEW_SECONDS,
    ISSUER,
    SERVICE_LIFETIME,
    SignerUnknown,
    SigningKey,
    TokenRefused,
    TokenVerifier,
    VerifiedToken,
    mint_access_token,
    mint_service_token,
)
from tests.support.clock import NOON

pytestmark = pytest.mark.unit

KEY, OTHER_KEY = SigningKey.generate(), SigningKey.generate()
SECRET, PREVIOUS_SECRET, FOREIGN_SECRET = "s" * 64, "p" * 64, "f" * 64
SCOPES = frozenset({"users:read", "inventory:write"})
VERIFIER = TokenVerifier(
    json.loads(public_jwks_json([KEY])),
    {"loans": ((SECRET, PREVIOUS_SECRET), SCOPES), "fines": ((FOREIGN_SECRET,), frozenset())},
)
PERSON: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "U",
    "role": "patron",
    "jti": "J",
    "iat": int(NOON.timestamp()),
    "exp": int(NOON.timestamp()) + 900,
}
SERVICE: dict[str, Any] = {**PERSON, "iss": "service:loans", "sub": "loans", "scope": "users:read"}


def without(claims: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key != name}


def refused(token: str, now: timedelta = timedelta()) -> str:
    """Why the verifier refuses it, as the metric counts it."""
    with pytest.raises(TokenRefused) as refusal:
        VERIFIER.verify(token, NOON + now)
    return str(refusal.value)


def unsigned(header: object, payload: object, signature: str = "") -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, payload))
    return ".".join((*parts, signature))


# -- what is good ---------------------------------------------------------------------------------


@pytest.mark.parametrize("role", list(Role))
def test_a_persons_token_proves_who_and_in_which_role(role: Role) -> None:
    proven = VERIFIER.verify(mint_access_token(KEY, subject="U", role=role.value, now=NOON), NOON)

    assert (proven.kind, proven.subject, proven.role, proven.scopes) == ("person", "U", role, frozenset())


def test_a_services_token_proves_which_and_what_it_may() -> None:
    token = mint_service_token(SECRET, service="loans", scopes=frozenset({"users:read"}), now=NOON)

    proven = VERIFIER.verify(token, NOON)

    assert (proven.kind, proven.subject, proven.role) == ("service", "loans", None)
    assert proven.scopes == {"users:read"}


def test_two_tokens_are_never_the_same() -> None:
    tokens = {mint_access_token(KEY, subject="U", role="patron", now=NOON) for _ in range(2)}

    assert len({VERIFIER.verify(token, NOON).token_id for token in tokens}) == 2


def test_a_key_survives_its_secret_and_publishes_nothing_private() -> None:
    again = SigningKey.from_json(signing_ring_json(Ring(KEY)))

    assert VERIFIER.verify(mint_access_token(again, subject="U", role="patron", now=NOON), NOON).subject == "U"
    (public,) = json.loads(public_jwks_json([KEY]))["keys"]
    assert set(public) == {"kty", "crv", "x", "y", "kid", "alg", "use"}


def test_an_empty_secret_holds_no_key() -> None:
    with pytest.raises(KeyError):
        SigningKey.from_json("{}")


@pytest.mark.parametrize("secret", [SECRET, PREVIOUS_SECRET])
def test_during_a_rotation_both_secrets_are_accepted(secret: str) -> None:
    token = mint_service_token(secret, service="loans", scopes=SCOPES, now=NOON)

    assert VERIFIER.verify(token, NOON).scopes == SCOPES


def test_during_a_rotation_both_signing_keys_are_accepted() -> None:
    keys = [json.loads(public_jwks_json([key]))["keys"][0] for key in (KEY, OTHER_KEY)]
    verifier = TokenVerifier({"keys": keys}, {})

    for key in (KEY, OTHER_KEY):
        assert verifier.verify(mint_access_token(key, subject="U", role="patron", now=NOON), NOON).subject == "U"


# -- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mint", "lifetime"),
    [
        (lambda: mint_access_token(KEY, subject="U", role="patron", now=NOON), ACCESS_LIFETIME),
        (lambda: mint_service_token(SECRET, service="loans", scopes=SCOPES, now=NOON), SERVICE_LIFETIME),
    ],
)
def test_a_token_lives_as_long_as_it_says_and_a_little_skew(mint: Callable[[], str], lifetime: timedelta) -> None:
    token = mint()
    last = lifetime + timedelta(seconds=CLOCK_SKEW_SECONDS)

    for moment in (last - timedelta(seconds=1), -timedelta(seconds=CLOCK_SKEW_SECONDS)):
        assert VERIFIER.verify(token, NOON + moment).token_id
    assert refused(token, last) == "ExpiredSignatureError"
    assert refused(token, -timedelta(seconds=CLOCK_SKEW_SECONDS + 1)) == "ImmatureSignatureError"


def test_the_injected_clock_counts_not_the_machines() -> None:
    long_ago = NOON - timedelta(days=4000)
    token = mint_access_token(KEY, subject="U", role="patron", now=long_ago)

    assert VERIFIER.verify(token, long_ago).subject == "U"


# -- what is not good -----------------------------------------------------------------------------


@pytest.mark.parametrize("claims", [{"aud": "another-api"}, {"aud": ["x"]}, {"iss": "another"}, {"role": "king"}])
def test_a_token_for_somebody_or_from_somebody_else_is_refused(claims: dict[str, Any]) -> None:
    refused(KEY.sign({**PERSON, **claims}))


@pytest.mark.parametrize("name", list(PERSON))
def test_every_claim_of_a_person_is_needed(name: str) -> None:
    refused(KEY.sign(without(PERSON, name)))


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "jti", "iat", "exp"])
def test_every_claim_of_a_service_is_needed(name: str) -> None:
    refused(jwt.encode(without(SERVICE, name), SECRET, algorithm="HS256"))


def test_without_a_scope_a_service_may_nothing_in_particular() -> None:
    proven = VERIFIER.verify(jwt.encode(without(SERVICE, "scope"), SECRET, algorithm="HS256"), NOON)

    assert proven.scopes == frozenset()


@pytest.mark.parametrize(
    "value", ["soon", None, [], {}, True, float("nan"), float("inf"), pytest.param(10**400, id="huge")]
)
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_a_moment_that_is_none_does_not_make_a_token_good_for_ever(name: str, value: object) -> None:
    token = KEY.sign({**PERSON, name: value})

    try:
        VERIFIER.verify(token, NOON + timedelta(days=365))
    except TokenRefused:
        return
    pytest.fail(f"accepted a year later with {name}={value!r}")


def test_a_token_is_not_good_before_it_says_so() -> None:
    begins = NOON + timedelta(minutes=1)
    token = KEY.sign({**PERSON, "nbf": int(begins.timestamp())})

    assert refused(token) == "ImmatureSignatureError"
    assert VERIFIER.verify(token, begins - timedelta(seconds=CLOCK_SKEW_SECONDS)).subject == "U"


def test_only_an_unknown_signer_might_be_known_elsewhere() -> None:
    """Whoever checks may look for newer keys then, and for nothing else."""
    unknown = {
        mint_access_token(OTHER_KEY, subject="U", role="patron", now=NOON): None,
        mint_service_token("x" * 64, service="loans", scopes=SCOPES, now=NOON): "loans",
    }
    for token, service in unknown.items():
        with pytest.raises(SignerUnknown) as refusal:
            VERIFIER.verify(token, NOON)
        assert refusal.value.service == service
    for token in (
        mint_access_token(KEY, subject="U", role="patron", now=NOON - timedelta(days=1)),
        mint_access_token(SigningKey(KEY.kid, OTHER_KEY.private_jwk()), subject="U", role="patron", now=NOON),
        mint_service_token("x" * 64, service="search", scopes=SCOPES, now=NOON),
        "abc",
    ):
        with pytest.raises(TokenRefused) as refusal_for_good:
            VERIFIER.verify(token, NOON)
        assert not isinstance(refusal_for_good.value, SignerUnknown)


@pytest.mark.parametrize("payload", [PERSON, SERVICE])
@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
def test_an_unsigned_token_is_refused(payload: dict[str, Any], algorithm: str) -> None:
    refused(unsigned({"alg": algorithm, "typ": "JWT", "kid": KEY.kid}, payload))


def test_a_person_signed_with_the_public_key_as_shared_secret_is_refused() -> None:
    public_jwk = public_jwks_json([KEY])
    as_pem = (
        jwt.PyJWK(json.loads(public_jwk)["keys"][0])
        .key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    for secret in (public_jwk, as_pem):
        signing_input = unsigned({"alg": "HS256", "typ": "JWT", "kid": KEY.kid}, PERSON).rsplit(".", 1)[0]
        hs256 = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        signature = base64.urlsafe_b64encode(hs256.sign(signing_input.encode(), secret.encode())).rstrip(b"=")
        refused(f"{signing_input}.{signature.decode()}")


def test_a_service_cannot_sign_for_a_person() -> None:
    refused(jwt.encode(PERSON, SECRET, algorithm="HS256", headers={"kid": KEY.kid}))


def test_the_persons_key_cannot_sign_for_a_service() -> None:
    refused(KEY.sign(SERVICE))


def test_an_unknown_key_id_is_refused() -> None:
    refused(mint_access_token(OTHER_KEY, subject="U", role="patron", now=NOON))


def test_a_foreign_key_under_a_known_id_is_refused() -> None:
    impostor = SigningKey(KEY.kid, OTHER_KEY.private_jwk())

    assert refused(mint_access_token(impostor, subject="U", role="admin", now=NOON)) == "InvalidSignatureError"


def test_another_services_secret_is_refused() -> None:
    refused(mint_service_token(FOREIGN_SECRET, service="loans", scopes=SCOPES, now=NOON))


def test_an_unknown_service_is_refused() -> None:
    refused(mint_service_token(SECRET, service="search", scopes=SCOPES, now=NOON))


@pytest.mark.parametrize("scopes", [{"users:write"}, {"users:read", "users:write"}, {"users"}, {"*"}])
def test_a_scope_beyond_what_the_service_may_claim_is_refused(scopes: set[str]) -> None:
    token = mint_service_token(SECRET, service="loans", scopes=frozenset(scopes), now=NOON)

    assert refused(token) == "scope not granted to the service"


def test_a_service_without_a_secret_is_refused() -> None:
    verifier = TokenVerifier({"keys": []}, {"loans": ((), SCOPES)})
    token = mint_service_token(SECRET, service="loans", scopes=SCOPES, now=NOON)

    with pytest.raises(TokenRefused, match="no secret"):
        verifier.verify(token, NOON)


def test_a_service_is_whom_its_issuer_names_whatever_its_subject_says() -> None:
    token = jwt.encode({**SERVICE, "sub": "admin"}, SECRET, algorithm="HS256")

    assert VERIFIER.verify(token, NOON) == VerifiedToken("service", "loans", "J", scopes=frozenset({"users:read"}))


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_changed_token_is_refused(part: int) -> None:
    parts = KEY.sign(PERSON).split(".")
    middle = len(parts[part]) // 2
    parts[part] = parts[part][:middle] + ("A" if parts[part][middle] != "A" else "B") + parts[part][middle + 1 :]

    refused(".".join(parts))


@pytest.mark.parametrize("payload", [[], "text", 7, None, {"iss": ["service:loans"]}, {"iss": "service:"}])
def test_a_payload_of_any_other_kind_is_refused(payload: object) -> None:
    refused(unsigned({"alg": "ES256", "kid": KEY.kid}, payload, "AAAA"))


@pytest.mark.parametrize("header", [[], "text", {}, {"alg": 7}, {"alg": "ES256", "kid": 7}, {"alg": "ES256"}])
def test_a_header_of_any_other_kind_is_refused(header: object) -> None:
    refused(unsigned(header, PERSON, "AAAA"))


def test_nesting_without_end_is_refused() -> None:
    depth = 100_000
    deep = base64.urlsafe_b64encode(b"[" * depth + b"]" * depth).rstrip(b"=").decode()
    plain = base64.urlsafe_b64encode(b'{"alg":"ES256"}').rstrip(b"=").decode()

    refused(f"{plain}.{deep}.AAAA")
    refused(f"{deep}.{plain}.AAAA")


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
def test_any_other_text_is_refused_and_nothing_worse(text: str) -> None:
    refused(text)


@given(
    st.dictionaries(
        st.sampled_from(list(SERVICE)),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2),
        max_size=3,
    )
)
def test_a_service_that_signs_nonsense_is_refused_and_nothing_worse(claims: dict[str, Any]) -> None:
    try:
        VERIFIER.verify(jwt.encode({**SERVICE, **claims}, SECRET, algorithm="HS256"), NOON)
    except TokenRefused:
        return
    except TypeError as exc:
        # PyJWT itself refuses to encode such an issuer.
        assert "iss" in str(exc)  # noqa: PT017 - whichever of the two raised it
