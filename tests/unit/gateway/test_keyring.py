"""The keys tokens are checked with: as they are now, built anew only when they changed."""

import json

import pytest

from gateway_service.keyring import Keyring
from gateway_service.settings import GatewaySettings
from library_common.tokens import SigningKey, TokenRefused, mint_access_token, mint_service_token
from tests.support.clock import NOON
from tests.unit.gateway.sources import SCOPES, Sources

pytestmark = pytest.mark.unit


def accepts(keyring: Keyring, token: str) -> bool:
    try:
        keyring.verifier().verify(token, NOON)
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


def test_secrets_rotate_without_a_gap(sources: Sources, keyring: Keyring) -> None:
    old, new = "s" * 64, "n" * 64

    accepted = []
    for stored in (
        {"current": old},
        {"current": old, "previous": new},
        {"current": new, "previous": old},
        {"current": new},
    ):
        sources.loans_secret = json.dumps(stored)
        accepted.append((accepts(keyring, signed_with(old)), accepts(keyring, signed_with(new))))

    assert accepted == [(True, False), (True, True), (True, True), (False, True)]


@pytest.mark.parametrize("stored", [{}, {"current": ""}, {"current": None}, {"previous": ""}])
def test_an_empty_secret_lets_nobody_in(sources: Sources, keyring: Keyring, stored: dict[str, str | None]) -> None:
    sources.loans_secret = json.dumps(stored)

    assert not accepts(keyring, signed_with("s" * 64))


def test_before_there_is_a_signing_key_services_are_known_already(sources: Sources, keyring: Keyring) -> None:
    sources.jwks = '{"keys": []}'

    assert not accepts(keyring, signed_by(sources.key))
    assert accepts(keyring, signed_with("s" * 64))


def test_nothing_is_fetched_before_the_first_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFICATION_KEYS_PARAMETER", "/library/keys")
    monkeypatch.setenv(
        "SERVICE_IDENTITIES", '{"loans": {"secret_arn": "arn:1", "scopes": "users:read inventory:write"}}'
    )

    keyring = Keyring.from_settings(GatewaySettings())

    assert {name: scopes for name, (_, scopes) in keyring.services.items()} == {"loans": SCOPES}
