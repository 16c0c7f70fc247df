"""Adds demo accounts and sample titles to a library through its public API.

Each request has an Idempotency-Key derived from its content, so seeding again after an interruption creates nothing
twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector

from localstack.embedded import marc
from localstack.embedded.errors import Refusal

# Two cores cannot serve more at once: each concurrent call is a process.
_CONCURRENT_REQUESTS = 6
_REQUEST_SECONDS = 60
_ATTEMPTS = 6
_LONGEST_PAUSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """An account that everybody may use. Its password is public."""

    role: str
    name: str
    email: str
    password: str


DEMO_ACCOUNTS = tuple(
    DemoAccount(role, name, f"{role}@library.example.org", f"demo-{role}-passphrase")
    for role, name in (
        ("student", "Sofia Student"),
        ("faculty", "Farid Faculty"),
        ("patron", "Paula Patron"),
        ("librarian", "Lena Librarian"),
        ("admin", "Amara Admin"),
    )
)


@dataclass(frozen=True, slots=True)
class SeedReport:
    """The result for the sample titles. ``refused``: control number and reason of each title that was not added."""

    created: int
    refused: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: Mapping[str, Any]

    def reason(self) -> str:
        errors = "; ".join(f"{item.get('field')}: {item.get('message')}" for item in self.body.get("errors", []))
        return f"{self.status} {self.body.get('code', '')} {errors or self.body.get('detail', '')}".strip()


def seed_accounts(base_url: str, admin_token: str) -> dict[str, str]:
    """Makes sure that every demo account exists and is active. Returns role → user id.

    ``admin_token``: of an account that may create staff. Refuses with the API's reason.
    """
    return asyncio.run(_seed_accounts(base_url, admin_token))


def seed_books(base_url: str, librarian_token: str, file: Path, on_progress: Callable[[int, int], None]) -> SeedReport:
    """Adds every title of a MARC21 file and calls ``on_progress(done, total)`` after each.

    A title that the API refuses is reported. Refuses when the API does not answer.
    """
    return asyncio.run(_seed_books(base_url, librarian_token, list(marc.read_books(file)), on_progress))


def copies_of(control_number: str) -> int:
    """How many copies of a title to add: 1 to 4, always the same for a title."""
    return 1 + hashlib.sha256(control_number.encode()).digest()[0] % 4


async def _seed_accounts(base_url: str, admin_token: str) -> dict[str, str]:
    async with _Api(base_url, admin_token) as api:
        ids = await asyncio.gather(*(_ensure_account(api, account) for account in DEMO_ACCOUNTS))
    return {account.role: user_id for account, user_id in zip(DEMO_ACCOUNTS, ids, strict=True)}


async def _ensure_account(api: _Api, account: DemoAccount) -> str:
    request = {
        "name": account.name,
        "email": account.email,
        "password": account.password,
        "role": account.role,
    }
    answer = await api.send("POST", "/api/users", request, key=_key("account", account.email, request))
    if answer.status == 409:
        # Created by an earlier run; the library no longer stores that run's idempotency key.
        found = await api.send("GET", "/api/users", params={"email": account.email})
        items = found.body.get("items") or [{}]
        user: Mapping[str, Any] = items[0]
    else:
        user = answer.body
    if "id" not in user:
        raise Refusal(f"The demo account {account.email} could not be created: {answer.reason()}")
    if user.get("status") != "active":
        change = {"status": "active", "reason": "demo account"}
        answer = await api.send("PUT", f"/api/users/{user['id']}/status", change)
        if answer.status >= 400:
            raise Refusal(f"The demo account {account.email} could not be activated: {answer.reason()}")
    return str(user["id"])


async def _seed_books(
    base_url: str, token: str, records: Sequence[marc.Mapped], on_progress: Callable[[int, int], None]
) -> SeedReport:
    refused: list[tuple[str, str]] = []
    created = done = 0
    waiting = asyncio.Queue[marc.Mapped]()
    for record in records:
        waiting.put_nowait(record)

    async def work(api: _Api) -> None:
        nonlocal created, done
        while not waiting.empty():
            record = waiting.get_nowait()
            reason = record.reason
            if record.book is not None:
                request = {**record.book, "copies": copies_of(record.control_number)}
                key = _key("title", record.control_number, request)
                answer = await api.send("POST", "/api/books", request, key=key)
                if answer.status == 201:
                    created += 1
                else:
                    reason = answer.reason()
            if reason is not None:
                refused.append((record.control_number, reason))
            done += 1
            on_progress(done, len(records))

    async with _Api(base_url, token) as api:
        await asyncio.gather(*(work(api) for _ in range(_CONCURRENT_REQUESTS)))
    return SeedReport(created=created, refused=sorted(refused))


class _Api:
    """The library's API for one caller. It repeats requests that are answered with Retry-After."""

    def __init__(self, base_url: str, token: str) -> None:
        self._base_url = base_url
        self._token = token

    async def __aenter__(self) -> Self:
        self._session = ClientSession(
            connector=TCPConnector(limit=_CONCURRENT_REQUESTS),
            timeout=ClientTimeout(total=_REQUEST_SECONDS),
            headers={"Authorization": f"Bearer {self._token}"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        key: str | None = None,
        params: Mapping[str, str] | None = None,
    ) -> _Answer:
        """Sends an idempotent request, several times if needed. Refuses when no attempt got an answer."""
        headers = {"Idempotency-Key": key} if key else {}
        pause = 0.2
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with self._session.request(
                    method, self._base_url + path, json=body, headers=headers, params=params
                ) as response:
                    answer = _Answer(response.status, await _document(response))
                    asked_to_wait = response.headers.get("Retry-After", "")
            except (ClientError, TimeoutError) as error:
                if attempt == _ATTEMPTS:
                    raise Refusal(f"The API did not answer {method} {path}: {error!r}") from error
            else:
                if answer.status not in {429, 502, 503, 504} or attempt == _ATTEMPTS:
                    return answer
                pause = float(asked_to_wait) if asked_to_wait.isdigit() else pause
            await asyncio.sleep(min(pause, _LONGEST_PAUSE_SECONDS))
            pause *= 2
        raise AssertionError("the last attempt returns or raises")


async def _document(response: ClientResponse) -> Mapping[str, Any]:
    try:
        document = await response.json(content_type=None)
    except ValueError:
        return {"detail": (await response.text())[:200]}
    return document if isinstance(document, dict) else {}


def _key(kind: str, name: str, request: Mapping[str, object]) -> str:
    content = json.dumps(request, sort_keys=True, ensure_ascii=False)
    return f"seed-{kind}-{hashlib.sha256(f'{name}{content}'.encode()).hexdigest()[:32]}"
