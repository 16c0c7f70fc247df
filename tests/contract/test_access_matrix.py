"""Who may call what: every route by every kind of caller, through the authorizer's code and the services' handlers.

What API Gateway does between the two is done here as it does it: no authorizer without the header where the header is
its identity source. `tests/integration/test_access_matrix.py` asks the deployed system.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest

from gateway_service.authorizer import Unauthorized, authorize
from gateway_service.keyring import Keyring
from library_common.access import Role
from library_common.clock import SystemClock
from library_common.ids import new_id
from library_common.key_rings import public_jwks_json
from tests.architecture.deployment import service_identities
from tests.contract import filled_services
from tests.contract.filled_services import Running
from tests.contract.in_process import InProcess
from tests.support import access_matrix
from tests.support.access_matrix import Caller, Route, Things, asked, expected, path_parameters, seen
from tests.support.lambda_events import api_event, call
from tests.unit.gateway.sources import CachedSource, Revoked
from tools import services

pytestmark = pytest.mark.contract

SECRETS = {name: name[0] * 64 for name in service_identities()}
ARN = "arn:aws:execute-api:us-east-1:000000000000:api/v1/GET/"
ROUTES = access_matrix.routes(
    {f"{name}_service": services.module(name, "http").api.openapi() for name in services.with_module("http")}
)


@pytest.fixture(scope="module")
def stack() -> Iterator[InProcess]:
    with InProcess().running() as stack:
        yield stack


@pytest.fixture(scope="module", params=services.with_module("http"))
def service(request: pytest.FixtureRequest, stack: InProcess) -> Iterator[Running]:
    with filled_services.running(stack, request.param) as running:
        yield running


@pytest.fixture(scope="module")
def things(service: Running) -> Things:
    """The member's things; of what the service does not have, ids that could exist."""
    others = {name: new_id() for route in ROUTES for name in path_parameters(route.path)}
    return Things({**others, **service.known})


@pytest.fixture(scope="module")
def callers(stack: InProcess, things: Things) -> list[Caller]:
    strangers = {role.value: new_id() for role in Role}
    return access_matrix.callers(stack.signing_key, SECRETS, things, strangers, datetime.now(UTC))


@pytest.fixture(scope="module")
def keyring(stack: InProcess) -> Keyring:
    granted = {
        name: json.dumps({"current": SECRETS[name], "scopes": " ".join(scopes)})
        for name, scopes in service_identities().items()
    }
    return Keyring(
        jwks=CachedSource(lambda: public_jwks_json([stack.signing_key])), services=CachedSource(lambda: granted)
    )


def test_every_route_lets_in_exactly_whom_it_declares(
    service: Running, callers: list[Caller], things: Things, keyring: Keyring
) -> None:
    routes = [route for route in ROUTES if route.service == f"{service.api.name}_service"]
    assert routes
    wrong = []
    for route in routes:
        for caller in callers:
            found, wanted = _asked(service, keyring, route, caller, things), expected(route, caller)
            if found != wanted:
                wrong.append(f"{route} as {caller.name}: {found} instead of {wanted}")
    assert wrong == []


def _asked(service: Running, keyring: Keyring, route: Route, caller: Caller, things: Things) -> str:
    context: Mapping[str, str] | None = None
    if route.authorizer != "NONE":
        if caller.token is None and route.authorizer == "Token":
            return "401"
        try:
            header = f"Bearer {caller.token}" if caller.token is not None else None
            context = authorize(header, ARN, keyring, Revoked().revokes, SystemClock())["context"]
        except Unauthorized:
            return "401"
    request = asked(route, things)
    query = "".join(f"?{name}={value}" for name, value in request.query.items())
    answer = call(service.api, api_event(route.method, request.path + query, body=request.body, caller=context))
    return seen(answer.status, answer.json if answer.status >= 400 else None)


def test_the_matrix_has_every_kind_of_answer(stack: InProcess) -> None:
    """Otherwise the test above would compare little with little."""
    things = Things({"user_id": new_id()})
    strangers = {role.value: new_id() for role in Role}
    everybody = access_matrix.callers(stack.signing_key, SECRETS, things, strangers, datetime.now(UTC))
    answers = [expected(route, caller) for route in ROUTES for caller in everybody]
    assert len(answers) > 1000
    assert {answer: answers.count(answer) >= 20 for answer in set(answers)} == dict.fromkeys(
        ("in", "401", "403", "404"), True
    )
