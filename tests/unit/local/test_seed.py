"""Seeding, against an API that remembers what it was told."""

import json
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pymarc import Field, Indicators, Record, Subfield

from localstack.embedded import seed
from localstack.embedded.errors import Refusal
from localstack.embedded.examples import commands_to_try
from localstack.embedded.ports import pick_free
from localstack.embedded.state import Account, StackFile

pytestmark = [pytest.mark.unit, pytest.mark.enable_socket]


class FakeApi:
    """Users, titles and loans in memory. ``fail_first`` answers that many requests with 503."""

    def __init__(self, fail_first: int = 0) -> None:
        self.fail_first = fail_first
        self.users: dict[str, dict[str, Any]] = {}
        self.books: list[dict[str, Any]] = []
        self.loans: list[dict[str, Any]] = []
        self.replies: dict[str, tuple[int, dict[str, Any]]] = {}
        self.authorizations: set[str] = set()
        self._lock = threading.Lock()

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        with self._lock:
            self.authorizations.add(headers.get("Authorization", ""))
            if self.fail_first > 0:
                self.fail_first -= 1
                return 503, {"code": "service_unavailable"}, {"Retry-After": "0"}
            key = headers.get("Idempotency-Key")
            if key is not None and key in self.replies:
                return *self.replies[key], {"Idempotency-Replayed": "true"}
            status, document = self._act(method, path, body)
            if key is not None and status == 201:
                self.replies[key] = (status, document)
            return status, document, {}

    def _act(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:  # noqa: PLR0911 - routes
        if (method, path) == ("POST", "/api/users"):
            if body["email"] in self.users:
                return 409, {"code": "email_taken", "detail": "taken"}
            user = {"id": f"u{len(self.users)}", "status": "pending", **body}
            self.users[body["email"]] = user
            return 201, dict(user)
        if path.startswith("/api/users?email="):
            email = path.split("=")[1].replace("%40", "@")
            return 200, {"items": [self.users[email]] if email in self.users else []}
        if method == "PUT" and path.endswith("/status"):
            user = next(user for user in self.users.values() if path == f"/api/users/{user['id']}/status")
            user["status"] = body["status"]
            return 200, user
        if (method, path) == ("POST", "/api/books"):
            if "refused" in body["title"]:
                return 422, {"code": "invalid", "errors": [{"field": "title", "message": "no"}]}
            self.books.append({"id": f"b{len(self.books)}", **body})
            return 201, self.books[-1]
        if path.startswith("/api/books?available=true"):
            return 200, {"items": self.books}
        if path.startswith("/api/loans?"):
            return 200, {"items": self.loans}
        return 404, {"code": "no_such_route"}


@contextmanager
def served(api: FakeApi) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length) or b"{}")
            status, document, headers = api.answer(self.command, self.path, dict(self.headers), body)
            content = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _reply  # noqa: N815 - named by http.server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing: requests are no news."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _titles(tmp_path: Path, *titles: str) -> Path:
    path = tmp_path / "titles.mrc"
    content = b""
    for number, title in enumerate(titles):
        record = Record()
        record.add_field(Field(tag="001", data=f"n{number}"))
        code = "a" if title else "c"
        record.add_field(
            Field(tag="245", indicators=Indicators("0", "0"), subfields=[Subfield(code, title or "nobody")])
        )
        content += record.as_marc()
    path.write_bytes(content)
    return path


def _no_progress(_done: int, _total: int) -> None:
    """Nobody watches."""


def test_every_role_gets_an_active_account() -> None:
    api = FakeApi()
    with served(api) as base_url:
        ids = seed.seed_accounts(base_url, "admin-token")

    assert {user["role"]: user["id"] for user in api.users.values()} == ids
    assert set(ids) == {"student", "faculty", "patron", "librarian", "admin"}
    assert {user["status"] for user in api.users.values()} == {"active"}
    assert api.authorizations == {"Bearer admin-token"}


def test_accounts_of_an_earlier_seeding_are_found_again() -> None:
    api = FakeApi()
    with served(api) as base_url:
        first = seed.seed_accounts(base_url, "t")
        api.replies.clear()  # the library has forgotten the idempotency keys
        second = seed.seed_accounts(base_url, "t")

    assert first == second
    assert len(api.users) == 5


def test_seeding_again_adds_no_title_twice(tmp_path: Path) -> None:
    api = FakeApi()
    titles = _titles(tmp_path, "One", "Two", "Three")
    with served(api) as base_url:
        reports = [seed.seed_books(base_url, "t", titles, _no_progress) for _ in range(2)]

    assert sorted(book["title"] for book in api.books) == ["One", "Three", "Two"]
    assert [report.created for report in reports] == [3, 3]
    assert {book["copies"] for book in api.books} <= {1, 2, 3, 4}


def test_equal_titles_of_different_records_are_different_titles(tmp_path: Path) -> None:
    api = FakeApi()
    with served(api) as base_url:
        seed.seed_books(base_url, "t", _titles(tmp_path, "Poems", "Poems"), _no_progress)

    assert len(api.books) == 2


def test_what_is_left_out_is_reported_with_its_reason(tmp_path: Path) -> None:
    api = FakeApi()
    with served(api) as base_url:
        report = seed.seed_books(base_url, "t", _titles(tmp_path, "Kept", "refused", ""), _no_progress)

    assert report.created == 1
    assert report.refused == [("n1", "422 invalid title: no"), ("n2", "it has no title (245)")]


def test_an_api_that_asks_to_come_back_later_is_asked_again(tmp_path: Path) -> None:
    api = FakeApi(fail_first=4)
    seen: list[tuple[int, int]] = []
    with served(api) as base_url:
        report = seed.seed_books(
            base_url, "t", _titles(tmp_path, "One", "Two"), lambda done, total: seen.append((done, total))
        )

    assert report.created == 2
    assert seen == [(1, 2), (2, 2)]


def test_an_account_the_api_refuses_stops_the_seeding_with_its_reason() -> None:
    api = FakeApi()
    api.answer = lambda *_: (422, {"code": "weak_password", "detail": "too short"}, {})  # type: ignore[method-assign]
    with served(api) as base_url, pytest.raises(Refusal, match="422 weak_password too short"):
        seed.seed_accounts(base_url, "t")


def test_an_api_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed, "_ATTEMPTS", 1)

    with pytest.raises(Refusal, match="did not answer POST /api/users"):
        seed.seed_accounts(f"http://127.0.0.1:{pick_free()}", "t")


def test_the_number_of_copies_of_a_title_never_changes() -> None:
    copies = [seed.copies_of(f"n{number}") for number in range(200)]

    assert set(copies) == {1, 2, 3, 4}
    assert copies == [seed.copies_of(f"n{number}") for number in range(200)]


def test_the_suggested_checkout_is_of_a_title_the_borrower_does_not_have() -> None:
    api = FakeApi()
    api.books = [{"id": "b0"}, {"id": "b1"}]
    api.loans = [{"book_id": "b0"}]
    with served(api) as base_url:
        stack = StackFile(
            base_url=base_url,
            endpoint_url="",
            region="",
            accounts=[Account("faculty", "f@library.example.org", "p", "x.y.z", "u1")],
            tables={},
            functions={},
            system="s",
            engine={},
        )
        login, search, checkout, history = (shlex.split(command) for command in commands_to_try(stack))

    assert login[-1] == f"{base_url}/api/auth/login"
    assert json.loads(login[login.index("-d") + 1]) == {"email": "f@library.example.org", "password": "p"}
    assert search[-1].startswith(f"{base_url}/api/books?search=")
    assert checkout[-1] == f"{base_url}/api/loans"
    assert json.loads(checkout[checkout.index("-d") + 1]) == {"user_id": "u1", "book_id": "b1"}
    assert "Authorization: Bearer x.y.z" in checkout
    assert history[-1] == f"{base_url}/api/loans?user_id=u1"
