"""Input of every bad kind: a problem document with a code, and nothing changed."""

from collections.abc import Iterator

import httpx
import pytest

from localstack.embedded.stack import LocalStack
from tests.support.invariants import everything
from tests.support.library_client import LibraryClient, eventually

pytestmark = pytest.mark.integration

JSON = {"Content-Type": "application/json"}
MEGABYTE = "x" * 1_000_000
NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

# path, body as bytes, expected status, expected code
BAD_BODIES = [
    ("/api/users", b"{", 400, "malformed_json"),
    ("/api/users", b"\xff\xfe", 400, "malformed_json"),
    ("/api/users", b"[" * 50_000, 400, "malformed_json"),
    ("/api/users", b"[]", 422, "invalid_request"),
    ("/api/users", b'"text"', 422, "invalid_request"),
    ("/api/users", b"{}", 422, "invalid_request"),
    ("/api/users", b'{"name": 5, "email": true}', 422, "invalid_request"),
    ("/api/users", b'{"name": "\\ud800", "email": "lone@example.org"}', 422, "invalid_request"),
    ("/api/users", b'{"name": "\\u200b\\u200b", "email": "invisible@example.org"}', 422, "invalid_request"),
    ("/api/users", b'{"name": "a\\u0000b", "email": "null@example.org"}', 422, "invalid_request"),
    ("/api/users", b'{"name": "No At", "email": "nobody"}', 422, "invalid_request"),
    ("/api/users", b'{"name": "Boss", "email": "boss@example.org", "status": "active"}', 422, "invalid_request"),
    ("/api/users", b'{"name": "Boss", "email": "boss@example.org", "version": 9}', 422, "invalid_request"),
    ("/api/users", f'{{"name": "{MEGABYTE}", "email": "big@example.org"}}'.encode(), 413, "too_large"),
    ("/api/books", b'{"title": "T", "author": "A", "isbn": "9780132350885"}', 422, "invalid_request"),
    ("/api/books", b'{"title": "T", "author": "A", "isbn": "123"}', 422, "invalid_request"),
    ("/api/books", b'{"title": "T", "author": "A", "copies": -1}', 422, "invalid_request"),
    ("/api/books", b'{"title": "T", "author": "A", "copies": 1.5}', 422, "invalid_request"),
    ("/api/books", b'{"title": "T", "author": "A", "copies": "3"}', 422, "invalid_request"),
    ("/api/books", b'{"title": "T", "author": "A", "copies": 1e400}', 422, "invalid_request"),
    ("/api/books", b'{"title": "T", "author": "A", "copies": NaN}', 422, "invalid_request"),
    ("/api/books", b'{"title": "T", "author": "A", "copies": 99999999999999999999}', 422, "invalid_request"),
    ("/api/books", b'{"title": "  ", "author": "A"}', 422, "invalid_request"),
    ("/api/books", b'{"title": "T", "author": "A", "cover_url": "javascript:alert(1)"}', 422, "invalid_request"),
    ("/api/books", f'{{"title": "{MEGABYTE}", "author": "A"}}'.encode(), 413, "too_large"),
    ("/api/loans", b"{}", 422, "invalid_request"),
    ("/api/loans", b'{"user_id": "x"}', 422, "invalid_request"),
    ("/api/loans", b'{"user_id": "x", "book_id": "y", "barcode": "z12"}', 422, "invalid_request"),
    ("/api/loans", f'{{"user_id": "{NOBODY}", "book_id": "{NOBODY}"}}'.encode(), 404, "user_not_found"),
    ("/api/loans", b'{"user_id": "../admin", "book_id": "%2e"}', 404, "user_not_found"),
    ("/api/returns", b'{"loan_id": "nothing"}', 404, "loan_not_found"),
    ("/api/returns", b'{"barcode": "31234567890123"}', 404, "copy_not_found"),
    ("/api/returns", b'{"loan_id": "x", "returned_at": "yesterday"}', 422, "invalid_request"),
]


@pytest.fixture(scope="module", autouse=True)
def nothing_changes(stack: LocalStack, library: LibraryClient) -> Iterator[None]:
    """All tests of this module together leave every table as it was."""
    library.add_book(title="Stays as it is")
    # Whoever registered in a test before may still be about to get a code, which is an item, too.
    eventually(lambda: nobody_waits_for_a_code(stack), "the codes asked for before are sent")
    before = {table: len(everything(stack, table)) for table in ("users", "books", "loans")}
    yield
    after = {table: len(everything(stack, table)) for table in ("users", "books", "loans")}
    assert after == before


def nobody_waits_for_a_code(stack: LocalStack) -> bool:
    """Neither on the queue nor in the sender's hands."""
    waiting = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    found = stack.client("sqs").get_queue_attributes(
        QueueUrl=stack.outputs["CodeRequestQueue"], AttributeNames=list(waiting)
    )["Attributes"]
    return all(found[name] == "0" for name in waiting)


@pytest.mark.parametrize(("path", "body", "status", "code"), BAD_BODIES, ids=lambda value: str(value)[:50])
def test_bad_bodies(library: LibraryClient, path: str, body: bytes, status: int, code: str) -> None:
    response = library.http.post(path, content=body, headers={**JSON, **library.as_librarian()})
    _is_problem(response, status, code)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_other_content_types(library: LibraryClient, content_type: str) -> None:
    headers = {"Content-Type": content_type, **library.as_librarian()}
    _is_problem(library.http.post("/api/books", content=b'{"title": "T"}', headers=headers), 415, "not_json")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"/api/books/{NOBODY}", 404, "book_not_found"),
        ("/api/books/%00", 404, "book_not_found"),
        ("/api/books/..%2f..%2fusers", 404, "no_such_route"),
        ("/api/books/%F0%9F%93%9A", 404, "book_not_found"),
        (f"/api/books/{'9' * 3000}", 404, "book_not_found"),
        (f"/api/users/{NOBODY}", 404, "user_not_found"),
        (f"/api/loans/{NOBODY}", 404, "loan_not_found"),
        ("/api/loans/%EF%BC%A1", 404, "loan_not_found"),
        ("/api/books?limit=0", 422, "invalid_request"),
        ("/api/books?limit=101", 422, "invalid_request"),
        ("/api/books?limit=ten", 422, "invalid_request"),
        ("/api/books?cursor=nonsense", 422, "invalid_request"),
        ("/api/books?serach=typo", 422, "invalid_request"),
        ("/api/books?sort=; drop table", 422, "invalid_request"),
        ("/api/loans", 422, "invalid_request"),
        ("/api/users?status=sleepy", 422, "invalid_request"),
    ],
)
def test_bad_paths_and_queries(library: LibraryClient, path: str, status: int, code: str) -> None:
    _is_problem(library.http.get(path, headers=library.as_librarian()), status, code)


@pytest.mark.parametrize(
    ("header", "value", "status", "code"),
    [
        ("Idempotency-Key", "x" * 129, 400, "malformed_header"),
        ("Idempotency-Key", "with space", 400, "malformed_header"),
    ],
)
def test_bad_headers(library: LibraryClient, header: str, value: str, status: int, code: str) -> None:
    headers = {**library.as_librarian(), header: value}
    body = {"title": "Never added", "author": "A"}
    _is_problem(library.http.post("/api/books", json=body, headers=headers), status, code)


def test_a_correlation_id_that_is_no_id_is_replaced(library: LibraryClient) -> None:
    answer = library.http.get("/api/books?limit=1", headers={"X-Correlation-Id": 'x"},{"forged": "log'})
    assert answer.status_code == 200
    assert '"' not in answer.headers["X-Correlation-Id"]
    mine = library.http.get("/api/books?limit=1", headers={"X-Correlation-Id": "mine-1"})
    assert mine.headers["X-Correlation-Id"] == "mine-1"


def test_a_stale_if_match_changes_nothing(library: LibraryClient, stack: LocalStack) -> None:
    books = everything(stack, "books")
    book_id = next(item["pk"].removeprefix("BOOK#") for item in books if item["sk"] == "META")
    before = library.http.get(f"/api/books/{book_id}").json()
    headers = {**library.as_librarian(), "If-Match": 'W/"999"'}
    _is_problem(
        library.http.patch(f"/api/books/{book_id}", json={"title": "Other"}, headers=headers), 412, "stale_version"
    )
    headers["If-Match"] = "whatever"
    _is_problem(
        library.http.patch(f"/api/books/{book_id}", json={"title": "Other"}, headers=headers), 400, "malformed_header"
    )
    assert library.http.get(f"/api/books/{book_id}").json() == before


def _is_problem(response: httpx.Response, status: int, code: str) -> None:
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), (
        response.text[:300]
    )
    document = response.json()
    assert document["code"] == code, document
    assert document["correlation_id"] == response.headers["X-Correlation-Id"]
    if status == 422:
        assert document.get("errors") or document.get("reasons"), document
