"""The keys tokens are checked with: as they are now, built anew only when they changed."""

import json
from datetime import timedelta

import pytest

from gateway_service.keyring import LOOK_AGAIN_SECONDS, Keyring
from gateway_service.settings import GatewaySettings
from library_common.tokens import SigningKey, TokenRefused, mint_access_token, mint_service_token
from tests.support.clock import NOON
from tests.support.operator_log import OperatorLog
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
    for service in (None, "loans"):
        assert keyring.verifier(service) is keyring.verifier(service)


def test_a_new_signing_key_is_accepted_as_soon_as_it_is_published(sources: Sources, keyring: Keyring) -> None:
    new = SigningKey.generate()
    before = keyring.verifier(None)
    assert not accepts(keyring, signed_by(new))
    both = [json.loads(document)["keys"][0] for document in (sources.jwks, new.public_jwks_json())]

    sources.jwks = json.dumps({"keys": both})

    assert keyring.verifier(None) is not before
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
    keyring.verifier(None)
    new = SigningKey.generate()

    sources.jwks = new.public_jwks_json()

    assert accepts(keyring, signed_by(new))
    assert not accepts(keyring, signed_by(sources.key)), "and the key that is gone is gone"


def test_a_service_that_signs_with_a_secret_never_announced_before_is_let_in(sources: Sources) -> None:
    keyring = sources.keyring(fresh=False)
    keyring.verifier("loans")

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


# -- secrets that are no good -----------------------------------------------------------------------


class Broken:
    """A source that can be read when it is up."""

    def __init__(self, value: str = "") -> None:
        self.value = value
        self.up = False
        self.asked = 0

    def get(self) -> str:
        self.asked += 1
        if not self.up:
            raise ConnectionError(f"no {self.value}")
        return self.value

    def get_fresh(self, *, pause: float) -> str:
        return self.get()


MALFORMED = [
    "",
    "hunter2",
    "null",
    "[]",
    '"hunter2"',
    "[" * 100_000,
    json.dumps({"current": "s" * 64, "rotated_at": "hunter2"}),
    json.dumps({"current": "s" * 64, "rotated_at": 5}),
]


@pytest.mark.parametrize("stored", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_secret_refuses_its_service_and_nobody_else(
    sources: Sources, log: OperatorLog, capsys: pytest.CaptureFixture[str], stored: str
) -> None:
    users, loans = Told(lambda: stored, fresh=False), Told(lambda: sources.loans_secret)
    keyring = Keyring(jwks=Told(lambda: sources.jwks), services={"users": (users, SCOPES), "loans": (loans, SCOPES)})

    assert accepts(keyring, signed_by(sources.key))
    assert accepts(keyring, signed_with("s" * 64))
    for guess in ("s" * 64, "hunter2".ljust(64)):
        assert not accepts(keyring, mint_service_token(guess, service="users", scopes=SCOPES, now=NOON))

    assert [line["secret_of"] for line in log.lines] == ["users"], "once, while nothing changes"
    said = log.text + capsys.readouterr().out
    assert said.count('"KeysUnread":[1.0]') == 1
    assert "hunter2" not in said


def test_a_malformed_secret_that_was_put_right_is_looked_for_by_its_first_token(sources: Sources) -> None:
    sources.loans_secret = "{"
    keyring = sources.keyring(fresh=False)
    assert accepts(keyring, signed_by(sources.key))

    sources.loans_secret = json.dumps({"current": "n" * 64})

    assert accepts(keyring, signed_with("n" * 64))


def test_an_unreadable_secret_refuses_its_service_and_nobody_else_and_is_tried_again(
    sources: Sources, log: OperatorLog, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "hunter2".ljust(64, "!")
    now, loans = [1000.0], Broken(json.dumps({"current": secret}))
    keyring = Keyring(jwks=Told(lambda: sources.jwks), services={"loans": (loans, SCOPES)}, monotonic=lambda: now[0])
    token = signed_with(secret)

    for _ in range(3):
        assert accepts(keyring, signed_by(sources.key))
        assert not accepts(keyring, token)
    assert loans.asked == 1, "each try may be seconds of somebody else's request"
    said = log.text + capsys.readouterr().out
    assert [line["secret_of"] for line in log.lines] == ["loans"]
    assert said.count('"KeysUnread":[1.0]') == 1
    assert "hunter2" not in said

    now[0] += LOOK_AGAIN_SECONDS
    assert not accepts(keyring, token)
    assert loans.asked == 2

    loans.up = True
    now[0] += LOOK_AGAIN_SECONDS
    assert accepts(keyring, token)


@pytest.mark.parametrize("stored", ["", "[]", "{"])
def test_without_the_published_keys_no_persons_token_is_checked(sources: Sources, stored: str) -> None:
    """An error and no 401: nobody is to throw a good token away."""
    sources.jwks = stored
    keyring = sources.keyring()
    with pytest.raises((ValueError, AttributeError)):
        accepts(keyring, signed_by(sources.key))
    assert accepts(keyring, signed_with("s" * 64)), "services sign with keys of their own"

    with pytest.raises(ConnectionError):
        accepts(Keyring(jwks=Broken(), services={}), signed_by(sources.key))


def test_before_there_is_a_signing_key_services_are_known_already(sources: Sources, keyring: Keyring) -> None:
    sources.jwks = '{"keys": []}'

    assert not accepts(keyring, signed_by(sources.key))
    assert accepts(keyring, signed_with("s" * 64))


def test_nobodys_token_makes_it_read_anybody_elses_keys(sources: Sources) -> None:
    """A cold start waits for no secret that it does not need, and one that cannot be read is only its service's."""
    jwks, loans, users = Broken(sources.jwks), Broken(sources.loans_secret), Broken()
    jwks.up = loans.up = True
    keyring = Keyring(jwks=jwks, services={"loans": (loans, SCOPES), "users": (users, SCOPES)})

    assert accepts(keyring, signed_by(sources.key))
    assert (jwks.asked, loans.asked, users.asked) == (1, 0, 0)
    assert accepts(keyring, signed_with("s" * 64))
    assert (jwks.asked, loans.asked, users.asked) == (1, 1, 0)


def test_nothing_is_fetched_before_the_first_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLE_NAME", "gateway")
    monkeypatch.setenv("VERIFICATION_KEYS_PARAMETER", "/library/keys")
    monkeypatch.setenv(
        "SERVICE_IDENTITIES", '{"loans": {"secret_arn": "arn:1", "scopes": "users:read inventory:write"}}'
    )

    keyring = Keyring.from_settings(GatewaySettings())

    assert {name: scopes for name, (_, scopes) in keyring.services.items()} == {"loans": SCOPES}
