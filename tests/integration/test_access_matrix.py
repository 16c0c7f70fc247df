"""Who may call what, asked of the deployed system by sample.

The whole matrix, every route by every caller, is asked of the handlers in `tests/contract/test_access_matrix.py`. Here
API Gateway and the authorizers stand in front of them. So every route is called without a token, one route of each kind
by one caller of each kind, and worthless tokens are shown once: what an authorizer says of a token does not depend on
the route.
"""

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

import httpx
import pytest

from library_common.access import Role
from library_common.tokens import SigningKey
from localstack.embedded.stack import LocalStack
from tests.architecture.deployment import service_identities
from tests.depth import at_depth
from tests.support import access_matrix
from tests.support.access_matrix import Caller, Route, Things, asked, expected, seen
from tests.support.known_things import known_things
from tests.support.library_client import LibraryClient

pytestmark = pytest.mark.integration

WORKERS = 2
"""The emulator starts as many processes of each function."""
DEADLINE_SECONDS = 60.0
ONE_OF_EVERY_KIND = {
    "nobody",
    "a patron",
    "a librarian",
    "a admin",
    "the owner, a patron",
    "loans with ['inventory:write', 'users:read']",
}


@pytest.fixture(scope="module")
def routes(library: LibraryClient) -> list[Route]:
    paths = {
        package: route.path
        for (_, path), (package, route) in access_matrix.declared().items()
        if path.endswith("/openapi.json")
    }
    return access_matrix.routes({package: library.http.get(path).json() for package, path in paths.items()})


@pytest.fixture(scope="module")
def things(library: LibraryClient) -> Things:
    return Things(known_things(library, copies=3))


@pytest.fixture(scope="module")
def callers(stack: LocalStack, library: LibraryClient, things: Things) -> list[Caller]:
    key = SigningKey.from_json(json.dumps(_ring(stack, "token-signing")))
    secrets = {service: str(_ring(stack, f"services/{service}")["current"]) for service in service_identities()}
    strangers = {role.value: library.add_member()["id"] for role in Role}
    return access_matrix.callers(key, secrets, things, strangers, datetime.now(UTC))


def _ring(stack: LocalStack, name: str) -> Mapping[str, Any]:
    found = stack.client("ssm").get_parameter(Name=f"/{stack.system}/keys/{name}", WithDecryption=True)
    document: dict[str, Any] = json.loads(found["Parameter"]["Value"])
    return document


def test_every_route_that_needs_a_token_has_its_authorizer(
    library: LibraryClient, routes: list[Route], callers: list[Caller], things: Things
) -> None:
    nobody = next(caller for caller in callers if caller.token is None)
    closed = [route for route in routes if route.authorizer == "Token"]
    assert len(closed) > len(routes) / 2
    assert _differences(library, things, [(route, nobody) for route in closed]) == []


def test_a_route_of_each_kind_lets_in_exactly_whom_it_declares(
    library: LibraryClient, routes: list[Route], callers: list[Caller], things: Things
) -> None:
    sample = {(route.service, route.authorizer, *sorted(route.access)): route for route in routes}.values()
    assert {route.service for route in sample} == {route.service for route in routes}
    chosen = [caller for caller in callers if caller.name in ONE_OF_EVERY_KIND]
    assert {caller.name for caller in chosen} == ONE_OF_EVERY_KIND
    assert _differences(library, things, [(route, caller) for route in sample for caller in chosen]) == []


def test_no_worthless_token_gets_past_the_authorizer(
    library: LibraryClient, routes: list[Route], callers: list[Caller], things: Things
) -> None:
    one_of_every_service = [*{route.service: route for route in routes if route.authorizer == "Token"}.values()]
    optional = next(route for route in routes if route.authorizer == "OptionalToken")
    worthless = [caller for caller in callers if caller.token is not None and caller.proves is None]
    assert len(one_of_every_service) >= 3
    assert len(worthless) >= 15
    # The emulator starts a new process after each refusal. Every token is shown to the authorizer's code in the
    # contract tests; here it is about what stands in front of the functions.
    worthless = worthless[:: at_depth(quick=3, full=1)]
    pairs = [*zip(cycle([*one_of_every_service, optional]), worthless)]
    assert _differences(library, things, pairs) == []


def _answer(library: LibraryClient, route: Route, caller: Caller, things: Things) -> httpx.Response:
    """What the system says. The emulator starts a new process for the authorizer after each refusal, and on a busy
    machine one may start too slowly: that 503 lets nobody in and says nothing about anybody, so it is asked again."""
    request = asked(route, things)
    deadline, pause = time.monotonic() + DEADLINE_SECONDS, 0.1
    while True:
        response = library.http.request(
            route.method,
            request.path,
            params=request.query,
            json=request.body,
            headers={"Authorization": f"Bearer {caller.token}"} if caller.token is not None else {},
        )
        if response.status_code != 503 or time.monotonic() > deadline:
            return response
        time.sleep(pause)
        pause = min(2 * pause, 3.0)


def _differences(library: LibraryClient, things: Things, pairs: list[tuple[Route, Caller]]) -> list[str]:
    def one(pair: tuple[Route, Caller]) -> str | None:
        route, caller = pair
        response = _answer(library, route, caller, things)
        document = response.json() if response.content else None
        found, wanted = seen(response.status_code, document), expected(route, caller)
        return None if found == wanted else f"{route} as {caller.name}: {found} instead of {wanted}: {document}"

    with ThreadPoolExecutor(WORKERS) as pool:
        return [line for line in pool.map(one, pairs) if line is not None]
