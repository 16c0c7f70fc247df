"""The HTTP API: who may call what, what is accepted, and how it answers."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from books_service.domain import errors
from books_service.domain.stock import CopyStatus
from books_service.http import PROBLEMS, build
from books_service.schemas import BookQuery, NewBook
from library_common.http import ServiceApi
from library_common.ids import new_id
from library_common.paging import Cursors
from tests.fakes.books import Library
from tests.support.lambda_events import Answer, api_event, call, person, service

pytestmark = pytest.mark.unit

DESK = person("desk", "librarian")
MEMBER = person(new_id(), "student")
LOANS = service("loans", "inventory:write")
HOBBIT = {"title": "The Hobbit", "author": "J. R. R. Tolkien"}
NO_BOOK = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

type Ask = Callable[..., Answer]


@pytest.fixture(scope="module")
def api_on() -> Callable[[Library], ServiceApi]:
    """The API, built once; every test has it on its own library."""
    present: list[Library] = []
    api = build(lambda: present[0].use_cases)

    def on(library: Library) -> ServiceApi:
        present[:] = [library]
        return api

    return on


@pytest.fixture
def ask(api_on: Callable[[Library], ServiceApi], library: Library) -> Ask:
    """Sends a request to the service on the library in memory."""
    api = api_on(library)

    def send(method: str, url: str, **request: Any) -> Answer:
        return call(api, api_event(method, url, **request))

    return send


def fields_of(answer: Answer) -> list[str]:
    """Which fields a 422 is about."""
    assert (answer.status, answer.json["code"]) == (422, "invalid_request"), answer
    return [error["field"] for error in answer.json["errors"]]


def problem(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json["code"]) == (status, code), answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["detail"]
    assert answer.json["correlation_id"] == answer.headers["x-correlation-id"]


class TestWhoMayCallWhat:
    def every_route(self) -> list[tuple[str, str, dict[str, Any]]]:
        document = build(lambda: pytest.fail("not to be reached")).openapi()
        return [
            (method.upper(), path, declared["x-access"])
            for path, methods in document["paths"].items()
            for method, declared in methods.items()
        ]

    def test_nobody_gets_further_than_declared(self, ask: Ask) -> None:
        callers: dict[str, dict[str, str] | None] = {
            "nobody": None,
            "member": MEMBER,
            "librarian": DESK,
            "admin": person("root", "admin"),
            "loans": LOANS,
            "another service": service("loans", "users:read"),
        }
        routes = self.every_route()
        assert routes
        for method, path, access in routes:
            url = path.format(book_id=NO_BOOK, barcode="30001000000002")
            allowed = {
                "librarian": bool(access.get("librarian")),
                "admin": bool(access.get("librarian")),
                "loans": access.get("scope") == "inventory:write",
            }
            for name, caller in callers.items():
                answer = ask(method, url, caller=caller)
                refused = answer.status in (401, 403)
                assert refused is not (access.get("public", False) or allowed.get(name, False)), (method, path, name)
                if refused:
                    problem(answer, *((401, "not_authenticated") if name == "nobody" else (403, "not_allowed")))

    def test_what_is_public(self) -> None:
        public = {(method, path) for method, path, access in self.every_route() if access.get("public")}
        assert public == {
            ("GET", "/api/books"),
            ("GET", "/api/books/{book_id}"),
            ("GET", "/api/books/{book_id}/availability"),
            ("GET", "/api/books/openapi.json"),
        }

    def test_who_borrows_what_is_not_public(self, ask: Ask, library: Library) -> None:
        book_id = library.add(copies=1)
        library.use_cases.reservations.reserve(book_id, "L1")
        for url in (f"/api/books/{book_id}", f"/api/books/{book_id}/availability", "/api/books"):
            assert "L1" not in str(ask("GET", url).json)


class TestAddingATitle:
    def test_whole(self, ask: Ask) -> None:
        body = {
            "title": "  The Hobbit ",
            "author": "J. R. R. Tolkien",
            "isbn": "0-261-10221-4",
            "copies": 2,
            "published_year": 1937,
            "genre": "Fantasy",
            "language": "EN",
            "publisher": "Allen & Unwin",
            "edition": "1st",
            "subjects": ["Dragons", "Rings"],
            "description": "In a hole in the ground\nthere lived a hobbit.",
            "cover_url": "https://example.org/hobbit.jpg",
            "replacement_price": {"amount": "12.5", "currency": "USD"},
        }
        added = ask("POST", "/api/books", body=body, caller=DESK)
        assert added.status == 201
        assert added.headers["etag"] == 'W/"1"'
        assert added.headers["location"] == f"/api/books/{added.json['id']}"
        expected = {name: value for name, value in body.items() if name != "copies"} | {
            "title": "The Hobbit",
            "isbn": "9780261102217",
            "language": "en",
            "replacement_price": {"amount": "12.50", "currency": "USD"},
            "total_copies": 2,
            "available_copies": 2,
            "archived": False,
            "version": 1,
            "created_at": "2026-11-21T12:00:00Z",
            "updated_at": "2026-11-21T12:00:00Z",
        }
        assert {name: value for name, value in added.json.items() if name != "id"} == expected
        read = ask("GET", f"/api/books/{added.json['id']}/")
        assert (read.json, read.headers["etag"]) == (added.json, 'W/"1"')

    @pytest.mark.parametrize("example", NewBook.model_json_schema()["examples"], ids=lambda body: body["title"])
    def test_the_examples_of_the_document(self, ask: Ask, example: dict[str, Any]) -> None:
        added = ask("POST", "/api/books", body=example, caller=DESK)
        assert (added.status, added.json["total_copies"]) == (201, example["copies"])

    def test_the_least_there_is(self, ask: Ask) -> None:
        added = ask("POST", "/api/books", body=HOBBIT, caller=DESK)
        assert (added.json["total_copies"], added.json["isbn"], added.json["subjects"]) == (1, None, [])

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("title", ""),
            ("title", "   "),
            ("title", "x" * 501),
            ("title", None),
            ("title", 7),
            ("title", "a\x00b"),
            ("title", "\u200b"),
            ("author", "x" * 301),
            ("isbn", "978-0-306-40615-8"),
            ("isbn", ""),
            ("isbn", 9780306406157),
            ("copies", 51),
            ("copies", -1),
            ("copies", 1.5),
            ("copies", "2"),
            ("copies", True),
            ("published_year", 0),
            ("published_year", 2029),
            ("published_year", 10**30),
            ("genre", "x" * 61),
            ("language", "english"),
            ("language", "e"),
            ("publisher", "x" * 201),
            ("edition", "x" * 201),
            ("subjects", ["x"] * 21),
            ("subjects.0", ["x" * 201]),
            ("subjects.1", ["x", ""]),
            ("subjects", "Dragons"),
            ("description", "x" * 4001),
            ("cover_url", "javascript:alert(1)"),
            ("cover_url", "ftp://example.org/x"),
            ("cover_url", "https://"),
            ("cover_url", "https://example.org/a b"),
            ("cover_url", "http://[::1"),
            ("cover_url", "https://example.org/" + "x" * 500),
            ("replacement_price.amount", {"amount": 12.5, "currency": "USD"}),
            ("replacement_price.amount", {"amount": "-1", "currency": "USD"}),
            ("replacement_price.currency", {"amount": "1", "currency": "usd"}),
            ("shelf", "A 1"),
        ],
    )
    def test_what_is_refused(self, ask: Ask, library: Library, field: str, value: object) -> None:
        answer = ask("POST", "/api/books", body={**HOBBIT, field.split(".", maxsplit=1)[0]: value}, caller=DESK)
        assert fields_of(answer) == [field]
        assert library.catalogue.books == {}

    @pytest.mark.parametrize(
        ("field", "value"), [("copies", 0), ("copies", 50), ("published_year", 2028), ("title", "😀" * 500)]
    )
    def test_limits_are_inclusive(self, ask: Ask, field: str, value: object) -> None:
        assert ask("POST", "/api/books", body={**HOBBIT, field: value}, caller=DESK).status == 201

    def test_an_isbn_may_be_that_of_two_titles(self, ask: Ask) -> None:
        body = {**HOBBIT, "isbn": "0-306-40615-2"}
        ids = [ask("POST", "/api/books", body=body, caller=DESK).json["id"] for _ in range(2)]

        found = ask("GET", "/api/books?isbn=978-0-306-40615-7").json["items"]
        assert sorted(book["id"] for book in found) == sorted(ids)

    def test_the_same_key_is_the_same_title(self, ask: Ask, library: Library) -> None:
        key = {"Idempotency-Key": "k1"}
        first = ask("POST", "/api/books", body=HOBBIT, caller=DESK, headers=key)
        again = ask("POST", "/api/books", body=HOBBIT, caller=DESK, headers=key)
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        for name in ("location", "etag"):
            assert again.headers[name] == first.headers[name]
        assert (again.status, again.json) == (first.status, first.json)
        assert len(library.catalogue.books) == 1
        problem(
            ask("POST", "/api/books", body={**HOBBIT, "copies": 9}, caller=DESK, headers=key),
            422,
            "idempotency_key_reused",
        )
        other = ask("POST", "/api/books", body=HOBBIT, caller=person("desk2", "librarian"), headers=key)
        assert other.json["id"] != first.json["id"], "keys are each caller's own"

    def test_two_titles_may_have_one_isbn(self, ask: Ask) -> None:
        for _ in range(2):
            assert ask("POST", "/api/books", body={**HOBBIT, "isbn": "0306406152"}, caller=DESK).status == 201
        assert len(ask("GET", "/api/books?isbn=978-0-306-40615-7").json["items"]) == 2


class TestListing:
    def test_pages(self, ask: Ask, library: Library) -> None:
        ids = [library.add(title=f"Title {n}") for n in range(5)]
        found, url = [], "/api/books?limit=2"
        while url:
            page = ask("GET", url).json
            found += [book["id"] for book in page["items"]]
            cursor = page["next_cursor"]
            url = f"/api/books?limit=2&cursor={cursor}" if cursor else ""
        assert found == ids

    def test_a_cursor_belongs_to_its_query(self, ask: Ask, library: Library) -> None:
        for n in range(3):
            library.add(title=f"Title {n}")
        cursor = ask("GET", "/api/books?limit=1&search=title").json["next_cursor"]
        assert ask("GET", f"/api/books?limit=2&search=title&cursor={cursor}").status == 200
        for url in (f"/api/books?search=titles&cursor={cursor}", "/api/books?cursor=x", "/api/books?cursor=%F0%9F"):
            assert fields_of(ask("GET", url)) == ["cursor"]

    @pytest.mark.parametrize(
        "position",
        [
            {},
            {"key": 7, "past": 1},
            {"key": "x", "past": 1},
            {"key": "x" * 40, "past": 2},
            {"key": "\ud800" * 40, "past": 1},
            {"key": "x" * 400, "past": 0},
        ],
    )
    def test_an_invented_position(self, ask: Ask, position: dict[str, Any]) -> None:
        query = BookQuery().model_dump(mode="json", exclude={"limit", "cursor"})
        assert fields_of(ask("GET", f"/api/books?cursor={Cursors(query).encode(position)}")) == ["cursor"]

    def test_archived_titles_are_for_librarians(self, ask: Ask, library: Library) -> None:
        book_id = library.add()
        library.use_cases.titles.archive(book_id)
        url = "/api/books?include_archived=true"
        problem(ask("GET", url), 403, "not_allowed")
        problem(ask("GET", url, caller=MEMBER), 403, "not_allowed")
        (item,) = ask("GET", url, caller=DESK).json["items"]
        assert item["archived"]
        assert ask("GET", "/api/books?include_archived=false").json == {"items": [], "next_cursor": None}
        assert ask("GET", f"/api/books/{book_id}").json["archived"]

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("sort=author", "sort"),
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("isbn=123", "isbn"),
            ("language=klingon", "language"),
            ("available=perhaps", "available"),
            ("serach=typo", "serach"),
            ("search=" + "x" * 201, "search"),
        ],
    )
    def test_what_is_refused(self, ask: Ask, query: str, field: str) -> None:
        assert fields_of(ask("GET", f"/api/books?{query}")) == [field]

    def test_an_empty_search_is_none(self, ask: Ask, library: Library) -> None:
        library.add()
        assert len(ask("GET", "/api/books?search=&title=&author=").json["items"]) == 1
        assert ask("GET", "/api/books?search=%21%21").json["items"] == []


class TestChanging:
    def test_put_replaces_and_clears(self, ask: Ask, library: Library) -> None:
        book_id = library.add(copies=2, genre="Fiction")
        answer = ask("PUT", f"/api/books/{book_id}", body={**HOBBIT, "copies": 3}, caller=DESK)
        assert (answer.json["title"], answer.json["genre"], answer.json["total_copies"]) == ("The Hobbit", None, 3)
        assert answer.headers["etag"] == 'W/"2"'

    def test_patch_changes_what_is_sent(self, ask: Ask, library: Library) -> None:
        book_id = library.add(copies=2, genre="Fiction", subjects=("a",), published_year=1969)
        body = {
            "genre": None,
            "subjects": None,
            "author": "U. K. Le Guin",
            "replacement_price": {"amount": "3", "currency": "EUR"},
        }
        answer = ask("PATCH", f"/api/books/{book_id}", body=body, caller=DESK).json
        assert (answer["genre"], answer["subjects"], answer["author"]) == (None, [], "U. K. Le Guin")
        assert (answer["published_year"], answer["total_copies"]) == (1969, 2)
        assert answer["replacement_price"] == {"amount": "3.00", "currency": "EUR"}

    @pytest.mark.parametrize("field", ["title", "author", "copies"])
    def test_patch_does_not_clear_what_must_be_there(self, ask: Ask, library: Library, field: str) -> None:
        answer = ask("PATCH", f"/api/books/{library.add()}", body={field: None}, caller=DESK)
        assert fields_of(answer) == [field]

    def test_only_the_version_that_was_read(self, ask: Ask, library: Library) -> None:
        url = f"/api/books/{library.add()}"
        tag = ask("GET", url).headers["etag"]
        for method, body in (("PATCH", {"title": "One"}), ("PUT", {**HOBBIT, "title": "Two"})):
            assert ask(method, url, body=body, caller=DESK, headers={"If-Match": tag}).status == 200
            problem(ask(method, url, body=HOBBIT, caller=DESK, headers={"If-Match": tag}), 412, "stale_version")
            tag = ask("GET", url).headers["etag"]
        availability = {"available_copies": 0}
        problem(
            ask("PATCH", f"{url}/availability", body=availability, caller=DESK, headers={"If-Match": 'W/"1"'}),
            412,
            "stale_version",
        )

    def test_the_number_of_copies(self, ask: Ask, library: Library) -> None:
        book_id = library.add(copies=2)
        library.use_cases.reservations.reserve(book_id, "L1")
        url = f"/api/books/{book_id}"
        answer = ask("PATCH", url, body={"copies": 0}, caller=DESK)
        problem(answer, 409, "copies_in_use")
        assert answer.json["in_use"] == 1
        problem(ask("PATCH", url, body={"copies": 60}, caller=DESK), 422, "change_too_large")
        assert fields_of(ask("PATCH", url, body={"copies": 501}, caller=DESK)) == ["copies"]
        assert ask("PATCH", url, body={"copies": 1}, caller=DESK).json["available_copies"] == 0

    def test_the_shelf_count(self, ask: Ask, library: Library) -> None:
        book_id = library.add(copies=3)
        url = f"/api/books/{book_id}/availability"
        for caller in (DESK, LOANS):
            answer = ask("PATCH", url, body={"available_copies": 1}, caller=caller)
            assert (answer.json["available_copies"], answer.json["total_copies"]) == (1, 3)
        refused = ask("PATCH", url, body={"available_copies": 4}, caller=DESK)
        problem(refused, 409, "exceeds_stock")
        assert refused.json["at_most"] == 3
        assert ask("GET", url).json == {
            "book_id": book_id,
            "archived": False,
            "total_copies": 3,
            "available_copies": 1,
            "by_status": {
                "available": 1,
                "on_loan": 0,
                "awaiting_pickup": 0,
                "in_transit": 0,
                "lost": 2,
                "damaged": 0,
                "withdrawn": 0,
            },
            "next_due_date": None,
            "holds_waiting": 0,
        }

    def test_archiving_and_restoring(self, ask: Ask, library: Library) -> None:
        book_id = library.add(copies=1)
        url = f"/api/books/{book_id}"
        library.use_cases.reservations.reserve(book_id, "L1")
        problem(ask("DELETE", url, caller=DESK), 409, "copies_out")
        library.use_cases.reservations.release(book_id, "L1")
        for _ in range(2):
            answer = ask("DELETE", url, caller=DESK)
            assert (answer.status, answer.json["archived"], answer.headers["etag"]) == (200, True, 'W/"2"')
        problem(ask("POST", f"{url}/copies", body={}, caller=DESK), 409, "book_archived")
        problem(ask("POST", f"{url}/reserve", body={"loan_id": "L2"}, caller=LOANS), 409, "book_archived")
        answer = ask("POST", f"{url}/restore", caller=DESK)
        assert (answer.status, answer.json["archived"], answer.headers["etag"]) == (200, False, 'W/"3"')

    @pytest.mark.parametrize("book_id", [NO_BOOK, "nonsense", "%00", "a%2Fb", "%F0%9F%98%80"])
    def test_of_no_title(self, ask: Ask, book_id: str) -> None:
        for method, tail, body in (
            ("GET", "", None),
            ("PUT", "", HOBBIT),
            ("PATCH", "", {}),
            ("DELETE", "", None),
            ("POST", "/restore", None),
            ("GET", "/availability", None),
            ("PATCH", "/availability", {"available_copies": 1}),
            ("GET", "/copies", None),
            ("POST", "/copies", {}),
            ("PATCH", "/copies/30001000000002", {}),
        ):
            answer = ask(method, f"/api/books/{book_id}{tail}", body=body, caller=DESK)
            assert answer.status == 404, (method, tail, answer)


class TestCopies:
    def test_adding_and_listing(self, ask: Ask, library: Library) -> None:
        book_id = library.add(copies=0)
        url = f"/api/books/{book_id}/copies"
        key = {"Idempotency-Key": "k1"}
        own = ask("POST", url, body={"barcode": "OLD-17", "shelf": "A 1"}, caller=DESK, headers=key)
        assert own.status == 201
        assert own.json == {
            "book_id": book_id,
            "items": [
                {"barcode": "OLD-17", "status": "available", "shelf": "A 1", "loan_id": None, "held_since": None}
            ],
            "total_copies": 1,
            "available_copies": 1,
        }
        again = ask("POST", url, body={"barcode": "OLD-17", "shelf": "A 1"}, caller=DESK, headers=key)
        assert (again.json, again.headers["idempotency-replayed"]) == (own.json, "true")
        problem(ask("POST", url, body={"barcode": "OLD-17"}, caller=DESK), 409, "barcode_taken")
        assert len(ask("POST", url, body={"count": 3}, caller=DESK).json["items"]) == 3

        page = ask("GET", f"{url}?limit=3", caller=DESK).json
        rest = ask("GET", f"{url}?limit=3&cursor={page['next_cursor']}", caller=DESK).json
        barcodes = [copy["barcode"] for copy in page["items"] + rest["items"]]
        assert barcodes == sorted(library.stock(book_id).copies)
        assert rest["next_cursor"] is None

    @pytest.mark.parametrize("status", ["lost", "LOST"])
    def test_listing_those_of_one_status(self, ask: Ask, library: Library, status: str) -> None:
        book_id = library.add(copies=3)
        url = f"/api/books/{book_id}/copies"
        missing = sorted(library.stock(book_id).copies)[1]
        assert ask("PATCH", f"{url}/{missing}", body={"status": "lost"}, caller=DESK).status == 200

        listed = ask("GET", f"{url}?status={status}", caller=DESK).json["items"]

        assert [copy["barcode"] for copy in listed] == [missing]
        assert fields_of(ask("GET", f"{url}?status=shelved", caller=DESK)) == ["status"]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"barcode": "ab"}, "barcode"),
            ({"barcode": "x" * 31}, "barcode"),
            ({"barcode": "a b c"}, "barcode"),
            ({"barcode": "a\nc"}, "barcode"),
            ({"count": 0}, "count"),
            ({"count": 51}, "count"),
            ({"shelf": "x" * 41}, "shelf"),
            ({"barcode": "abc", "count": 2}, "body"),
        ],
    )
    def test_what_is_refused(self, ask: Ask, library: Library, body: dict[str, object], field: str) -> None:
        assert fields_of(ask("POST", f"/api/books/{library.add()}/copies", body=body, caller=DESK)) == [field]

    def test_a_title_has_a_bounded_number_of_them(self, ask: Ask, library: Library) -> None:
        book_id = library.add(copies=50)
        for _ in range(9):
            library.use_cases.copies.add(book_id, count=50)
        problem(ask("POST", f"/api/books/{book_id}/copies", body={}, caller=DESK), 409, "too_many_copies")

    def test_setting_right(self, ask: Ask, library: Library) -> None:
        book_id = library.add(copies=1)
        (barcode,) = library.stock(book_id).copies
        url = f"/api/books/{book_id}/copies/{barcode}"
        changed = ask("PATCH", url, body={"status": "damaged", "shelf": "B 2"}, caller=DESK)
        assert changed.json == {
            "barcode": barcode,
            "status": "damaged",
            "shelf": "B 2",
            "loan_id": None,
            "held_since": None,
        }
        tag = changed.headers["etag"]
        assert ask("GET", f"/api/books/copies/{barcode}", caller=DESK).headers["etag"] == tag
        headers = {"If-Match": tag}
        assert ask("PATCH", url, body={"shelf": None}, caller=DESK, headers=headers).json["shelf"] is None
        problem(ask("PATCH", url, body={"status": "lost"}, caller=DESK, headers=headers), 412, "stale_version")
        for status in ("on_loan", "awaiting_pickup", "in_transit", "gone", None):
            assert fields_of(ask("PATCH", url, body={"status": status}, caller=DESK)) == ["status"]
        problem(ask("PATCH", f"{url}9", body={}, caller=DESK), 404, "copy_not_found")

    def test_not_while_lent(self, ask: Ask, library: Library) -> None:
        book_id = library.add(copies=1)
        view = library.use_cases.reservations.reserve(book_id, "L1")
        url = f"/api/books/{book_id}/copies/{view.barcode}"
        for status in ("lost", "available", "withdrawn"):
            answer = ask("PATCH", url, body={"status": status}, caller=DESK)
            problem(answer, 409, "copy_on_loan")
            assert answer.json["copy_status"] == "on_loan"
        assert library.stock(book_id).copies[view.barcode].status == CopyStatus.ON_LOAN

    def test_what_a_barcode_belongs_to(self, ask: Ask, library: Library) -> None:
        book_id = library.add(copies=1)
        view = library.use_cases.reservations.reserve(book_id, "L1")
        for caller in (DESK, LOANS):
            found = ask("GET", f"/api/books/copies/{view.barcode}", caller=caller).json
            assert (found["book_id"], found["book"]["id"], found["loan_id"]) == (book_id, book_id, "L1")
        for barcode in ("30001000000002", "%00", "x" * 300, "copies"):
            problem(ask("GET", f"/api/books/copies/{barcode}", caller=DESK), 404, "copy_not_found")

    @pytest.mark.parametrize("scanned", ["own-1a", " OWN-1A\r\n", "\tOwn-1a"])
    def test_a_barcode_is_read_however_it_was_scanned(self, ask: Ask, library: Library, scanned: str) -> None:
        book_id = library.add(copies=0)
        added = ask("POST", f"/api/books/{book_id}/copies", body={"barcode": scanned}, caller=DESK)
        assert (added.status, added.json["items"][0]["barcode"]) == (201, "OWN-1A")

        again = ask("POST", f"/api/books/{book_id}/copies", body={"barcode": "own-1A"}, caller=DESK)
        problem(again, 409, "barcode_taken")
        found = ask("GET", f"/api/books/copies/{quote(scanned)}", caller=DESK)
        assert (found.status, found.json["barcode"]) == (200, "OWN-1A")
        changed = ask("PATCH", f"/api/books/{book_id}/copies/{quote(scanned)}", body={"shelf": "C 3"}, caller=DESK)
        assert (changed.status, changed.json["shelf"]) == (200, "C 3")


class TestLending:
    def test_reserving_again_gives_the_same_answer(self, ask: Ask, library: Library) -> None:
        book_id = library.add(copies=2)
        url = f"/api/books/{book_id}/reserve"
        first = ask("POST", url, body={"loan_id": "L1"}, caller=LOANS)
        again = ask("POST", url, body={"loan_id": "L1"}, caller=LOANS)
        assert first.json == {
            "loan_id": "L1",
            "book_id": book_id,
            "barcode": first.json["barcode"],
            "title": "The Left Hand of Darkness",
            "genre": None,
        }
        assert (again.status, again.json) == (first.status, first.json) == (200, first.json)
        assert ("idempotency-replayed" in first.headers, "idempotency-replayed" in again.headers) == (False, True)

    def test_every_refusal_has_its_code(self, ask: Ask, library: Library) -> None:
        book_id = library.add(copies=1)
        (barcode,) = library.stock(book_id).copies
        url = f"/api/books/{book_id}"

        def reserve(**body: object) -> Answer:
            return ask("POST", f"{url}/reserve", body=body, caller=LOANS)

        problem(reserve(loan_id="L9", barcode="30001000000002"), 404, "copy_not_found")
        problem(reserve(loan_id="L9"), 409, "loan_already_released")
        problem(reserve(loan_id="L8", valid_until="2026-11-21T11:59:59Z"), 409, "reservation_expired")
        ask("POST", f"{url}/release", body={"loan_id": "L0"}, caller=LOANS)
        problem(reserve(loan_id="L0"), 409, "loan_already_released")
        reserve(loan_id="L1", valid_until="2026-11-21T12:00:00Z")
        problem(reserve(loan_id="L2"), 409, "no_copies_available")
        taken = reserve(loan_id="L2", barcode=barcode)
        problem(taken, 409, "copy_not_available")
        assert taken.json["copy_status"] == "on_loan"
        problem(reserve(loan_id="L1", barcode="another"), 409, "loan_holds_another_copy")
        wrong = ask("POST", f"{url}/release", body={"loan_id": "L1", "barcode": "another"}, caller=LOANS)
        problem(wrong, 409, "loan_holds_another_copy")
        problem(
            ask("POST", f"/api/books/{NO_BOOK}/reserve", body={"loan_id": "L"}, caller=LOANS), 404, "book_not_found"
        )

    def test_releasing(self, ask: Ask, library: Library) -> None:
        book_id = library.add(copies=1)
        view = library.use_cases.reservations.reserve(book_id, "L1")
        url = f"/api/books/{book_id}/release"
        body = {"loan_id": "L1", "condition": "damaged"}
        assert ask("POST", url, body=body, caller=LOANS).json == {
            "loan_id": "L1",
            "book_id": book_id,
            "title": "The Left Hand of Darkness",
            "released": True,
            "barcode": view.barcode,
            "status": "damaged",
        }
        again = ask("POST", url, body=body, caller=LOANS)
        assert (again.status, again.json["released"], again.json["barcode"]) == (200, False, None)

    @pytest.mark.parametrize("loan_id", ["", "x" * 65, "a b", "ä", None, 7])
    def test_a_loan_id_has_a_form(self, ask: Ask, library: Library, loan_id: object) -> None:
        url = f"/api/books/{library.add()}"
        for act in ("reserve", "release"):
            assert fields_of(ask("POST", f"{url}/{act}", body={"loan_id": loan_id}, caller=LOANS)) == ["loan_id"]


def test_too_much_at_once_is_a_503(ask: Ask, library: Library) -> None:
    book_id = library.add()
    turns = [library.use_cases.titles.archive, library.use_cases.titles.restore] * 50
    library.catalogue.meanwhile = [lambda turn=turn: turn(book_id) for turn in turns]  # type: ignore[misc]
    answer = ask("PATCH", f"/api/books/{book_id}", body={"title": "Never"}, caller=DESK)
    problem(answer, 503, "service_unavailable")
    assert answer.headers["retry-after"] == "1"


def test_every_refusal_of_the_domain_has_a_status_and_a_code_of_its_own() -> None:
    refusals = errors.BooksError.__subclasses__()
    assert set(PROBLEMS) == set(refusals)
    codes = [refusal.code for refusal in refusals]
    assert len(codes) == len(set(codes))


def test_the_openapi_document_is_served(ask: Ask) -> None:
    document = ask("GET", "/api/books/openapi.json").json
    reserve = document["paths"]["/api/books/{book_id}/reserve"]["post"]
    assert "no_copies_available" in reserve["responses"]["409"]["description"]
    assert reserve["x-access"] == {"scope": "inventory:write"}
    changes = document["components"]["schemas"]["BookChanges"]
    assert "required" not in changes, "every field of a PATCH may be left out"
