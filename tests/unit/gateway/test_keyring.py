"""The keys tokens are checked with: as they are now, built anew only when they changed."""

import json
from datetime import timedelta

import pytest

from gateway_service.keyring import REFRESH_PAUSE_SECONDS, Keyring
from gateway_service.settings import GatewaySettings
from library_common.context import invocation
from library_common.key_rings import public_jwks_json
from library_common.tokens import SigningKey, TokenRefused, mint_access_token, mint_service_token
from library_common.ttl_cache import TtlCache
from tests.support.clock import NOON
from tests.support.operator_log import OperatorLog
from tests.unit.gateway.sources import SCOPES, Sources, parameter

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
    for service in (None, "loans"):
        assert keyring.verifier(service) is keyring.verifier(service)


def test_a_new_signing_key_is_accepted_as_soon_as_it_is_published(sources: Sources, keyring: Keyring) -> None:
    new = SigningKey.generate()
    before = keyring.verifier(None)
    assert not accepts(keyring, signed_by(new))
    both = [json.loads(document)["keys"][0] for document in (sources.jwks, public_jwks_json([new]))]

    sources.jwks = json.dumps({"keys": both})

    assert keyring.verifier(None) is not before
    assert accepts(keyring, signed_by(new))
    assert accepts(keyring, signed_by(sources.key))


def test_a_withdrawn_signing_key_is_not_accepted_any_more(sources: Sources, keyring: Keyring) -> None:
    assert accepts(keyring, signed_by(sources.key))

    sources.jwks = public_jwks_json([SigningKey.generate()])

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
        sources.services["loans"] = parameter(stored)
        accepted.append(
            "".join(secret[0] for secret in (one, two, three, four) if accepts(keyring, signed_with(secret)))
        )

    assert accepted == ["1", "12", "123", "234"]


# -- keys that are newer than the cached ones ------------------------------------------------------


def test_a_person_signed_for_with_a_key_never_published_before_is_let_in(sources: Sources) -> None:
    keyring = sources.keyring(always_fresh=False)
    keyring.verifier(None)
    new = SigningKey.generate()

    sources.jwks = public_jwks_json([new])

    assert accepts(keyring, signed_by(new))
    assert not accepts(keyring, signed_by(sources.key)), "and the key that is gone is gone"


def test_a_service_that_signs_with_a_secret_never_announced_before_is_let_in(sources: Sources) -> None:
    keyring = sources.keyring(always_fresh=False)
    keyring.verifier("loans")

    sources.services["loans"] = parameter({"current": "n" * 64})

    assert accepts(keyring, signed_with("n" * 64))


def test_a_service_that_was_deployed_after_the_keys_were_read_is_let_in(sources: Sources) -> None:
    keyring = sources.keyring(always_fresh=False)
    assert accepts(keyring, signed_with("s" * 64))
    token = mint_service_token("f" * 64, service="fines", scopes=SCOPES, now=NOON)
    assert not accepts(keyring, token)

    sources.services["fines"] = parameter({"current": "f" * 64})

    assert accepts(keyring, token)


def test_unknown_services_make_it_read_the_keys_every_ten_seconds_at_most(sources: Sources) -> None:
    now, reads = [1000.0], [0]

    def read() -> dict[str, str]:
        reads[0] += 1
        return dict(sources.services)

    services = TtlCache(read, seconds=60.0, monotonic=lambda: now[0])
    keyring = Keyring(jwks=sources.published(), services=services, monotonic=lambda: now[0])
    token = mint_service_token("f" * 64, service="fines", scopes=SCOPES, now=NOON)
    for _ in range(5):
        assert not accepts(keyring, token)
    assert reads == [2], "when it was first needed, and once for the service that was not there"

    sources.services["fines"] = parameter({"current": "f" * 64})
    now[0] += REFRESH_PAUSE_SECONDS - 0.1
    assert not accepts(keyring, token)
    now[0] += 0.1
    assert accepts(keyring, token)
    assert reads == [3]


def test_a_service_that_was_removed_is_refused(sources: Sources, keyring: Keyring) -> None:
    assert accepts(keyring, signed_with("s" * 64))

    del sources.services["loans"]

    assert not accepts(keyring, signed_with("s" * 64))


def test_a_service_claims_no_more_than_the_scopes_beside_its_ring(sources: Sources, keyring: Keyring) -> None:
    sources.services["loans"] = parameter({"current": "s" * 64}, frozenset({"users:read"}))

    def claiming(*scopes: str) -> str:
        return mint_service_token("s" * 64, service="loans", scopes=frozenset(scopes), now=NOON)

    assert accepts(keyring, claiming("users:read"))
    assert not accepts(keyring, claiming("users:read", "inventory:write"))


def test_only_the_keys_that_might_help_are_fetched_again(sources: Sources) -> None:
    jwks, services = sources.published(always_fresh=False), sources.service_keys(always_fresh=False)
    keyring = Keyring(jwks=jwks, services=services)

    assert not accepts(keyring, signed_by(SigningKey.generate()))
    assert (jwks.refreshes, services.refreshes) == (1, 0)
    assert not accepts(keyring, signed_with("x" * 64))
    assert (jwks.refreshes, services.refreshes) == (1, 1)


def test_what_no_newer_key_could_change_fetches_nothing(sources: Sources) -> None:
    jwks, services = sources.published(always_fresh=False), sources.service_keys(always_fresh=False)
    keyring = Keyring(jwks=jwks, services=services)
    impostor = SigningKey(sources.key.kid, SigningKey.generate().private_jwk())
    for token in (
        "abc",
        signed_by(impostor),
        mint_access_token(sources.key, subject="U", role="patron", now=NOON - timedelta(hours=1)),
        mint_service_token("s" * 64, service="loans", scopes=frozenset({"users:write"}), now=NOON),
    ):
        assert not accepts(keyring, token)

    assert (jwks.refreshes, services.refreshes) == (0, 0)


def test_keys_that_cannot_be_fetched_again_refuse_the_token_and_no_other(sources: Sources) -> None:
    jwks, services = sources.published(always_fresh=False), sources.service_keys(always_fresh=False)
    keyring = Keyring(
        jwks=TtlCache(jwks.get, seconds=60, grace=60), services=TtlCache(services.get, seconds=60, grace=60)
    )
    assert accepts(keyring, signed_by(sources.key))
    assert accepts(keyring, signed_with("s" * 64))
    jwks.down = services.down = True

    assert not accepts(keyring, signed_by(SigningKey.generate()))
    assert not accepts(keyring, signed_with("x" * 64))
    assert accepts(keyring, signed_by(sources.key))
    assert accepts(keyring, signed_with("s" * 64))


@pytest.mark.parametrize("stored", [{}, {"current": ""}, {"current": None}, {"previous": ""}])
def test_an_empty_ring_lets_nobody_in(sources: Sources, keyring: Keyring, stored: dict[str, str | None]) -> None:
    sources.services["loans"] = parameter(stored)

    assert not accepts(keyring, signed_with("s" * 64))


# -- keys that cannot be read -----------------------------------------------------------------------


MALFORMED = [
    "",
    "hunter2",
    "null",
    "[]",
    '"hunter2"',
    "[" * 100_000,
    parameter({"current": "s" * 64, "rotated_at": "hunter2"}),
    parameter({"current": "s" * 64, "rotated_at": 5}),
]


@pytest.mark.parametrize("stored", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_parameter_refuses_its_service_and_nobody_else(
    sources: Sources, keyring: Keyring, log: OperatorLog, capsys: pytest.CaptureFixture[str], stored: str
) -> None:
    sources.services["users"] = stored

    with invocation() as running:
        assert accepts(keyring, signed_by(sources.key))
        assert accepts(keyring, signed_with("s" * 64))
        for guess in ("s" * 64, "hunter2".ljust(64)):
            assert not accepts(keyring, mint_service_token(guess, service="users", scopes=SCOPES, now=NOON))

    assert [line["key_of"] for line in log.lines] == ["users"], "once, while nothing changes"
    assert running.counts == {"KeysUnread": 1}
    assert "hunter2" not in log.text + capsys.readouterr().out


def test_a_malformed_parameter_that_was_put_right_is_read_for_its_first_token(sources: Sources) -> None:
    sources.services["loans"] = "{"
    keyring = sources.keyring(always_fresh=False)
    assert accepts(keyring, signed_by(sources.key))

    sources.services["loans"] = parameter({"current": "n" * 64})

    assert accepts(keyring, signed_with("n" * 64))


def test_keys_that_cannot_be_read_refuse_every_service_and_no_person_and_are_tried_again(
    sources: Sources, log: OperatorLog
) -> None:
    now, services = [1000.0], sources.service_keys()
    services.down = True
    keyring = Keyring(jwks=sources.published(), services=services, monotonic=lambda: now[0])

    with invocation() as running:
        for _ in range(3):
            assert accepts(keyring, signed_by(sources.key))
            assert not accepts(keyring, signed_with("s" * 64))
    assert services.reads == 1, "each try may take seconds of a request"
    assert [line["message"] for line in log.lines] == ["service keys cannot be read"]
    assert running.counts == {"KeysUnread": 1}

    now[0] += REFRESH_PAUSE_SECONDS
    assert not accepts(keyring, signed_with("s" * 64))
    assert services.reads == 2

    services.down = False
    now[0] += REFRESH_PAUSE_SECONDS
    assert accepts(keyring, signed_with("s" * 64))


@pytest.mark.parametrize("stored", ["", "[]", "{"])
def test_without_the_published_keys_no_persons_token_is_checked(sources: Sources, stored: str) -> None:
    """An error and no 401: nobody is to throw a good token away."""
    sources.jwks = stored
    keyring = sources.keyring()
    with pytest.raises((ValueError, AttributeError)):
        accepts(keyring, signed_by(sources.key))
    assert accepts(keyring, signed_with("s" * 64)), "services sign with keys of their own"

    jwks = sources.published()
    jwks.down = True
    with pytest.raises(ConnectionError):
        accepts(Keyring(jwks=jwks, services=sources.service_keys()), signed_by(sources.key))


def test_before_there_is_a_signing_key_services_are_known_already(sources: Sources, keyring: Keyring) -> None:
    sources.jwks = '{"keys": []}'

    assert not accepts(keyring, signed_by(sources.key))
    assert accepts(keyring, signed_with("s" * 64))


def test_a_persons_token_makes_it_read_no_services_key_and_the_other_way_round(sources: Sources) -> None:
    """A cold start waits for nothing that it does not need."""
    for token, reads in ((signed_by(sources.key), (1, 0)), (signed_with("s" * 64), (0, 1))):
        jwks, services = sources.published(), sources.service_keys()

        assert accepts(Keyring(jwks=jwks, services=services), token)

        assert (jwks.reads, services.reads) == reads


def test_nothing_is_fetched_before_the_first_token(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch() -> None:
        pytest.fail("the parameter store was asked")

    monkeypatch.setattr("library_common.aws.ssm", fetch)
    monkeypatch.setenv("TABLE_NAME", "gateway")
    monkeypatch.setenv("VERIFICATION_KEYS_PARAMETER", "/library/token-verification-keys")
    monkeypatch.setenv("SERVICE_KEYS_PATH", "/library/keys/services")

    Keyring.from_settings(GatewaySettings())
