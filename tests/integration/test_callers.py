"""The authorizer's answers are cached per token: nobody ever gets what another token or another route was told."""

from functools import partial

import httpx
import pytest

from tests.support.library_client import LibraryClient, at_once, problem

pytestmark = pytest.mark.integration


def test_a_cached_answer_is_nobody_elses_and_no_other_routes(library: LibraryClient) -> None:
    """Every token on every route, again and again and at once, while all answers are cached."""
    ada, bea = library.add_member(), library.add_member()
    for member in (ada, bea):
        library.lent(member["id"], library.add_book()["id"])
    tokens = {
        "ada": library.bearer(ada["id"], "patron"),
        "bea": library.bearer(bea["id"], "patron"),
        "desk": library.as_librarian(),
    }
    of_ada, of_bea = f"/api/users/{ada['id']}", f"/api/users/{bea['id']}"
    loans_of_ada, loans_of_bea = f"/api/loans/user/{ada['id']}", f"/api/loans/user/{bea['id']}"
    # Who may see what; the routes are of two functions, and need a member, a member's own id, or staff.
    expected = {
        ("ada", "/api/users/me"): (200, ada["id"]),
        ("bea", "/api/users/me"): (200, bea["id"]),
        ("ada", of_ada): (200, ada["id"]),
        ("ada", of_bea): (404, None),
        ("bea", of_bea): (200, bea["id"]),
        ("bea", of_ada): (404, None),
        ("desk", of_ada): (200, ada["id"]),
        ("desk", of_bea): (200, bea["id"]),
        ("ada", "/api/users"): (403, None),
        ("bea", "/api/users"): (403, None),
        ("desk", "/api/users"): (200, None),
        ("ada", loans_of_ada): (200, None),
        ("ada", loans_of_bea): (404, None),
        ("bea", loans_of_bea): (200, None),
        ("bea", loans_of_ada): (404, None),
    }

    def ask(who: str, path: str) -> tuple[tuple[str, str], httpx.Response]:
        return (who, path), library.http.get(path, headers=tokens[who])

    for rounds in range(3):
        order = list(expected) if rounds % 2 == 0 else list(reversed(expected))
        for asked, answer in at_once([partial(ask, *key) for key in order], workers=4):
            status, user_id = expected[asked]
            assert answer.status_code == status, (asked, answer.text)
            if user_id is not None:
                assert answer.json()["id"] == user_id, asked
            if asked[1].startswith("/api/loans/user/") and status == 200:
                mine = ada if asked[0] == "ada" else bea
                assert {loan["user_id"] for loan in answer.json()["items"]} == {mine["id"]}


def test_a_cached_answer_helps_nobody_without_the_token(library: LibraryClient) -> None:
    member = library.add_member()
    headers = library.bearer(member["id"], "patron")
    assert library.http.get("/api/users/me", headers=headers).status_code == 200

    problem(library.http.get("/api/users/me"), 401, "not_authenticated")
    changed = {"Authorization": headers["Authorization"][:-2] + "xx"}
    problem(library.http.get("/api/users/me", headers=changed), 401, "not_authenticated")


def test_a_public_route_looks_at_each_token_anew(library: LibraryClient) -> None:
    """Registering is open to all, but only staff register staff: an answer kept from the desk would be a way in."""

    def register(headers: dict[str, str], number: int) -> httpx.Response:
        body = {
            "name": "New",
            "email": f"new{number}.{library.add_member()['id'].lower()}@example.org",
            "role": "faculty",
        }
        return library.http.post("/api/users", json=body, headers=headers)

    desk = library.as_librarian()
    member = library.bearer(library.add_member()["id"], "patron")
    seen = [register(headers, number).status_code for number, headers in enumerate([desk, {}, desk, member, desk, {}])]

    assert seen[0::2] == [201, 201, 201]
    assert set(seen[1::2]) == {403}
