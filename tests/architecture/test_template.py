"""The template and the code say the same: handlers, routes, authorizers, scopes."""

import ast
import importlib
import inspect
import json
import re
import typing
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.routing import APIRoute

from gateway_service.revoked_epochs import VIEW_SECONDS
from library_common.access import Caller
from library_common.http import ServiceApi
from localstack.embedded import template
from localstack.embedded.layout import ROOT
from tests.architecture.deployment import DEFAULT_AUTHORIZER, Declared, Function, functions, load, service_identities
from tests.architecture.sources import deployed

pytestmark = pytest.mark.architecture

EVENT_SECONDS = 10
"""From a change in users to the gateway's table, on a bad day."""

HTTP = [function for function in functions() if function.routes()]
by_id = pytest.mark.parametrize("function", HTTP, ids=[function.logical_id for function in HTTP])


def api_of(function: Function) -> ServiceApi:
    api = importlib.import_module(function.module).api
    assert isinstance(api, ServiceApi)
    return api


def routes_of(function: Function) -> dict[tuple[str, str], APIRoute]:
    """What the service answers, by method and path."""
    return {
        (method, route.path): route
        for route in api_of(function).app.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }


def access_of(route: APIRoute) -> dict[str, Any]:
    declared: dict[str, Any] = (route.openapi_extra or {})["x-access"]
    return declared


def looks_at_its_caller(endpoint: Callable[..., Any]) -> bool:
    """Whether the endpoint itself asks for the caller; the check of `access` alone does not count."""
    return Caller in typing.get_type_hints(endpoint).values()


def fitting_authorizer(route: APIRoute) -> str:
    """Which authorizer a route needs for what it declares."""
    if not access_of(route).get("public"):
        return "Token"
    return "OptionalToken" if looks_at_its_caller(route.endpoint) else "NONE"


# -- functions and their code ---------------------------------------------------------------------


@pytest.mark.parametrize("function", functions(), ids=lambda function: function.logical_id)
def test_the_handler_exists_where_the_template_looks_for_it(function: Function) -> None:
    folder = ROOT / str(function.properties["CodeUri"])
    module = importlib.import_module(function.module)

    assert module.__file__ is not None
    assert (folder / function.package).is_dir(), "the CodeUri holds the package"
    assert module.__file__.startswith(f"{folder}/"), "and the module comes from there"
    handler = function.handler()
    assert callable(handler)
    inspect.signature(handler).bind({}, None)  # event and context


def test_every_entry_point_in_the_code_is_deployed() -> None:
    """A module with a `handler` that no function names is dead, or a function is missing."""
    entries = {
        module.name
        for module in deployed()
        if any(
            (isinstance(node, ast.FunctionDef) and node.name == "handler")
            or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "handler")
            for node in module.tree.body
        )
    }
    assert entries == {function.module for function in functions()}


# -- routes ---------------------------------------------------------------------------------------


@by_id
def test_the_template_has_every_route_of_the_service_and_no_other(function: Function) -> None:
    declared = [route.key for route in function.routes() if route.method != "OPTIONS"]

    assert len(declared) == len(set(declared)), "a route twice"
    assert set(declared) == routes_of(function).keys()


@by_id
def test_every_path_answers_preflights_without_a_token(function: Function) -> None:
    paths = {route.path for route in function.routes() if route.method != "OPTIONS"}
    preflights = [route for route in function.routes() if route.method == "OPTIONS"]

    assert {route.path for route in preflights} == paths
    assert {route.authorizer for route in preflights} == {"NONE"}


@by_id
def test_the_authorizer_fits_what_the_route_declares(function: Function) -> None:
    declared = {route.key: route.authorizer for route in function.routes() if route.method != "OPTIONS"}

    wrong = {
        f"{method} {path}": f"{declared[method, path]}, but it needs {fitting_authorizer(route)}"
        for (method, path), route in routes_of(function).items()
        if (method, path) in declared and declared[method, path] != fitting_authorizer(route)
    }
    assert wrong == {}


@by_id
def test_no_route_hides_behind_another(function: Function) -> None:
    """API Gateway prefers fixed paths to those with ids; the service takes the first that fits."""
    routes = list(routes_of(function).items())
    for (method, path), route in routes:
        first = next(found for (verb, _), found in routes if verb == method and found.path_regex.match(path))
        assert first is route, f"{method} {path} is answered by {first.path}"


def test_api_gateway_can_hold_the_paths() -> None:
    """A resource has at most one child with a name in braces, and no path belongs to two functions."""
    children: dict[str, set[str]] = {}
    owners: dict[tuple[str, str], list[Declared]] = {}
    for function in HTTP:
        for route in function.routes():
            owners.setdefault(route.key, []).append(route)
            parts = route.path.split("/")
            for place, part in enumerate(parts):
                if part.startswith("{"):
                    children.setdefault("/".join(parts[:place]), set()).add(part)
    assert {parent: names for parent, names in children.items() if len(names) > 1} == {}
    assert {key: routes for key, routes in owners.items() if len(routes) > 1} == {}


def test_the_authorizers_are_those_the_rules_speak_of() -> None:
    (api,) = template.resources_of(load(), template.API).values()
    auth = api["Auth"]

    assert auth["DefaultAuthorizer"] == DEFAULT_AUTHORIZER
    assert auth["Authorizers"].keys() == {"Token", "OptionalToken"}
    # With the header as identity source API Gateway refuses a request without it; without, it asks the authorizer.
    # And it is all that a cached answer is found by: the answer depends on nothing else of the request.
    assert auth["Authorizers"]["Token"]["Identity"] == {"Headers": ["Authorization"], "ReauthorizeEvery": 30}
    assert auth["Authorizers"]["OptionalToken"]["Identity"] == {"ReauthorizeEvery": 0}


# -- keys -----------------------------------------------------------------------------------------


def policies_of(function: Function) -> list[dict[str, Any]]:
    return [statement for policy in function.properties["Policies"] for statement in policy["Statement"]]


def secrets_allowed(function: Function, action: str) -> set[str]:
    """Logical ids of the secrets with which a function may do this."""
    return {
        reference["Ref"]
        for statement in policies_of(function)
        if action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        for reference in (statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]])
    }


def test_who_may_read_and_write_which_secret() -> None:
    text = load()["Resources"]["ServiceIdentities"]["Properties"]["Value"]["Fn::Sub"]
    of_services = {identity["secret_arn"].strip("${}") for identity in json.loads(text).values()}
    by_id = {function.logical_id: function for function in functions()}

    assert secrets_allowed(by_id["AuthorizerFunction"], "secretsmanager:GetSecretValue") == of_services
    for action in ("secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"):
        assert secrets_allowed(by_id["RotationFunction"], action) == {*of_services, "TokenSigningKey"}
    writers = {f.logical_id for f in functions() if secrets_allowed(f, "secretsmanager:PutSecretValue")}
    assert writers == {"RotationFunction"}


def test_no_update_of_the_stack_resets_the_published_keys() -> None:
    """They are written by the rotation; what the template itself holds CloudFormation may write again."""
    named = [
        resource["Properties"].get("Name")
        for resource in load()["Resources"].values()
        if resource["Type"] == "AWS::SSM::Parameter"
    ]
    assert {"Fn::Sub": "/${AWS::StackName}/token-verification-keys"} not in named


def test_a_revoked_token_ends_within_a_minute() -> None:
    """As `revoked_epochs` adds it up."""
    (api,) = template.resources_of(load(), template.API).values()
    cached = api["Auth"]["Authorizers"]["Token"]["Identity"]["ReauthorizeEvery"]

    assert EVENT_SECONDS + VIEW_SECONDS + cached < 60


# -- scopes ---------------------------------------------------------------------------------------


def claimed_scopes() -> dict[str, frozenset[str]]:
    """Service name -> the scopes its code puts into its tokens, from the `service_client(...)` calls there are."""
    claimed: dict[str, frozenset[str]] = {}
    for source in deployed():
        if source.package == "library_common":
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "service_client":
                given = {keyword.arg: keyword.value for keyword in node.keywords}
                if "caller" in given:
                    namespace = vars(importlib.import_module(source.name))
                    name, scopes = (eval(ast.unparse(given[part]), namespace) for part in ("caller", "scopes"))
                    claimed[name] = claimed.get(name, frozenset()) | scopes
    return claimed


def test_services_claim_exactly_the_scopes_they_are_granted() -> None:
    claimed = claimed_scopes()

    assert "loans" in claimed
    assert claimed == service_identities()


def test_every_scope_a_route_asks_for_is_granted_to_somebody_and_the_other_way_round() -> None:
    asked = {scope for f in HTTP for route in routes_of(f).values() if (scope := access_of(route).get("scope"))}

    assert asked == frozenset().union(*service_identities().values())


# -- limits ---------------------------------------------------------------------------------------


@by_id
def test_every_http_function_can_check_limits(function: Function) -> None:
    """Without LIMITS_TABLE a function limits nobody: right in a test, never in a deployment."""
    variables = function.properties["Environment"]["Variables"]
    allowed = [
        statement
        for policy in function.properties["Policies"]
        for statement in policy["Statement"]
        if statement["Resource"] == {"Fn::GetAtt": ["GatewayTable", "Arn"]}
    ]

    assert variables["LIMITS_TABLE"] == {"Ref": "GatewayTable"}
    assert load()["Globals"]["Function"]["Environment"]["Variables"]["RATE_LIMITS"] == {"Ref": "RateLimits"}
    granted = {action for statement in allowed for action in statement["Action"]}
    assert {"dynamodb:GetItem", "dynamodb:UpdateItem"} <= granted
    buckets_only = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["LIMIT#*"]}}
    assert buckets_only in [statement.get("Condition") for statement in allowed]


@pytest.mark.parametrize("name", ["CodeSender", "SenderFunction"])
def test_whoever_sends_messages_can_check_limits(name: str) -> None:
    """Or members could have any number of them sent to anybody."""
    properties = load()["Resources"][name]["Properties"]
    allowed = [s for policy in properties["Policies"] for s in policy["Statement"]]

    assert properties["Environment"]["Variables"]["LIMITS_TABLE"] == {"Ref": "GatewayTable"}
    assert {
        "Effect": "Allow",
        "Action": ["dynamodb:GetItem", "dynamodb:UpdateItem"],
        "Resource": {"Fn::GetAtt": ["GatewayTable", "Arn"]},
        "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["LIMIT#*"]}},
    } in allowed


def test_the_firewall_is_off_and_knows_the_routes_with_limits_of_their_own() -> None:
    assert load()["Parameters"]["WebAcl"]["Default"] == "None"
    (credentials, _) = load()["Resources"]["ApiWebAcl"]["Properties"]["Rules"]
    (method, path) = credentials["Statement"]["RateBasedStatement"]["ScopeDownStatement"]["AndStatement"]["Statements"]
    limited = {
        key
        for function in HTTP
        for key, route in routes_of(function).items()
        if "x-limit" in (route.openapi_extra or {})
    }

    assert ("POST", "/api/users") in limited
    assert {verb for verb, _ in limited} == {method["ByteMatchStatement"]["SearchString"]}
    pattern = path["RegexMatchStatement"]["RegexString"]
    for _, url in limited:
        for asked in (url, f"{url}/", f"/v1{url}"):
            assert re.search(pattern, asked), asked
    assert not re.search(pattern, "/api/users/me")
