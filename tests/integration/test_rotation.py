"""Rotating keys of the deployed stack while it is used: nobody notices."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import jwt
import pytest

from library_common.clock import to_rfc3339
from library_common.key_rings import secret_ring, signing_ring
from library_common.tokens import mint_service_token
from localstack.embedded.stack import LocalStack
from tests.support.library_client import LibraryClient, created, eventually, ok, problem

pytestmark = pytest.mark.integration

RINGS = ["signing-key", "service:loans"]
SCOPES = frozenset({"users:read", "inventory:write"})
GONE_WITHIN_SECONDS = 95.0
"""How long keys are cached, and then answers about tokens; and the time of the request."""


@dataclass
class Keys:
    """The rings of a deployed stack, as their parameters hold them, and the function that rotates them."""

    stack: LocalStack

    def rotate(self, *rings: str, force: bool = False) -> list[dict[str, Any]]:
        answer = self.stack.client("lambda").invoke(
            FunctionName=self.stack.outputs["RotationFunction"],
            Payload=json.dumps({"rotate": rings, "force": force}).encode(),
        )
        assert "FunctionError" not in answer, answer["Payload"].read()
        outcomes: list[dict[str, Any]] = json.loads(answer["Payload"].read())["outcomes"]
        return outcomes

    def grow_old(self) -> None:
        """As if the rings had been as they are for an hour.

        Whoever checks tokens knows all their keys: they were there before the first request.
        """
        for name in self._parameters().values():
            stored = json.loads(self._read(name))
            stored["rotated_at"] = to_rfc3339(datetime.now(UTC) - timedelta(hours=1))
            self.stack.client("ssm").put_parameter(
                Name=name, Value=json.dumps(stored), Type="SecureString", Overwrite=True
            )

    def signing_kids(self) -> list[str]:
        """Of the current, the next and the previous key."""
        ring = signing_ring(self._read(self._parameters()["signing-key"]))
        assert ring is not None
        return [key.kid for key in ring.keys]

    def published_kids(self) -> list[str]:
        name = f"/{self.stack.system}/token-verification-keys"
        document = json.loads(self.stack.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])
        assert all("d" not in key for key in document["keys"]), "private parts are not for publication"
        return [key["kid"] for key in document["keys"]]

    def loans_secret(self) -> str:
        ring = secret_ring(self._read(self._parameters()["service:loans"]))
        assert ring is not None
        return ring.current

    def service_token(self, secret: str) -> dict[str, str]:
        """As loans would mint it; another one each time, which no cache knows."""
        token = mint_service_token(secret, service="loans", scopes=SCOPES, now=datetime.now(UTC))
        return {"Authorization": f"Bearer {token}"}

    def _parameters(self) -> dict[str, str]:
        return {
            "signing-key": f"/{self.stack.system}/keys/token-signing",
            "service:loans": f"/{self.stack.system}/keys/services/loans",
        }

    def _read(self, name: str) -> str:
        text: str = self.stack.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
        return text


@pytest.fixture
def keys(stack: LocalStack, library: LibraryClient) -> Iterator[Keys]:
    """Rings that are turned more often here than a token's life allows: nobody keeps one beyond the test."""
    library.forget_tokens()
    yield Keys(stack)
    library.forget_tokens()


@dataclass
class Load:
    """What is asked and answered meanwhile. unexpected: every answer that nobody should get."""

    answered: int = 0
    signed_by: set[str] = field(default_factory=set)
    unexpected: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, status: int, answer: httpx.Response) -> None:
        with self._lock:
            self.answered += 1
            if answer.status_code != status:
                self.unexpected.append(f"{answer.request.method} {answer.url.path}: {answer.status_code} {answer.text}")


@contextmanager
def under_load(stack: LocalStack, library: LibraryClient) -> Iterator[Load]:
    """Two members read with a token made anew for each request, one with an old token; another two lend and return."""
    load, over = Load(), threading.Event()
    members = [library.add_member("faculty") for _ in range(5)]
    copies = library.add_book(copies=2)
    old = {"Authorization": f"Bearer {stack.mint_token(members[4]['id'], 'faculty')}"}

    def read(user_id: str, headers: dict[str, str] | None) -> None:
        while not over.is_set():
            mine = headers
            if mine is None:
                token = stack.mint_token(user_id, "faculty")
                load.signed_by.add(jwt.get_unverified_header(token)["kid"])
                mine = {"Authorization": f"Bearer {token}"}
            load.expect(200, library.http.get("/api/users/me", headers=mine))

    def lend(user_id: str) -> None:
        while not over.is_set():
            lent = library.lend(user_id, copies["id"])
            load.expect(201, lent)
            if lent.status_code == 201:
                load.expect(200, library.give_back(lent.json()["id"]))

    work = [partial(read, m["id"], None) for m in members[:2]] + [partial(lend, m["id"]) for m in members[2:4]]
    work.append(partial(read, members[4]["id"], old))
    with ThreadPoolExecutor(len(work)) as pool:
        running = [pool.submit(each) for each in work]
        try:
            yield load
        finally:
            over.set()
        for each in running:
            each.result()


def wait_for_more(load: Load, requests: int) -> None:
    wanted = load.answered + requests
    eventually(lambda: load.answered >= wanted, f"{requests} more answers")


def test_a_rotation_under_load_fails_no_request(keys: Keys, stack: LocalStack, library: LibraryClient) -> None:
    current, following, *_ = keys.signing_kids()
    secret = keys.loans_secret()
    with under_load(stack, library) as load:
        wait_for_more(load, 40)
        keys.grow_old()
        outcomes = keys.rotate(*RINGS)
        wait_for_more(load, 120)

    assert [(o["ring"], o["result"]) for o in outcomes] == [(ring, "rotated") for ring in RINGS]
    assert load.unexpected == []
    assert load.signed_by == {current, following}, "tokens of both keys were in use"
    # What was next signs now, and what signed is accepted still.
    assert keys.signing_kids()[0] == following
    assert keys.signing_kids()[2] == current
    assert keys.published_kids() == keys.signing_kids()
    # Processes of loans sign with the secret they remember, later with the new one: both are good.
    assert keys.loans_secret() != secret
    member = library.add_member()
    for signed_with in (secret, keys.loans_secret()):
        ok(library.http.get(f"/api/users/{member['id']}", headers=keys.service_token(signed_with)))


def test_a_rotation_is_refused_while_somebody_might_notice(keys: Keys) -> None:
    keys.grow_old()
    keys.rotate(*RINGS)
    before = keys.signing_kids(), keys.loans_secret()

    outcomes = keys.rotate(*RINGS)

    assert [(o["result"], o["code"]) for o in outcomes] == [("refused", "too_soon")] * 2
    assert all(o["not_before"] > to_rfc3339(datetime.now(UTC)) for o in outcomes)
    assert (keys.signing_kids(), keys.loans_secret()) == before


def test_rotations_at_once_are_one_rotation(keys: Keys) -> None:
    keys.grow_old()
    _, following, *_ = keys.signing_kids()

    with ThreadPoolExecutor(4) as pool:
        outcomes = [one for made in pool.map(keys.rotate, ["signing-key"] * 4) for one in made]

    assert sorted(o["result"] for o in outcomes) == ["refused", "refused", "refused", "rotated"]
    assert keys.signing_kids()[0] == following
    assert keys.published_kids() == keys.signing_kids()


def test_compromised_keys_are_gone_new_ones_are_good_at_once_and_lending_goes_on(
    keys: Keys, stack: LocalStack, library: LibraryClient
) -> None:
    """A service's secret and the signing key, one after the other: their caches are waited for once."""
    member, book = library.add_member(), library.add_book(copies=2)
    created(library.lend(member["id"], book["id"]))
    secret = keys.loans_secret()

    (outcome,) = keys.rotate("service:loans", force=True)

    assert outcome["result"] == "rotated"
    created(library.lend(library.add_member()["id"], book["id"]))

    stolen = {"Authorization": f"Bearer {stack.mint_token(member['id'], 'patron')}"}
    ok(library.http.get("/api/users/me", headers=stolen))
    before = keys.signing_kids()

    (outcome,) = keys.rotate("signing-key", force=True)

    assert outcome["result"] == "rotated"
    assert not set(keys.signing_kids()) & set(before), "whoever read the secret knows all of its keys"
    assert keys.published_kids() == keys.signing_kids()
    library.forget_tokens()
    path = f"/api/users/{member['id']}"

    def secret_refused() -> bool:
        ok(library.http.get(path, headers=keys.service_token(keys.loans_secret())))
        return library.http.get(path, headers=keys.service_token(secret)).status_code == 401

    def key_refused() -> bool:
        fresh = {"Authorization": f"Bearer {stack.mint_token(member['id'], 'patron')}"}
        ok(library.http.get("/api/users/me", headers=fresh))
        return library.http.get("/api/users/me", headers=stolen).status_code == 401

    eventually(
        lambda: all([secret_refused(), key_refused()]),
        "neither the stolen secret nor the stolen key's tokens are of any use",
        seconds=GONE_WITHIN_SECONDS,
    )
    problem(library.http.get("/api/users/me", headers=stolen), 401, "not_authenticated")
    assert library.http.get(path, headers=keys.service_token(secret)).status_code == 401
