"""Sessions on the deployed stack: from registering to logging out, as a client sees it."""

import json
import re
import subprocess
from typing import Any

import httpx
import jwt
import pytest

from library_common.ids import new_id
from localstack.embedded.layout import ROOT
from tests.support.library_client import LibraryClient, at_once, created, ok, problem, statuses

pytestmark = pytest.mark.integration

PASSWORD = "a sound passphrase"


@pytest.fixture
def ann(library: LibraryClient) -> dict[str, Any]:
    body = {"name": "Ann Lee", "email": f"Ann.{new_id()}@Example.org", "password": PASSWORD}
    return created(library.http.post("/api/users", json=body))


def _log_in(library: LibraryClient, email: str, password: str = PASSWORD) -> httpx.Response:
    return library.http.post("/api/auth/login", json={"email": email, "password": password})


def _refresh(library: LibraryClient, session: dict[str, Any]) -> httpx.Response:
    return library.http.post("/api/auth/refresh", json={"refresh_token": session["refresh_token"]})


def _bearer(session: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {session['access_token']}"}


def test_from_login_to_logout(library: LibraryClient, ann: dict[str, Any]) -> None:
    answer = _log_in(library, ann["email"].upper())
    first = ok(answer)
    assert answer.headers["cache-control"] == "no-store"
    assert (first["token_type"], first["expires_in"], first["user"]) == ("Bearer", 900, ann)
    assert ok(library.http.get("/api/users/me", headers=_bearer(first))) == ann

    second = ok(_refresh(library, first))
    assert ok(library.http.get("/api/users/me", headers=_bearer(second))) == ann
    problem(_refresh(library, first), 401, "refresh_token_invalid")
    problem(_refresh(library, second), 401, "refresh_token_invalid")

    third = ok(_log_in(library, ann["email"]))
    assert library.http.post("/api/auth/logout", headers=_bearer(third)).status_code == 204
    problem(_refresh(library, third), 401, "refresh_token_invalid")


def test_logging_out_takes_a_token(library: LibraryClient) -> None:
    problem(library.http.post("/api/auth/logout"), 401, "not_authenticated")


def test_anybody_can_check_a_token_with_the_published_keys(library: LibraryClient, ann: dict[str, Any]) -> None:
    session = ok(_log_in(library, ann["email"]))
    answer = library.http.get("/.well-known/jwks.json")
    assert "max-age" in answer.headers["cache-control"]

    keys = {key["kid"]: key for key in ok(answer)["keys"]}
    assert all("d" not in key for key in keys.values())
    key = jwt.PyJWK(keys[jwt.get_unverified_header(session["access_token"])["kid"]])
    claims = jwt.decode(
        session["access_token"], key.key, ["ES256"], audience="smart-library-api", issuer="smart-library"
    )

    assert (claims["sub"], claims["role"], claims["sep"]) == (ann["id"], "patron", 0)
    assert claims["exp"] - claims["iat"] == 900
    assert claims["sid"] == session["refresh_token"].split(".")[0]


def test_wrong_logins_are_answered_alike(library: LibraryClient, ann: dict[str, Any]) -> None:
    bare = library.add_member()
    documents = [
        problem(_log_in(library, email, password), 401, "invalid_credentials")
        for email, password in (
            (ann["email"], "wrong passphrase"),
            (f"{new_id()}@example.org", PASSWORD),
            (bare["email"], PASSWORD),
            (ann["email"], PASSWORD + "x" * 72),
        )
    ]

    assert len({str({k: v for k, v in d.items() if k != "correlation_id"}) for d in documents}) == 1


def test_of_many_refreshes_at_once_one_wins_and_the_session_ends(library: LibraryClient, ann: dict[str, Any]) -> None:
    session = ok(_log_in(library, ann["email"]))

    answers = at_once([lambda: _refresh(library, session)] * 6)

    assert statuses(answers) == {200: 1, 401: 5}
    (winner,) = [answer.json() for answer in answers if answer.status_code == 200]
    problem(_refresh(library, winner), 401, "refresh_token_invalid")


def test_a_suspension_ends_the_session_and_the_right_password_is_told_why(
    library: LibraryClient, ann: dict[str, Any]
) -> None:
    session = ok(_log_in(library, ann["email"]))
    suspension = {"status": "suspended", "reason": "Three books lost"}
    ok(library.http.put(f"/api/users/{ann['id']}/status", json=suspension, headers=library.as_librarian()))

    refused = problem(_log_in(library, ann["email"]), 403, "account_suspended")
    assert refused["status_reason"] == "Three books lost"
    problem(_refresh(library, session), 403, "account_suspended")
    ok(library.http.put(f"/api/users/{ann['id']}/status", json={"status": "active"}, headers=library.as_librarian()))
    problem(_refresh(library, session), 401, "refresh_token_invalid")
    ok(_log_in(library, ann["email"]))


def test_staff_are_made_by_staff_in_office_only(library: LibraryClient, ann: dict[str, Any]) -> None:
    url = f"/api/users/{ann['id']}/promote"
    nobody = library.bearer(new_id(), "admin")

    problem(library.http.post(url, json={"role": "librarian"}, headers=nobody), 403, "no_longer_allowed")
    assert ok(library.http.post(url, json={"role": "librarian"}, headers=library.as_admin()))["role"] == "librarian"
    session = ok(_log_in(library, ann["email"]))
    found = library.http.get("/api/users", params={"email": ann["email"]}, headers=_bearer(session))
    assert [user["role"] for user in ok(found)["items"]] == ["librarian"]
    ok(library.http.post(url, json={"role": "patron"}, headers=library.as_admin()))

    body = {"name": "Eve", "email": f"{new_id()}@example.org", "role": "librarian"}
    late = library.http.post("/api/users", json=body, headers=_bearer(session))
    assert late.status_code in {401, 403}, "refused by the authorizer, or by the account itself before that"


def test_the_walk_in_the_documentation_runs_as_written(library: LibraryClient) -> None:
    (walk,) = re.findall(r"<!-- walk: .*? -->\n```sh\n(.*?)```", (ROOT / "docs" / "identity.md").read_text(), re.DOTALL)
    assert "BASE=http://127.0.0.1:8080" in walk
    script = walk.replace("http://127.0.0.1:8080", library.base_url).replace("curl -s", "curl -sf")

    done = subprocess.run(
        ["sh", "-ec", f'{script}\necho; echo "$SESSION"'],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    session = json.loads(done.stdout.splitlines()[-1])
    problem(_refresh(library, session), 401, "refresh_token_invalid")
