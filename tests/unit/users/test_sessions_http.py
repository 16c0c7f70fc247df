"""Sessions through the Lambda handler: what is answered, what is refused alike, and what nobody may assign."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from library_common.http import ServiceApi
from library_common.key_rings import Ring, public_jwks_json, signing_ring_json
from library_common.tokens import TokenVerifier
from tests.fakes.users import LIBRARIAN, Community, signing_key
from tests.support.clock import NOON
from tests.support.lambda_events import Answer, api_event, call, person, service
from tests.support.operator_log import OperatorLog, reading_the_log
from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.roles import Role

pytestmark = pytest.mark.unit

EMAIL, PASSWORD = "ann@example.com", "correct horse"
RIGHT = {"email": EMAIL, "password": PASSWORD}
PER_REQUEST = {"correlation_id", "instance"}

type Ask = Callable[..., Answer]


@pytest.fixture
def ask(api: ServiceApi) -> Ask:
    """Calls the API; keyword arguments are those of `api_event`."""

    def ask(method: str, url: str, **request: Any) -> Answer:
        return call(api, api_event(method, url, **request))

    return ask


@pytest.fixture
def ann(community: Community) -> Member:
    return community.join("Ann Lee", EMAIL, password=PASSWORD)


@pytest.fixture
def log() -> Iterator[OperatorLog]:
    with reading_the_log() as log:
        yield log


def _problem(answer: Answer, status: int, code: str) -> dict[str, Any]:
    assert (answer.status, answer.json["code"]) == (status, code), answer.json
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json
    return document


def _as(session: Answer) -> dict[str, str]:
    """What the authorizer makes of the session's access token."""
    verifier = TokenVerifier(json.loads(public_jwks_json([signing_key()])), {})
    proven = verifier.verify(session.json["access_token"], NOON)
    return {**person(proven.subject, str(proven.role)), "session": str(proven.session)}


# -- the way through ------------------------------------------------------------------------------


def test_from_login_to_logout(ask: Ask, ann: Member) -> None:
    login = ask("POST", "/api/auth/login", body=RIGHT)
    assert login.status == 200
    assert login.json.keys() == {"access_token", "refresh_token", "token_type", "expires_in", "user"}
    assert (login.json["token_type"], login.json["expires_in"], login.json["user"]["id"]) == ("Bearer", 900, ann.id)
    assert login.headers["cache-control"] == "no-store"

    refreshed = ask("POST", "/api/auth/refresh", body={"refresh_token": login.json["refresh_token"]})
    assert refreshed.status == 200
    assert refreshed.json.keys() == login.json.keys()
    assert refreshed.headers["cache-control"] == "no-store"

    logout = ask("POST", "/api/auth/logout", caller=_as(refreshed))
    assert (logout.status, logout.json) == (204, None)
    after = ask("POST", "/api/auth/refresh", body={"refresh_token": refreshed.json["refresh_token"]})
    _problem(after, 401, "refresh_token_invalid")


def test_reuse_is_refused_and_ends_the_session(ask: Ask, ann: Member) -> None:
    login = ask("POST", "/api/auth/login", body=RIGHT)
    newest = ask("POST", "/api/auth/refresh", body={"refresh_token": login.json["refresh_token"]})

    for token in (login.json["refresh_token"], newest.json["refresh_token"]):
        _problem(ask("POST", "/api/auth/refresh", body={"refresh_token": token}), 401, "refresh_token_invalid")


def test_a_suspended_member_is_told_why(ask: Ask, community: Community) -> None:
    community.join(email=EMAIL, password=PASSWORD, stored_status=Status.SUSPENDED, status_reason="Three books lost")

    document = _problem(ask("POST", "/api/auth/login", body=RIGHT), 403, "account_suspended")

    assert (document["status_reason"], document["suspended_until"]) == ("Three books lost", None)
    assert document["status"] == 403


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"stored_status": Status.PENDING}, "email_not_verified"),
        ({"role": Role.LIBRARIAN, "stored_status": Status.EXPIRED}, "account_expired"),
    ],
)
def test_others_who_may_not(ask: Ask, community: Community, attributes: dict[str, Any], code: str) -> None:
    community.join(email=EMAIL, password=PASSWORD, **attributes)

    _problem(ask("POST", "/api/auth/login", body=RIGHT), 403, code)


def test_logging_out_takes_a_person(ask: Ask, ann: Member) -> None:
    _problem(ask("POST", "/api/auth/logout"), 401, "not_authenticated")
    _problem(ask("POST", "/api/auth/logout", caller=service("loans", "users:read")), 403, "not_allowed")
    assert ask("POST", "/api/auth/logout", caller=person(ann.id)).status == 204
    _problem(ask("POST", "/api/auth/logout", body={"all": True}, caller=person(ann.id)), 422, "invalid_request")


def test_the_public_keys_are_published_and_nothing_private(ask: Ask) -> None:
    answer = ask("GET", "/.well-known/jwks.json")

    assert (answer.status, answer.json) == (200, json.loads(public_jwks_json([signing_key()])))
    assert answer.headers["cache-control"] == "public, max-age=300"


def test_a_private_part_that_got_into_the_parameter_is_not_answered(
    ask: Ask, community: Community, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {"keys": [json.loads(signing_ring_json(Ring(signing_key())))["current"]]}
    monkeypatch.setattr(community.use_cases.verification_keys, "jwks", lambda: whole)

    (key,) = ask("GET", "/.well-known/jwks.json").json["keys"]

    assert "d" in whole["keys"][0]
    assert key.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}


# -- nobody learns who has an account -------------------------------------------------------------

WRONG: dict[str, dict[str, str]] = {
    "nobody's address": {"email": "nobody@example.com", "password": PASSWORD},
    "wrong password": {"email": EMAIL, "password": "wrong horse"},
    "no address": {"email": "not an address", "password": PASSWORD},
    "no address, and long when folded": {"email": "\ufdfa" * 254, "password": PASSWORD},
    "no password set": {"email": "bare@example.com", "password": PASSWORD},
    "longer than bcrypt sees": {"email": EMAIL, "password": PASSWORD + "x" * 72},
    "the empty password": {"email": EMAIL, "password": ""},
    "a NUL": {"email": EMAIL, "password": f"{PASSWORD}\u0000"},
    "a lone surrogate": {"email": EMAIL, "password": f"{PASSWORD}\ud800"},
    "other spaces": {"email": EMAIL, "password": f" {PASSWORD} "},
    "other case": {"email": EMAIL, "password": PASSWORD.upper()},
    "suspended, wrong password": {"email": "out@example.com", "password": "wrong horse"},
    "pending, wrong password": {"email": "new@example.com", "password": "wrong horse"},
}


def test_all_wrong_logins_are_answered_with_the_same_words(ask: Ask, community: Community, ann: Member) -> None:
    community.join(email="bare@example.com")
    community.join(email="out@example.com", password=PASSWORD, stored_status=Status.SUSPENDED)
    community.join(email="new@example.com", password=PASSWORD, stored_status=Status.PENDING)

    bodies, headers, work = {}, {}, {}
    for what, body in WRONG.items():
        community.members.reads.clear()
        community.passwords.compared.clear()
        answer = ask("POST", "/api/auth/login", body=body)
        document = _problem(answer, 401, "invalid_credentials")
        bodies[what] = json.dumps({name: value for name, value in document.items() if name not in PER_REQUEST})
        headers[what] = json.dumps(sorted(answer.headers.keys() - {"content-length"}))
        work[what] = (tuple(community.members.reads), len(community.passwords.compared))

    assert len(set(bodies.values())) == 1, bodies
    assert len(set(headers.values())) == 1, headers
    assert set(work.values()) == {(("address", "account", "credentials"), 1)}, work


@pytest.mark.parametrize("token", ["x", f"{'a' * 22}.{'b' * 43}", "e30.e30.e30"])
def test_all_refresh_tokens_that_are_not_good_are_answered_with_the_same_words(
    ask: Ask, ann: Member, token: str
) -> None:
    login = ask("POST", "/api/auth/login", body=RIGHT)
    ask("POST", "/api/auth/refresh", body={"refresh_token": login.json["refresh_token"]})

    used = ask("POST", "/api/auth/refresh", body={"refresh_token": login.json["refresh_token"]})
    other = ask("POST", "/api/auth/refresh", body={"refresh_token": token})

    assert {n: v for n, v in used.json.items() if n not in PER_REQUEST} == {
        n: v for n, v in other.json.items() if n not in PER_REQUEST
    }


def test_too_many_attempts_are_answered_alike_with_and_without_an_account(
    ask: Ask, community: Community, ann: Member
) -> None:
    community.attempts.allowed = 3
    answers = {}
    for email in (EMAIL, "nobody@example.com"):
        for _ in range(3):
            _problem(
                ask("POST", "/api/auth/login", body={"email": email, "password": "wrong"}), 401, "invalid_credentials"
            )
        answers[email] = ask("POST", "/api/auth/login", body={"email": email.upper(), "password": PASSWORD})

    for answer in answers.values():
        _problem(answer, 429, "too_many_requests")
        assert answer.headers["retry-after"] == "60"
    texts = [{n: v for n, v in answer.json.items() if n not in PER_REQUEST} for answer in answers.values()]
    assert texts[0] == texts[1]


def test_the_log_knows_accounts_by_id_and_no_secret(ask: Ask, ann: Member, log: OperatorLog) -> None:
    login = ask("POST", "/api/auth/login", body=RIGHT)
    ask("POST", "/api/auth/login", body={**RIGHT, "password": "wrong horse"})
    ask("POST", "/api/auth/refresh", body={"refresh_token": login.json["refresh_token"]})

    assert [line.get("account") for line in log.invocations] == [ann.id, None, ann.id]
    for secret in (EMAIL, "horse", login.json["access_token"], login.json["refresh_token"].split(".")[1]):
        assert secret not in log.text


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/auth/login", {"email": EMAIL}, "password"),
        ("/api/auth/login", {"password": PASSWORD}, "email"),
        ("/api/auth/login", {**RIGHT, "email": ""}, "email"),
        ("/api/auth/login", {**RIGHT, "email": "x" * 255}, "email"),
        ("/api/auth/login", {**RIGHT, "email": [EMAIL]}, "email"),
        ("/api/auth/login", {**RIGHT, "email": {"$ne": ""}}, "email"),
        ("/api/auth/login", {**RIGHT, "password": None}, "password"),
        ("/api/auth/login", {**RIGHT, "password": {"$gt": ""}}, "password"),
        ("/api/auth/login", {**RIGHT, "role": "admin"}, "role"),
        ("/api/auth/refresh", {}, "refresh_token"),
        ("/api/auth/refresh", {"refresh_token": ""}, "refresh_token"),
        ("/api/auth/refresh", {"refresh_token": "a b"}, "refresh_token"),
        ("/api/auth/refresh", {"refresh_token": "x" * 201}, "refresh_token"),
        ("/api/auth/refresh", {"refresh_token": "x", "user_id": "y"}, "user_id"),
    ],
)
def test_a_bad_request_names_the_field_and_repeats_no_secret(
    ask: Ask, ann: Member, path: str, body: dict[str, Any], field: str
) -> None:
    answer = ask("POST", path, body=body)

    document = _problem(answer, 422, "invalid_request")
    assert [error["field"] for error in document["errors"]] == [field]
    assert PASSWORD not in json.dumps(document)


# -- mass assignment ------------------------------------------------------------------------------

NOT_YOURS: dict[str, Any] = {
    "role": "admin",
    "status": "active",
    "stored_status": "active",
    "version": 99,
    "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "user_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "email_verified": True,
    "email_verified_at": "2026-11-21T12:00:00Z",
    "email_key": "ann@example.com",
    "session_epoch": 0,
    "suspended_until": None,
    "status_reason": None,
    "expires_at": "2099-01-01T00:00:00Z",
    "created_at": "2000-01-01T00:00:00Z",
    "password": "another horse",
    "password_hash": "x",
    "pk": "USER#1",
    "Role": "admin",
    "__class__": {"role": "admin"},
}


@pytest.mark.parametrize("field", NOT_YOURS)
@pytest.mark.parametrize("path", ["/api/users/me", "/api/users/{id}"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_member_assigns_nothing_that_is_not_theirs(
    ask: Ask, community: Community, ann: Member, path: str, field: str, inside: bool
) -> None:
    unwanted = {field: NOT_YOURS[field]}
    body = {"name": "New", "preferences": unwanted} if inside else {"name": "New", **unwanted}

    answer = ask("PUT", path.format(id=ann.id), body=body, caller=person(ann.id))

    document = _problem(answer, 422, "invalid_request")
    assert [error["field"] for error in document["errors"]] == [f"preferences.{field}" if inside else field]
    assert community.members.accounts == {ann.id: ann}


@pytest.mark.parametrize(
    "query", ["role=admin", "status=active", "caller=x&user_id=y", "body=%7B%22role%22:%22admin%22%7D"]
)
def test_a_query_assigns_nothing(ask: Ask, community: Community, ann: Member, query: str) -> None:
    edited = ask("PUT", f"/api/users/me?{query}", body={"name": "New"}, caller=person(ann.id))
    registered = ask("POST", f"/api/users?{query}", body={"name": "Bob", "email": "bob@example.com"})

    assert (edited.json["role"], registered.json["role"]) == ("patron", "patron")
    assert community.members.accounts[ann.id].role is Role.PATRON


def test_a_name_given_twice_assigns_nothing(ask: Ask, community: Community, ann: Member) -> None:
    raw = '{"name": "New", "role": "admin", "name": "Newer"}'

    _problem(ask("PUT", "/api/users/me", raw_body=raw, caller=person(ann.id)), 422, "invalid_request")
    assert community.members.accounts == {ann.id: ann}


@pytest.mark.parametrize("role", ["faculty", "librarian", "admin"])
def test_nobody_registers_into_a_role_that_is_given(ask: Ask, community: Community, ann: Member, role: str) -> None:
    body = {"name": "Eve", "email": "eve@example.com", "password": "a sound password", "role": role}

    for caller in (None, person(ann.id), person(ann.id, "faculty")):
        _problem(ask("POST", "/api/users", body=body, caller=caller), 403, "role_not_allowed")
    assert community.members.accounts == {ann.id: ann}


def test_a_librarian_who_was_demoted_makes_no_librarians(ask: Ask, community: Community) -> None:
    community.join(user_id=LIBRARIAN.id, role=Role.PATRON)
    body = {"name": "Eve", "email": "eve@example.com", "role": "librarian"}

    _problem(ask("POST", "/api/users", body=body, caller=person(LIBRARIAN.id, "librarian")), 403, "no_longer_allowed")
    assert len(community.members.accounts) == 1


# -- passwords at registration --------------------------------------------------------------------


@pytest.mark.parametrize("password", ["password1234", "Ann Young Lee", "annyoung@example.com", "annyoung"])
def test_a_password_that_strangers_would_try_is_refused(ask: Ask, community: Community, password: str) -> None:
    body = {"name": "Ann Young Lee", "email": "annyoung@example.com", "password": password}

    document = _problem(ask("POST", "/api/users", body=body), 422, "invalid_request")

    assert [error["field"] for error in document["errors"]] == ["password"]
    assert community.members.accounts == {}
    assert community.passwords.hashed == []


def test_a_registered_member_logs_in(ask: Ask) -> None:
    body = {"name": "Ann Young", "email": "Young@Example.com", "password": "café au lait"}
    registered = ask("POST", "/api/users", body=body)

    login = ask("POST", "/api/auth/login/", body={"email": "yOUNG@example.com", "password": "cafe\u0301 au lait"})

    assert (login.status, login.json["user"]) == (200, registered.json)
