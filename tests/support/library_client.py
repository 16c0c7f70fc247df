"""A small client of the deployed library, in the words of its users. HTTP only."""

import itertools
import secrets
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

from library_common.ids import new_id
from library_common.problems import PROBLEM_JSON

DEADLINE_SECONDS = 120.0
"""Until somebody stops looking: nothing is to take so long, and where all is well nobody waits for it."""
COME_AGAIN = {"service_unavailable", "checkout_unresolved", "checkout_in_progress"}
LIBRARIAN_ID = "01JLBRARAN0000000000000000"
ADMIN_ID = "01JADM0N000000000000000000"
"""Staff whose tokens are minted; `tests.support.staff` gives them accounts."""
_numbers = itertools.count(1)
_run = secrets.token_hex(3)


@dataclass
class LibraryClient:
    """Calls one API. `mint(subject, role)` makes tokens; staff calls use a librarian's."""

    base_url: str
    mint: Callable[[str, str], str]
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.base_url, timeout=60, limits=httpx.Limits(max_connections=128))
        self._tokens: dict[tuple[str, str], str] = {}

    def token(self, subject: str, role: str) -> str:
        """One token per person, kept, so that the authorizer's cache is used as in real life."""
        return self._tokens.setdefault((subject, role), self.mint(subject, role))

    def forget_tokens(self) -> None:
        """For when the key that signed them is no longer accepted."""
        self._tokens.clear()

    def as_librarian(self) -> dict[str, str]:
        return self.bearer(LIBRARIAN_ID, "librarian")

    def as_admin(self) -> dict[str, str]:
        return self.bearer(ADMIN_ID, "admin")

    def bearer(self, subject: str, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(subject, role)}"}

    # -- arranging ----------------------------------------------------------------------------

    def add_member(self, role: str = "patron", **more: object) -> dict[str, Any]:
        number = next(_numbers)
        body = {"name": f"Member {number}", "email": f"member{number}.{_run}@example.org", "role": role, **more}
        return self._arranged("/api/users", body)

    def add_book(self, copies: int = 1, title: str | None = None, **more: object) -> dict[str, Any]:
        body = {"title": title or f"Title {next(_numbers)} {_run}", "author": "A. Writer", "copies": copies, **more}
        return self._arranged("/api/books", body)

    def lent(self, user_id: str, book_id: str) -> dict[str, Any]:
        """A loan, for tests of what comes after it."""
        return created(self.lend_patiently(user_id, book_id))

    def returned(self, loan_id: str) -> dict[str, Any]:
        """A loan that is over, for tests of what comes after it."""
        return ok(self.give_back_patiently(loan_id))

    def _arranged(self, path: str, body: dict[str, object]) -> dict[str, Any]:
        headers = {**self.as_librarian(), "Idempotency-Key": new_id()}
        return created(patiently(lambda: self.http.post(path, json=body, headers=headers)))

    # -- acting -------------------------------------------------------------------------------

    def lend(self, user_id: str, book_id: str, *, key: str | None = None) -> httpx.Response:
        headers = {**self.as_librarian(), **({"Idempotency-Key": key} if key else {})}
        return self.http.post("/api/loans", json={"user_id": user_id, "book_id": book_id}, headers=headers)

    def lend_patiently(self, user_id: str, book_id: str, *, key: str | None = None) -> httpx.Response:
        """The answer to a checkout that is repeated, with one key, while a service is too slow for it."""
        key = key or new_id()
        return patiently(lambda: self.lend(user_id, book_id, key=key))

    def give_back_patiently(self, loan_id: str) -> httpx.Response:
        """The answer to a return that is repeated while a service is too slow for it."""
        return patiently(lambda: self.give_back(loan_id))

    def give_back(self, loan_id: str) -> httpx.Response:
        return self.http.post("/api/returns", json={"loan_id": loan_id}, headers=self.as_librarian())

    def loan(self, loan_id: str) -> dict[str, Any]:
        return ok(self.http.get(f"/api/loans/{loan_id}", headers=self.as_librarian()))

    def loans_of(self, user_id: str, status: str | None = None) -> list[dict[str, Any]]:
        params = {"limit": "100", **({"status": status} if status else {})}
        answer = ok(self.http.get(f"/api/loans/user/{user_id}", params=params, headers=self.as_librarian()))
        items: list[dict[str, Any]] = answer["items"]
        return items

    def book(self, book_id: str) -> dict[str, Any]:
        return ok(self.http.get(f"/api/books/{book_id}"))

    def available(self, book_id: str) -> int:
        number: int = self.book(book_id)["available_copies"]
        return number


def patiently(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer once no service was too slow for it: a documented 503 or 409 with Retry-After is asked again.

    On a busy machine processes may take seconds to start. The request must have one effect however often it is sent.
    Every other answer, such as that of a crash, is returned as it is. Tests of outages do not use this: there the 503
    is the point. pytest's summary has a warning for each repeat.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        response = ask()
        if not _was_too_slow(response) or time.monotonic() > deadline:
            return response
        warnings.warn(f"told to come again: {response.request.method} {response.request.url.path}", stacklevel=2)
        time.sleep(0.5)


def _was_too_slow(response: httpx.Response) -> bool:
    if response.status_code == 500:
        # MiniStack gives the gateway response of a function that ran out of time, but not its status.
        return response.headers.get("Content-Type") == PROBLEM_JSON and bool(response.json()["status"] == 503)
    if response.status_code not in (409, 503) or "Retry-After" not in response.headers:
        return False
    return response.json().get("code") in COME_AGAIN


def ok(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def created(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 201, response.text
    document: dict[str, Any] = response.json()
    return document


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Asserts a complete problem document."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/problem+json")
    document: dict[str, Any] = response.json()
    assert document["code"] == code, document
    assert document["status"] == status
    assert {"type", "title", "detail", "instance", "correlation_id"} <= document.keys()
    return document


def at_once[T](actions: Sequence[Callable[[], T]], workers: int | None = None) -> list[T]:
    """Runs the actions concurrently and gives their results in order."""
    with ThreadPoolExecutor(max_workers=workers or len(actions)) as pool:
        return [future.result() for future in [pool.submit(action) for action in actions]]


def eventually[T](look: Callable[[], T], what: str, *, seconds: float = DEADLINE_SECONDS) -> T:
    """Polls until `look` answers something true, more seldom the longer it takes: looking costs time as well.

    Fails with `what` and the last answer at the deadline.
    """
    deadline, pause = time.monotonic() + seconds, 0.1
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"never happened: {what}; last saw {found!r}"
        time.sleep(pause)
        pause = min(1.0, 1.3 * pause)


def statuses(responses: list[httpx.Response]) -> Mapping[int, int]:
    counted: dict[int, int] = {}
    for response in responses:
        counted[response.status_code] = counted.get(response.status_code, 0) + 1
    return counted
