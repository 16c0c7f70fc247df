"""The HTTP API through the Lambda handler: who gets in, what is refused, what is answered."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from library_common.http import ServiceApi
from library_common.ids import new_id
from tests.fakes.users import ADMIN, LIBRARIAN, Community
from tests.support.lambda_events import Answer, api_event, call, person, service
from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.roles import Role
from users_service.schemas.requests import RegisterBody

pytestmark = pytest.mark.unit

AS_LIBRARIAN = person(LIBRARIAN.id, "librarian")
AS_ADMIN = person(ADMIN.id, "admin")
ANN = {"name": "Ann Lee", "email": "Ann@Example.com"}

type Ask = Callable[..., Answer]


@pytest.fixture
def ask(api: ServiceApi) -> Ask:
    """Calls the API; keyword arguments are those of `api_event`."""

    def ask(method: str, url: str, **request: Any) -> Answer:
        return call(api, api_event(method, url, **request))

    return ask


def _as(member: Member) -> Mapping[str, str]:
    return person(member.id, member.role)


def _assert_problem(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json["code"]) == (status, code), answer.json
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["correlation_id"] == answer.headers["x-correlation-id"]


# -- registering ----------------------------------------------------------------------------------


def test_registering_answers_the_account_and_where_it_is(ask: Ask, community: Community) -> None:
    answer = ask(
        "POST",
        "/api/users",
        body={
            "name": "  Ann   Lee ",
            "email": " Ann@Example.com",
            "password": "correct horse",
            "role": "student",
            "phone": "+44 1632 960001",
            "preferences": {"language": "FR", "keep_history": True},
        },
    )

    (member,) = community.members.accounts.values()
    assert answer.status == 201
    assert answer.json == {
        "id": member.id,
        "name": "Ann   Lee",
        "email": "Ann@Example.com",
        "email_verified": False,
        "role": "student",
        "status": "active",
        "status_reason": None,
        "suspended_until": None,
        "phone": "+441632960001",
        "phone_confirmed": False,
        "preferences": {
            "language": "fr",
            "notification_email": True,
            "notification_sms": False,
            "keep_history": True,
            "share_for_recommendations": False,
        },
        "expires_at": "2027-11-21T23:59:59Z",
        "created_at": "2026-11-21T12:00:00Z",
        "version": 1,
    }
    assert answer.headers["location"] == f"/api/users/{member.id}"
    assert answer.headers["etag"] == 'W/"1"'
    assert "idempotency-replayed" not in answer.headers


@pytest.mark.parametrize("example", RegisterBody.model_json_schema()["examples"], ids=lambda body: body["email"])
def test_the_examples_of_the_document_register_somebody(ask: Ask, example: dict[str, Any]) -> None:
    assert ask("POST", "/api/users", body=example).status == 201


def test_without_a_role_one_becomes_a_patron(ask: Ask) -> None:
    assert ask("POST", "/api/users/", body=ANN).json["role"] == "patron"


def test_a_repeat_with_the_same_key_gets_the_same_answer(ask: Ask, community: Community) -> None:
    request = {"body": {**ANN, "password": "secret123"}, "headers": {"Idempotency-Key": "k-1"}}
    first, again = ask("POST", "/api/users", **request), ask("POST", "/api/users", **request)

    assert (again.status, again.json) == (first.status, first.json) == (201, first.json)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["etag"] == first.headers["etag"]
    assert len(community.told) == 1


@pytest.mark.parametrize("other", [{"password": "another123"}, {"name": "Bob"}, {"role": "student"}])
def test_a_key_with_another_body_is_refused(ask: Ask, community: Community, other: dict[str, str]) -> None:
    headers = {"Idempotency-Key": "k-1"}
    ask("POST", "/api/users", body={**ANN, "password": "secret123"}, headers=headers)

    answer = ask("POST", "/api/users", body={**ANN, "password": "secret123", **other}, headers=headers)

    _assert_problem(answer, 422, "idempotency_key_reused")
    assert len(community.members.accounts) == 1


def test_a_strangers_key_is_nobody_elses(ask: Ask, community: Community) -> None:
    """People without a token have no names; keys like "1" are not taken for the same person's."""
    first = ask("POST", "/api/users", body=ANN, headers={"Idempotency-Key": "1"})
    other = ask("POST", "/api/users", body={**ANN, "email": "bob@example.com"}, headers={"Idempotency-Key": "1"})

    assert (first.status, other.status) == (201, 201)
    assert len(community.members.accounts) == 2


def test_a_taken_address_is_a_conflict(ask: Ask, community: Community) -> None:
    ask("POST", "/api/users", body=ANN)

    _assert_problem(ask("POST", "/api/users", body={**ANN, "email": "ANN@EXAMPLE.COM"}), 409, "email_taken")
    assert len(community.members.accounts) == 1


@pytest.mark.parametrize(
    ("caller", "role", "status"),
    [
        (None, "faculty", 403),
        (None, "librarian", 403),
        (None, "admin", 403),
        (person("01ARZ3NDEKTSV4RRFFQ69G5FAV", "faculty"), "faculty", 403),
        (service("loans", "users:read"), "librarian", 403),
        (AS_LIBRARIAN, "faculty", 201),
        (AS_LIBRARIAN, "librarian", 201),
        (AS_LIBRARIAN, "admin", 403),
        (AS_ADMIN, "admin", 201),
    ],
)
def test_roles_beyond_student_and_patron_are_given_by_staff(
    ask: Ask, community: Community, caller: Mapping[str, str] | None, role: str, status: int
) -> None:
    staff = {community.employ(known).id for known in (LIBRARIAN, ADMIN)}

    answer = ask("POST", "/api/users", body={**ANN, "role": role}, caller=caller)

    assert answer.status == status
    if status == 403:
        _assert_problem(answer, 403, "role_not_allowed")
        assert community.members.accounts.keys() == staff


BAD_REGISTRATIONS: list[tuple[dict[str, Any], str]] = [
    ({"name": None}, "name"),
    ({"name": ""}, "name"),
    ({"name": "   "}, "name"),
    ({"name": "\u200b"}, "name"),
    ({"name": "a\u0000b"}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"name": "\ud800"}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"name": 5}, "name"),
    ({"name": ["Ann"]}, "name"),
    ({"email": None}, "email"),
    ({"email": ""}, "email"),
    ({"email": "ann"}, "email"),
    ({"email": "ann@example"}, "email"),
    ({"email": f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}.com"}, "email"),
    ({"email": 5}, "email"),
    ({"email": {"text": "ann@example.com"}}, "email"),
    ({"password": "short"}, "password"),
    ({"password": "x" * 73}, "password"),
    ({"password": "é" * 37}, "password"),
    ({"password": "secret\u0000123"}, "password"),
    ({"password": "secret\ud800123"}, "password"),
    ({"password": 12345678}, "password"),
    ({"role": "owner"}, "role"),
    ({"role": None}, "role"),
    ({"role": "Admin"}, "role"),
    ({"phone": ""}, "phone"),
    ({"phone": "01632 960001"}, "phone"),
    ({"phone": "+44"}, "phone"),
    ({"phone": "+44 1632 960001" * 9}, "phone"),
    ({"phone": 441632960001}, "phone"),
    ({"preferences": None}, "preferences"),
    ({"preferences": []}, "preferences"),
    ({"preferences": {"language": "english"}}, "preferences.language"),
    ({"preferences": {"language": "e1"}}, "preferences.language"),
    ({"preferences": {"keep_history": "true"}}, "preferences.keep_history"),
    ({"preferences": {"keep_history": 1}}, "preferences.keep_history"),
    ({"preferences": {"notification_email": None}}, "preferences.notification_email"),
    ({"preferences": {"share_for_recommendations": "no"}}, "preferences.share_for_recommendations"),
    ({"preferences": {"theme": "dark"}}, "preferences.theme"),
    ({"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "id"),
    ({"status": "active"}, "status"),
    ({"version": 7}, "version"),
    ({"expires_at": "2099-01-01T00:00:00Z"}, "expires_at"),
    ({"password_hash": "x"}, "password_hash"),
]


@pytest.mark.parametrize(("bad", "field"), BAD_REGISTRATIONS)
def test_a_bad_registration_names_the_field_and_changes_nothing(
    ask: Ask, community: Community, bad: dict[str, Any], field: str
) -> None:
    answer = ask("POST", "/api/users", body={**ANN, **bad}, headers={"Idempotency-Key": "k"}, caller=AS_ADMIN)

    _assert_problem(answer, 422, "invalid_request")
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert community.members.accounts == {}
    assert community.members.answers == {}
    assert community.passwords.hashed == []


def test_all_bad_fields_are_named_at_once(ask: Ask) -> None:
    answer = ask("POST", "/api/users", body={"email": "x", "password": "y", "phone": "z", "a": 1})

    assert {error["field"] for error in answer.json["errors"]} == {"name", "email", "password", "phone", "a"}


def test_a_password_that_is_too_long_says_why(ask: Ask) -> None:
    answer = ask("POST", "/api/users", body={**ANN, "password": "é" * 40})

    assert "72 bytes" in answer.json["errors"][0]["message"]
    assert "é" not in json.dumps(answer.json, ensure_ascii=False)


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"raw_body": "{"}, 400, "malformed_json"),
        ({"raw_body": '{"name": NaN'}, 400, "malformed_json"),
        ({"raw_body": ""}, 422, "invalid_request"),
        ({"raw_body": "null"}, 422, "invalid_request"),
        ({"raw_body": "[]"}, 422, "invalid_request"),
        ({"raw_body": '"text"'}, 422, "invalid_request"),
        ({"body": ANN, "headers": {"Content-Type": "text/plain"}}, 415, "not_json"),
        ({"body": {**ANN, "name": "x" * 300_000}}, 413, "too_large"),
        ({"body": ANN, "headers": {"Idempotency-Key": ""}}, 400, "malformed_header"),
        ({"body": ANN, "headers": {"Idempotency-Key": "a b"}}, 400, "malformed_header"),
        ({"body": ANN, "headers": {"Idempotency-Key": "é"}}, 400, "malformed_header"),
    ],
)
def test_what_is_not_even_a_request_is_refused(
    ask: Ask, community: Community, request_: dict[str, Any], status: int, code: str
) -> None:
    _assert_problem(ask("POST", "/api/users", **request_), status, code)
    assert community.members.accounts == {}


# -- who gets in ----------------------------------------------------------------------------------

STRANGER = new_id()
CALLERS: dict[str, Mapping[str, str] | None] = {
    "nobody": None,
    "self": {},
    "member": person(STRANGER, "patron"),
    "librarian": AS_LIBRARIAN,
    "admin": AS_ADMIN,
    "service": service("loans", "users:read"),
    "other service": service("search", "books:read"),
}


@pytest.mark.parametrize(
    ("method", "path", "body", "statuses"),
    [
        (
            "GET",
            "/api/users",
            None,
            {"nobody": 401, "self": 403, "member": 403, "other service": 403},
        ),
        (
            "GET",
            "/api/users/me",
            None,
            {"nobody": 401, "service": 403, "other service": 403, "member": 404, "librarian": 404, "admin": 404},
        ),
        (
            "PUT",
            "/api/users/me",
            {"name": "New"},
            {"nobody": 401, "service": 403, "other service": 403, "member": 404, "librarian": 404, "admin": 404},
        ),
        ("GET", "/api/users/{id}", None, {"nobody": 401, "member": 404, "other service": 403}),
        (
            "PUT",
            "/api/users/{id}",
            {"name": "New"},
            {"nobody": 401, "member": 404, "service": 403, "other service": 403},
        ),
        (
            "PUT",
            "/api/users/{id}/status",
            {"status": "suspended", "reason": "noise"},
            {"nobody": 401, "self": 403, "member": 403, "service": 403, "other service": 403},
        ),
        (
            "POST",
            "/api/users/{id}/promote",
            {"role": "faculty"},
            {"nobody": 401, "self": 403, "member": 403, "librarian": 403, "service": 403, "other service": 403},
        ),
    ],
)
@pytest.mark.parametrize("who", CALLERS)
def test_who_gets_in(
    ask: Ask,
    community: Community,
    method: str,
    path: str,
    body: object,
    statuses: dict[str, int],
    who: str,
) -> None:
    member = community.join()
    caller = _as(member) if who == "self" else CALLERS[who]

    answer = ask(method, path.format(id=member.id), body=body, caller=caller)

    assert answer.status == statuses.get(who, 200), answer.json
    if answer.status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert community.members.accounts == {member.id: member}
        assert member.email not in json.dumps(answer.json)


def test_another_members_account_looks_like_none_at_all(ask: Ask, community: Community) -> None:
    member, caller = community.join(), person(STRANGER, "patron")

    there = ask("GET", f"/api/users/{member.id}", caller=caller)
    absent = ask("GET", f"/api/users/{new_id()}", caller=caller)

    ignored = {"instance", "correlation_id"}
    assert {k: v for k, v in there.json.items() if k not in ignored} == {
        k: v for k, v in absent.json.items() if k not in ignored
    }


@pytest.mark.parametrize("user_id", ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "x", "%00", "..%2F", "a" * 500, "me%20", "USER%231"])
def test_an_id_that_names_nobody_is_not_found(ask: Ask, user_id: str) -> None:
    for caller in (AS_LIBRARIAN, service("loans", "users:read")):
        _assert_problem(ask("GET", f"/api/users/{user_id}", caller=caller), 404, "user_not_found")


def test_the_account_a_token_belongs_to_may_be_gone(ask: Ask) -> None:
    _assert_problem(ask("GET", "/api/users/me", caller=person(STRANGER)), 404, "user_not_found")


# -- reading and editing --------------------------------------------------------------------------


def test_me_is_the_callers_own_account(ask: Ask, community: Community) -> None:
    member = community.join()
    community.join("Bob")

    me = ask("GET", "/api/users/me/", caller=_as(member))

    assert me.json["id"] == member.id
    assert me.headers["etag"] == 'W/"1"'
    assert me.json == ask("GET", f"/api/users/{member.id}", caller=service("loans", "users:read")).json


@pytest.mark.parametrize("path", ["/api/users/me", "/api/users/{id}"])
def test_members_edit_themselves(ask: Ask, community: Community, path: str) -> None:
    member = community.join(phone="+441632960001")
    body = {"name": "Ann Young", "phone": None, "preferences": {"keep_history": True}}

    answer = ask("PUT", path.format(id=member.id), body=body, caller=_as(member))

    assert answer.status == 200
    assert (answer.json["name"], answer.json["phone"], answer.json["email"]) == ("Ann Young", None, member.email)
    assert answer.json["preferences"]["keep_history"] is True
    assert answer.headers["etag"] == 'W/"2"'


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "admin"}, "role"),
        ({"status": "active"}, "status"),
        ({"version": 5}, "version"),
        ({"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "id"),
        ({"expires_at": None}, "expires_at"),
        ({"password": "secret123"}, "password"),
        ({"email_key": "x"}, "email_key"),
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"email": None}, "email"),
        ({"email": "x"}, "email"),
        ({"phone": "123"}, "phone"),
        ({"preferences": None}, "preferences"),
        ({"preferences": {"keep_history": "yes"}}, "preferences.keep_history"),
        ({"preferences": {"role": "admin"}}, "preferences.role"),
    ],
)
@pytest.mark.parametrize("path", ["/api/users/me", "/api/users/{id}"])
def test_a_bad_edit_names_the_field_and_changes_nothing(
    ask: Ask, community: Community, path: str, body: dict[str, Any], field: str
) -> None:
    member = community.join()

    answer = ask("PUT", path.format(id=member.id), body={"name": "New", **body}, caller=_as(member))

    _assert_problem(answer, 422, "invalid_request")
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert community.members.accounts == {member.id: member}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/api/users/me", {"name": "New"}),
        ("PUT", "/api/users/{id}", {"name": "New"}),
        ("PUT", "/api/users/{id}/status", {"status": "expired"}),
        ("POST", "/api/users/{id}/promote", {"role": "faculty"}),
    ],
)
def test_if_match_guards_every_change(
    ask: Ask, community: Community, method: str, path: str, body: dict[str, str]
) -> None:
    member = community.join()
    url = path.format(id=member.id)
    caller = _as(member) if url.endswith("/me") else AS_ADMIN

    stale = ask(method, url, body=body, caller=caller, headers={"If-Match": 'W/"7"'})
    _assert_problem(stale, 412, "stale_version")
    malformed = ask(method, url, body=body, caller=caller, headers={"If-Match": "1"})
    _assert_problem(malformed, 400, "malformed_header")
    assert community.members.accounts == {member.id: member}

    fresh = ask(method, url, body=body, caller=caller, headers={"If-Match": '"3", W/"1"'})
    assert (fresh.status, fresh.headers["etag"]) == (200, 'W/"2"')


def test_the_address_of_another_is_a_conflict(ask: Ask, community: Community) -> None:
    member, _ = community.join(), community.join(email="bob@example.com")

    answer = ask("PUT", "/api/users/me", body={"email": "BOB@example.com"}, caller=_as(member))

    _assert_problem(answer, 409, "email_taken")


def test_librarians_do_not_edit_administrators(ask: Ask, community: Community) -> None:
    admin = community.join(role=Role.ADMIN)

    edit = ask("PUT", f"/api/users/{admin.id}", body={"email": "mine@example.com"}, caller=AS_LIBRARIAN)
    _assert_problem(edit, 403, "admin_only")
    status = ask("PUT", f"/api/users/{admin.id}/status", body={"status": "expired"}, caller=AS_LIBRARIAN)
    _assert_problem(status, 403, "admin_only")
    assert community.members.accounts == {admin.id: admin}


def test_an_account_that_never_holds_still_is_unavailable_for_a_moment(ask: Ask, community: Community) -> None:
    member = community.join()

    def come_in_between() -> None:
        present = community.members.accounts[member.id]
        community.members.accounts[member.id] = replace(present, version=present.version + 1)
        community.members.meanwhile.append(come_in_between)

    community.members.meanwhile.append(come_in_between)

    answer = ask("PUT", f"/api/users/{member.id}", body={"name": "New"}, caller=AS_LIBRARIAN)

    _assert_problem(answer, 503, "service_unavailable")
    assert answer.headers["retry-after"] == "1"


# -- status and role ------------------------------------------------------------------------------


def test_a_suspension_and_its_end(ask: Ask, community: Community) -> None:
    member = community.join()
    url = f"/api/users/{member.id}/status"
    body = {"status": "suspended", "reason": "Three books lost", "until": "2026-12-01T02:00:00.900+02:00"}

    suspended = ask("PUT", url, body=body, caller=AS_LIBRARIAN)
    again = ask("PUT", url, body=body, caller=AS_LIBRARIAN)
    lifted = ask("PUT", url, body={"status": "active"}, caller=AS_LIBRARIAN)

    assert (suspended.json["status"], suspended.json["status_reason"], suspended.json["suspended_until"]) == (
        "suspended",
        "Three books lost",
        "2026-12-01T00:00:00Z",
    )
    assert (again.status, again.json) == (200, suspended.json)
    assert (lifted.json["status"], lifted.json["status_reason"], lifted.json["version"]) == ("active", None, 3)
    assert [data for _, data in community.told] == [
        {"user_id": member.id, "old": "active", "new": "suspended", "until": "2026-12-01T00:00:00Z"},
        {"user_id": member.id, "reason": "suspended", "epoch": 1},
        {"user_id": member.id, "old": "suspended", "new": "active"},
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "status"),
        ({"status": "pending"}, "status"),
        ({"status": "gone"}, "status"),
        ({"status": None}, "status"),
        ({"status": "suspended"}, "reason"),
        ({"status": "suspended", "reason": ""}, "reason"),
        ({"status": "suspended", "reason": "  \n "}, "reason"),
        ({"status": "suspended", "reason": "x" * 501}, "reason"),
        ({"status": "suspended", "reason": "a\u0007"}, "reason"),
        ({"status": "suspended", "reason": "x", "until": "2026-11-21T12:00:00Z"}, "until"),
        ({"status": "suspended", "reason": "x", "until": "2026-12-01"}, "until"),
        ({"status": "suspended", "reason": "x", "until": "2026-12-01T00:00:00"}, "until"),
        ({"status": "suspended", "reason": "x", "until": 1900000000}, "until"),
        ({"status": "suspended", "reason": "x", "until": "soon"}, "until"),
        ({"status": "suspended", "reason": "x", "until": "9999-12-31T23:59:59-14:00"}, "until"),
        ({"status": "active", "until": "2026-12-01T00:00:00Z"}, "until"),
        ({"status": "expired", "version": 3}, "version"),
    ],
)
def test_a_bad_status_names_the_field_and_changes_nothing(
    ask: Ask, community: Community, body: dict[str, Any], field: str
) -> None:
    member = community.join()

    answer = ask("PUT", f"/api/users/{member.id}/status", body=body, caller=AS_LIBRARIAN)

    _assert_problem(answer, 422, "invalid_request")
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert community.members.accounts == {member.id: member}
    assert community.told == []


def test_a_step_the_lifecycle_does_not_have_is_a_conflict(ask: Ask, community: Community) -> None:
    member = community.join(stored_status=Status.PENDING)

    answer = ask("PUT", f"/api/users/{member.id}/status", body={"status": "expired"}, caller=AS_LIBRARIAN)

    _assert_problem(answer, 409, "status_transition")
    assert "pending" in answer.json["detail"]


def test_staff_change_neither_their_own_status_nor_their_own_role(ask: Ask, community: Community) -> None:
    admin = community.join(role=Role.ADMIN)

    status = ask("PUT", f"/api/users/{admin.id}/status", body={"status": "expired"}, caller=_as(admin))
    _assert_problem(status, 409, "own_status")
    role = ask("POST", f"/api/users/{admin.id}/promote", body={"role": "patron"}, caller=_as(admin))
    _assert_problem(role, 409, "own_role")
    assert community.members.accounts == {admin.id: admin}


def test_administrators_change_roles(ask: Ask, community: Community) -> None:
    member = community.join()
    community.employ(ADMIN)
    url = f"/api/users/{member.id}/promote"

    promoted = ask("POST", url, body={"role": "librarian"}, caller=AS_ADMIN)
    again = ask("POST", url, body={"role": "librarian"}, caller=AS_ADMIN)

    assert (promoted.status, promoted.json["role"]) == (200, "librarian")
    assert (again.status, again.json) == (200, promoted.json)
    assert [kind for kind, _ in community.told] == ["MemberRoleChanged", "SessionsRevoked"]


@pytest.mark.parametrize("body", [{}, {"role": "owner"}, {"role": None}, {"role": "faculty", "status": "active"}])
def test_a_bad_role_changes_nothing(ask: Ask, community: Community, body: dict[str, Any]) -> None:
    member = community.join()

    answer = ask("POST", f"/api/users/{member.id}/promote", body=body, caller=AS_ADMIN)

    _assert_problem(answer, 422, "invalid_request")
    assert community.members.accounts == {member.id: member}


# -- finding --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["active", "ACTIVE"])
def test_librarians_page_through_what_they_look_for(ask: Ask, community: Community, status: str) -> None:
    for name in ("Anna", "Ann", "Bob", "Ánne"):
        community.join(name, role=Role.STUDENT)
    community.join("Anton")
    community.join("Anja", role=Role.STUDENT, stored_status=Status.PENDING)

    url = f"/api/users?name=AN&role=student&status={status}&limit=2"
    first = ask("GET", url, caller=AS_LIBRARIAN)
    second = ask("GET", f"{url}&cursor={first.json['next_cursor']}", caller=AS_LIBRARIAN)

    assert [user["name"] for user in first.json["items"]] == ["Ann", "Anna"]
    assert [user["name"] for user in second.json["items"]] == ["Ánne"]
    assert second.json["next_cursor"] is None


def test_librarians_find_an_address(ask: Ask, community: Community) -> None:
    member = community.join(email="ann+books@example.com")
    community.join()

    answer = ask("GET", "/api/users?email=ANN%2Bbooks@example.com", caller=AS_LIBRARIAN)

    assert [user["id"] for user in answer.json["items"]] == [member.id]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "cursor=x",
        "cursor=",
        "role=owner",
        "status=gone",
        "nmae=ann",
        "name=",
        "name=%00",
        "name=%CC%81",
        "name=" + "x" * 201,
        "email=" + "x" * 300,
    ],
)
def test_a_bad_query_is_refused(ask: Ask, community: Community, query: str) -> None:
    community.join()

    answer = ask("GET", f"/api/users?{query}", caller=AS_LIBRARIAN)

    _assert_problem(answer, 422, "invalid_request")
    assert [error["field"] for error in answer.json["errors"]] == [query.split("=", maxsplit=1)[0]]


# -- the password that goes with a change -----------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/users/me", "/api/users/{id}"])
@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({}, "is required"),
        ({"current_password": None}, "is required"),
        ({"current_password": "wrong horse"}, "is not your password"),
        ({"current_password": "short"}, "is not your password"),
        ({"current_password": ""}, "is not your password"),
        ({"current_password": "x" * 1000}, "is not your password"),
    ],
)
def test_a_missing_password_is_told_from_a_wrong_one(
    ask: Ask, community: Community, path: str, sent: dict[str, str | None], sentence: str
) -> None:
    member = community.join()
    community.members.hashes[member.id] = "hash of correct horse"
    url = path.format(id=member.id)

    answer = ask("PUT", url, body={"phone": "+441632960002", **sent}, caller=_as(member))

    _assert_problem(answer, 403, "password_needed")
    assert answer.json["errors"] == [{"field": "current_password", "message": sentence}]
    assert ("not your password" in answer.json["detail"]) is ("not your password" in sentence)
    assert community.members.accounts[member.id] == member


@pytest.mark.parametrize("sent", ["\ud800 horse", "wrong\x00horse"])
def test_what_no_password_has_is_refused_before_it_is_compared(ask: Ask, community: Community, sent: str) -> None:
    member = community.join()

    answer = ask("PUT", "/api/users/me", body={"phone": "+441632960002", "current_password": sent}, caller=_as(member))

    _assert_problem(answer, 422, "invalid_request")
    assert [error["field"] for error in answer.json["errors"]] == ["current_password"]


def test_a_password_shorter_than_new_ones_may_be_is_right_where_it_is_the_one(ask: Ask, community: Community) -> None:
    member = community.join()
    community.members.hashes[member.id] = "hash of old"
    body = {"phone": "+441632960002", "current_password": "old"}

    assert ask("PUT", "/api/users/me", body=body, caller=_as(member)).json["phone_confirmed"] is True


# -- the document ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "value"), [("role", "archivist"), ("stored_status", "frozen")])
def test_a_value_of_a_newer_version_is_answered_as_it_is_and_keeps_the_account_from_changes(
    ask: Ask, community: Community, name: str, value: str
) -> None:
    member = community.join(password="correct horse", **{name: value})
    community.employ(ADMIN)
    url = f"/api/users/{member.id}"

    shown = ask("GET", url, caller=AS_LIBRARIAN)
    listed = ask("GET", f"/api/users?email={member.email}", caller=AS_LIBRARIAN).json["items"]
    refused = [
        ask("PUT", url, body={"name": "New"}, caller=AS_ADMIN),
        ask("PUT", f"{url}/status", body={"status": "expired"}, caller=AS_ADMIN),
        ask("POST", f"{url}/promote", body={"role": "faculty"}, caller=AS_ADMIN),
        ask("DELETE", url, caller=AS_ADMIN),
        ask("POST", "/api/auth/login", body={"email": member.email, "password": "correct horse"}),
    ]

    assert shown.json[name.removeprefix("stored_")] == value
    assert listed == [shown.json]
    for answer in refused:
        _assert_problem(answer, 503, "service_unavailable")
        assert answer.headers["retry-after"] == "30"
    assert community.members.accounts[member.id] == member


def test_the_document_names_every_route_with_its_access_and_refusals(ask: Ask) -> None:
    document = ask("GET", "/api/users/openapi.json").json

    routes = {
        f"{method.upper()} {path}": operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert {route: operation["x-access"] for route, operation in routes.items()} == {
        "GET /api/users/openapi.json": {"public": True},
        "POST /api/users": {"public": True},
        "GET /api/users": {"librarian": True, "scope": "users:read"},
        "GET /api/users/me": {"member": True, "own": "caller"},
        "PUT /api/users/me": {"member": True, "own": "caller"},
        "GET /api/users/{user_id}": {
            "member": True,
            "librarian": True,
            "own": "path:user_id",
            "scope": "users:read",
        },
        "PUT /api/users/{user_id}": {"member": True, "librarian": True, "own": "path:user_id"},
        "DELETE /api/users/{user_id}": {"member": True, "own": "path:user_id", "admin": True},
        "GET /api/users/{user_id}/export": {"member": True, "own": "path:user_id", "admin": True},
        "PUT /api/users/{user_id}/status": {"librarian": True},
        "POST /api/users/{user_id}/promote": {"admin": True},
        "POST /api/auth/login": {"public": True},
        "POST /api/auth/refresh": {"public": True},
        "POST /api/auth/logout": {"member": True, "own": "caller"},
        "GET /.well-known/jwks.json": {"public": True},
        "POST /api/auth/password-reset": {"public": True},
        "POST /api/auth/password-reset/confirm": {"public": True},
        "POST /api/auth/verify-email": {"public": True},
        "POST /api/auth/verify-email/resend": {"public": True},
    }
    assert "email_taken" in routes["POST /api/users"]["responses"]["409"]["description"]
    assert "own_role" in routes["POST /api/users/{user_id}/promote"]["responses"]["409"]["description"]
    assert "password" not in json.dumps(document["components"]["schemas"]["UserView"])


def test_the_document_says_of_an_edit_what_is_accepted(ask: Ask) -> None:
    schemas = ask("GET", "/api/users/openapi.json").json["components"]["schemas"]

    profile = schemas["ProfileBody"]
    assert (profile["additionalProperties"], profile.get("required")) == (False, None)
    assert '"null"' not in json.dumps([profile["properties"][name] for name in ("name", "email", "preferences")])
    assert '"null"' in json.dumps(profile["properties"]["phone"])


def test_an_unexpected_failure_is_a_problem_document_too(ask: Ask, community: Community) -> None:
    member = community.join()
    community.members.get = lambda user_id: 1 / 0  # type: ignore[method-assign,assignment,return-value]

    _assert_problem(ask("GET", f"/api/users/{member.id}", caller=AS_LIBRARIAN), 500, "internal_error")
