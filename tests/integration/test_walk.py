"""The walk of the original description, as it stands in the README."""

import pytest

from tests.support.event_tap import EventTap
from tests.support.library_client import LibraryClient, created, eventually, ok, problem

pytestmark = pytest.mark.integration


def test_register_add_search_change_lend_look_return(library: LibraryClient) -> None:
    http, desk = library.http, library.as_librarian()

    alice = created(http.post("/api/users", json={"name": "Alice", "email": "alice@example.org", "role": "student"}))
    assert alice["status"] == "active"

    book = created(
        http.post(
            "/api/books",
            json={"title": "Clean Code", "author": "Robert C. Martin", "isbn": "978-0-13-235088-4", "copies": 3},
            headers=desk,
        )
    )
    assert (book["total_copies"], book["available_copies"], book["isbn"]) == (3, 3, "9780132350884")

    found = ok(http.get("/api/books", params={"search": "code"}))["items"]
    assert book["id"] in [b["id"] for b in found]

    changed = ok(http.patch(f"/api/books/{book['id']}", json={"copies": 5}, headers=desk))
    assert (changed["total_copies"], changed["available_copies"]) == (5, 5)

    me = library.bearer(alice["id"], "student")
    loan = created(http.post("/api/loans", json={"user_id": alice["id"], "book_id": book["id"]}, headers=me))
    assert (loan["status"], loan["title"]) == ("ACTIVE", "Clean Code")
    assert library.available(book["id"]) == 4

    history = ok(http.get(f"/api/loans/user/{alice['id']}", headers=me))["items"]
    assert [entry["id"] for entry in history] == [loan["id"]]

    returned = ok(http.post(f"/api/loans/{loan['id']}/return", headers=me))
    assert returned["status"] == "RETURNED"
    assert returned["return_date"] is not None
    assert library.available(book["id"]) == 5
    again = ok(http.post("/api/returns", json={"loan_id": loan["id"]}, headers=desk))
    assert again["return_date"] == returned["return_date"]


def test_a_title_is_found_the_moment_it_is_added(library: LibraryClient) -> None:
    for number in range(5):
        word = f"zymurgy{number}"
        book = library.add_book(title=f"On {word}")
        found = ok(library.http.get("/api/books", params={"search": word}))["items"]
        assert [b["id"] for b in found] == [book["id"]]


def test_members_see_their_own_things_only(library: LibraryClient) -> None:
    owner, other = library.add_member(), library.add_member()
    loan = library.lent(owner["id"], library.add_book()["id"])
    stranger = library.bearer(other["id"], "patron")

    problem(library.http.get(f"/api/loans/{loan['id']}", headers=stranger), 404, "loan_not_found")
    problem(library.http.get(f"/api/loans/user/{owner['id']}", headers=stranger), 404, "not_found")
    problem(library.http.get(f"/api/users/{owner['id']}", headers=stranger), 404, "not_found")
    problem(library.http.post("/api/returns", json={"loan_id": loan["id"]}, headers=stranger), 404, "loan_not_found")
    problem(library.http.post("/api/books", json={"title": "x", "author": "y"}, headers=stranger), 403, "not_allowed")
    assert library.loan(loan["id"])["status"] == "ACTIVE"


def test_errors_of_the_gateway_itself_are_problem_documents(library: LibraryClient) -> None:
    problem(library.http.get("/api/loans"), 401, "not_authenticated")
    problem(library.http.get("/api/loans", headers={"Authorization": "Bearer nonsense"}), 401, "not_authenticated")
    problem(library.http.get("/api/nothing/here"), 404, "no_such_route")
    # A page of another origin is to be able to read them, one that the guard of this machine lets through.
    for path in ("/api/loans", "/api/nothing/here"):
        refused = library.http.get(path, headers={"Origin": "http://localhost:3000"})
        assert refused.headers["access-control-allow-origin"] == "*"
        assert "X-Correlation-Id" in refused.headers["access-control-expose-headers"]
        assert refused.headers["x-correlation-id"] == refused.json()["correlation_id"]


def test_an_event_reaches_the_bus_once_and_matches_its_schema(library: LibraryClient, bus: EventTap) -> None:
    member, book = library.add_member(), library.add_book(title="Eventful")
    loan = library.lent(member["id"], book["id"])
    library.returned(loan["id"])

    seen = eventually(lambda: bus.about(f"loan:{loan['id']}", at_least=2), "both events of the loan on the bus")

    assert [e["type"] for e in seen] == ["LoanCreated", "LoanReturned"]
    assert seen[0]["data"]["title"] == "Eventful"
    assert seen[0]["actor"].startswith("user:")
    assert len({e["id"] for e in seen}) == 2
