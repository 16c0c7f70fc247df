"""Leaving the deployed library: the archive, the refusal while books are out, and being forgotten."""

import pytest

from tests.support.library_client import LibraryClient, created, eventually, ok, problem

pytestmark = pytest.mark.integration


def test_a_member_takes_their_data_and_leaves(library: LibraryClient) -> None:
    member = library.add_member()
    me = library.bearer(member["id"], "patron")
    loan = library.lent(member["id"], library.add_book()["id"])
    path = f"/api/users/{member['id']}"

    # Three services are asked, none of which may be awake yet on a busy machine: 503 until they are.
    eventually(lambda: library.http.get(f"{path}/export", headers=me).status_code == 200, "an archive")
    archive = ok(library.http.get(f"{path}/export", headers=me))
    assert archive["account"]["email"] == member["email"]
    assert [entry["id"] for entry in archive["loans"]] == [loan["id"]]
    assert archive["notifications"]["preferences"]["user_id"] == member["id"]
    told = eventually(
        lambda: [
            notice["kind"]
            for notice in ok(library.http.get(f"{path}/export", headers=me))["notifications"]["notices"]
            if notice["kind"] == "loan_issued"
        ],
        "the notice of the loan in the archive",
    )
    assert told == ["loan_issued"]
    months = eventually(lambda: ok(library.http.get(f"{path}/export", headers=me))["activity"], "the month's figures")
    assert [month["loans"] for month in months] == [1]

    refused = problem(library.http.delete(path, headers=me), 409, "still_obliged")
    assert [reason["code"] for reason in refused["reasons"]] == ["open_loans"]

    library.returned(loan["id"])
    assert library.http.delete(path, headers=me).status_code == 204
    problem(library.http.get(path, headers=library.as_librarian()), 404, "user_not_found")
    found = ok(library.http.get("/api/users", params={"email": member["email"]}, headers=library.as_librarian()))
    assert found["items"] == []
    again = library.http.post("/api/users", json={"name": "Again", "email": member["email"]})
    assert created(again)["id"] != member["id"]
