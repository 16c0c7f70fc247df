"""The keys tokens are checked with: as they are now, built anew only when they changed."""

import json
from datetime import timedelta

import pytest

from gateway_service.keyring import Keyring
from gateway_service.settings import GatewaySettings
from library_common.tokens import SigningKey, TokenRefused, mint_access_token, mint_service_token
from tests.support.clock import NOON
from tests.unit.gateway.sources import SCOPES, Sources, Told

pytestmark = pytest.mark.unit


def accepts(keyring: Keyring, token: str) -> bool:
    try:
        keyring.verify(token, NOON)
    except TokenRefused:
        return False
    return True


def signed_with(secret: str) -> str:
    return mint_service_token(secret, service="loans", scopes=SCOPES, now=NOON)


def signed_by(key: SigningKey) -> str:
    return mint_access_token(key, subject="U", role="patron", now=NOON)


def test_the_verifier_is_built_once_while_nothing_changes(keyring: Keyring) -> None:
    assert keyring.verifier() is keyring.verifier()


def test_a_new_signing_key_is_accepted_as_soon_as_it_is_published(sources: Sources, keyring: Keyring) -> None:
    new = SigningKey.generate()
    before = keyring.verifier()
    assert not accepts(keyring, signed_by(new))
    both = [json.loads(document)["keys"][0] for document in (sources.jwks, new.public_jwks_json())]

    sources.jwks = json.dumps({"keys": both})

    assert keyring.verifier() is not before
    assert accepts(keyring, signed_by(new))
    assert accepts(keyring, signed_by(sources.key))


def test_a_withdrawn_signing_key_is_not_accepted_any_more(sources: Sources, keyring: Keyring) -> None:
    assert accepts(keyring, signed_by(sources.key))

    sources.jwks = SigningKey.generate().public_jwks_json()

    assert not accepts(keyring, signed_by(sources.key))


def test_a_service_may_sign_with_every_key_of_its_ring(sources: Sources, keyring: Keyring) -> None:
    one, two, three, four = ("1" * 64, "2" * 64, "3" * 64, "4" * 64)

    accepted = []
    for stored in (
        {"current": one},
        {"current": one, "next": two, "rotated_at": "2026-11-21T12:00:00Z"},
        {"current": two, "next": three, "previous": one, "rotated_at": "2026-12-21T12:00:00Z"},
        {"current": three, "next": four, "previous": two, "rotated_at": "2027-01-21T12:00:00Z"},
    ):
        sources.loans_secret = json.dumps(stored)
        accepted.append(
            "".join(secret[0] for secret in (one, two, three, four) if accepts(keyring, signed_with(secret)))
        )

    assert accepted == ["1", "12", "123", "234"]


# -- keys that are newer than those remembered ------------------------------------------------------


def test_a_person_signed_for_with_a_key_never_published_before_is_let_in(sources: Sources) -> None:
    keyring = sources.keyring(fresh=False)
    keyring.verifier()
    new = SigningKey.generate()

    sources.jwks = new.public_jwks_json()

    assert accepts(keyring, signed_by(new))
    assert not accepts(keyring, signed_by(sources.key)), "and the key that is gone is gone"


def test_a_service_that_signs_with_a_secret_never_announced_before_is_let_in(sources: Sources) -> None:
    keyring = sources.keyring(fresh=False)
    keyring.verifier()

    sources.loans_secret = json.dumps({"current": "n" * 64})

    assert accepts(keyring, signed_with("n" * 64))


def test_only_the_keys_that_might_help_are_fetched_again(sources: Sources) -> None:
    jwks, loans = Told(lambda: sources.jwks, fresh=False), Told(lambda: sources.loans_secret, fresh=False)
    keyring = Keyring(jwks=jwks, services={"loans": (loans, SCOPES)})

    assert not accepts(keyring, signed_by(SigningKey.generate()))
    assert (jwks.asked_anew, loans.asked_anew) == (1, 0)
    assert not accepts(keyring, signed_with("x" * 64))
    assert (jwks.asked_anew, loans.asked_anew) == (1, 1)


def test_what_no_newer_key_could_change_fetches_nothing(sources: Sources) -> None:
    jwks, loans = Told(lambda: sources.jwks, fresh=False), Told(lambda: sources.loans_secret, fresh=False)
    keyring = Keyring(jwks=jwks, services={"loans": (loans, SCOPES)})
    impostor = SigningKey(sources.key.kid, SigningKey.generate().private_jwk())
    for token in (
        "abc",
        signed_by(impostor),
        mint_access_token(sources.key, subject="U", role="patron", now=NOON - timedelta(hours=1)),
        mint_service_token("s" * 64, service="loans", scopes=frozenset({"users:write"}), now=NOON),
        mint_service_token("s" * 64, service="nobody", scopes=frozenset(), now=NOON),
    ):
        assert not accepts(keyring, token)

    assert (jwks.asked_anew, loans.asked_anew) == (0, 0)


def test_keys_that_cannot_be_fetched_again_refuse_the_token_and_no_other(sources: Sources) -> None:
    def read() -> str:
        if down:
            raise ConnectionError("parameter store down")
        return sources.jwks

    down = False
    keyring = Keyring(jwks=Told(read, fresh=False), services={})
    down = True

    assert not accepts(keyring, signed_by(SigningKey.generate()))
    assert accepts(keyring, signed_by(sources.key))


@pytest.mark.parametrize("stored", [{}, {"current": ""}, {"current": None}, {"previous": ""}])
def test_an_empty_secret_lets_nobody_in(sources: Sources, keyring: Keyring, stored: dict[str, str | None]) -> None:
    sources.loans_secret = json.dumps(stored)

    assert not accepts(keyring, signed_with("s" * 64))


def test_before_there_is_a_signing_key_services_are_known_already(sources: Sources, keyring: Keyring) -> None:
    sources.jwks = '{"keys": []}'

    assert not accepts(keyring, signed_by(sources.key))
    assert accepts(keyring, signed_with("s" * 64))


def test_nothing_is_fetched_before_the_first_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLE_NAME", "gateway")
    monkeypatch.setenv("VERIFICATION_KEYS_PARAMETER", "/library/keys")
    monkeypatch.setenv(
        "SERVICE_IDENTITIES", '{"loans": {"secret_arn": "arn:1", "scopes": "users:read inventory:write"}}'
    )

    keyring = Keyring.from_settings(GatewaySettings())

    assert {name: scopes for name, (_, scopes) in keyring.services.items()} == {"loans": SCOPES}
