"""The templates and the code say the same: handlers, routes, authorizers, scopes."""

import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from fastapi.routing import APIRoute
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from gateway_service.revoked_epochs import VIEW_SECONDS
from library_common.access import Access
from library_common.http import CurrentCaller, ServiceApi
from localstack.embedded import template
from localstack.embedded.layout import ROOT
from tests.architecture.deployment import (
    Declared,
    Function,
    api_definition,
    api_routes,
    arn,
    function_named,
    functions,
    listed,
    load,
    of_type,
    service_identities,
    stacks,
)
from tests.architecture.sources import deployed
from tools import api_template, stack_templates
from tools.generated import differences

pytestmark = pytest.mark.architecture

ALLOWED_ORIGIN = {"Fn::Sub": "'${CorsAllowOrigin}'"}

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


# -- functions and their code ---------------------------------------------------------------------


@pytest.mark.parametrize("function", functions(), ids=lambda function: function.logical_id)
def test_the_handler_exists_where_the_template_looks_for_it(function: Function) -> None:
    folder = (
        ROOT / "functions" / function.package.removesuffix("_service") / str(function.properties["CodeUri"]).rstrip("/")
    )
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


def test_the_generated_parts_are_as_the_generators_write_them() -> None:
    assert differences({**stack_templates.generate(), **api_template.generate()}, []) == [], "run: make templates"


@by_id
def test_the_api_has_every_route_of_the_service_and_no_other(function: Function) -> None:
    declared = [route.key for route in function.routes()]

    assert len(declared) == len(set(declared)), "a route twice"
    assert set(declared) == routes_of(function).keys()


def test_every_route_goes_to_a_function_and_every_http_function_says_that_it_is_one() -> None:
    called = {name for name, _ in api_routes()}

    assert called == {function.name for function in HTTP}
    assert [f for f in functions() if (f.resource.get("Metadata") or {}).get("Http")] == HTTP


def test_every_path_answers_preflights_without_a_token_and_without_a_function() -> None:
    for path, operations in api_definition()["paths"].items():
        preflight = operations["options"]
        assert "security" not in preflight, path
        answer = preflight["x-amazon-apigateway-integration"]["responses"]["default"]["responseParameters"]
        assert preflight["x-amazon-apigateway-integration"]["type"] == "mock", path
        assert answer["method.response.header.Access-Control-Allow-Origin"] == ALLOWED_ORIGIN
        methods = answer["method.response.header.Access-Control-Allow-Methods"].strip("'").split(", ")
        assert {method.upper() for method in operations} - {"OPTIONS"} <= set(methods), path


def test_the_gateways_own_errors_are_for_the_same_origin() -> None:
    answers = api_definition()["x-amazon-apigateway-gateway-responses"]

    assert {"UNAUTHORIZED", "ACCESS_DENIED", "DEFAULT_4XX", "DEFAULT_5XX", "THROTTLED"} <= answers.keys()
    for answer in answers.values():
        headers = answer["responseParameters"]
        assert headers["gatewayresponse.header.Access-Control-Allow-Origin"] == ALLOWED_ORIGIN


@by_id
def test_the_authorizer_fits_what_the_route_declares(function: Function) -> None:
    declared = {route.key: route.authorizer for route in function.routes()}

    for key, route in routes_of(function).items():
        public = bool(access_of(route).get("public"))
        assert (declared[key] == api_template.TOKEN) == (not public), key
        assert declared[key] == api_template.fitting_authorizer(route), key


@pytest.mark.parametrize(
    ("source", "authorizer"),
    [
        ("def f(): ...", "NONE"),
        ("def f(caller: CurrentCaller): ...", "OptionalToken"),
    ],
)
def test_a_public_route_that_looks_at_its_caller_has_tokens_checked(source: str, authorizer: str) -> None:
    scope = {"CurrentCaller": CurrentCaller}
    exec(source, scope)
    api = ServiceApi(name="x", title="x", problems={})
    api.get("/api/x", access=Access(public=True))(scope["f"])
    (route,) = [route for route in api.app.routes if isinstance(route, APIRoute)]

    assert api_template.fitting_authorizer(route) == authorizer


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


def authorizers() -> dict[str, dict[str, Any]]:
    schemes = api_definition()["components"]["securitySchemes"]
    return {name: scheme["x-amazon-apigateway-authorizer"] for name, scheme in schemes.items()}


def test_the_authorizers_are_those_the_rules_speak_of() -> None:
    found = authorizers()

    assert found.keys() == {"Token", "OptionalToken"}
    # With the header as identity source API Gateway refuses a request without it; without, it asks the authorizer.
    # And it is all that a cached answer is found by: the answer depends on nothing else of the request.
    assert found["Token"]["identitySource"] == "method.request.header.Authorization"
    assert found["Token"]["authorizerResultTtlInSeconds"] == 30
    assert "identitySource" not in found["OptionalToken"]
    assert found["OptionalToken"]["authorizerResultTtlInSeconds"] == 0
    assert {"request"} == {authorizer["type"] for authorizer in found.values()}


def test_the_api_may_invoke_every_function_it_calls_and_no_other() -> None:
    """One permission each. MiniStack does not look at them, so nothing but this test does before AWS."""
    permissions = of_type("AWS::Lambda::Permission").values()
    granted = [
        str(permission["FunctionName"]["Fn::Sub"]).rpartition(":function:${System}-")[2] for permission in permissions
    ]

    assert sorted(granted) == sorted(f"{name}:live" for name in {*(f.name for f in HTTP), "authorizer"})
    for permission in permissions:
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert permission["SourceArn"]["Fn::Sub"].startswith(
            "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/"
        )


# -- stacks ---------------------------------------------------------------------------------------


MOST_RESOURCES = 200
MOST_API_RESOURCES = 250
MOST_POLICY_BYTES = 10 * 1024


def transformed(source: Mapping[str, Any]) -> dict[str, Any]:
    """The template as CloudFormation gets it: what SAM makes of it."""
    packaged = template.with_uploaded_code(dict(source), lambda *_: "s3://bucket/key")
    result: dict[str, Any] = Translator({}, Parser()).translate(packaged, {}, None)
    return result


@pytest.fixture(scope="module")
def resources(monkeypatch_module: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Stack -> its resources, after SAM."""
    monkeypatch_module.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return {name: transformed(source)["Resources"] for name, source in stacks().items()}


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.mark.parametrize("stack", stacks())
def test_other_parameters_are_new_versions_of_all_functions_and_a_new_deployment_of_the_api(
    stack: str, monkeypatch_module: pytest.MonkeyPatch
) -> None:
    """Otherwise the alias and the stage would go on with the old ones."""
    monkeypatch_module.setenv("AWS_DEFAULT_REGION", "us-east-1")
    source = dict(stacks()[stack])

    def made(level: str) -> set[str]:
        given = template.with_parameters(source, {"System": "town", "LogLevel": level})
        kinds = {"AWS::Lambda::Version", "AWS::ApiGateway::Deployment"}
        return {name for name, made in transformed(given)["Resources"].items() if made["Type"] in kinds}

    first, same, other = made("INFO"), made("INFO"), made("DEBUG")
    assert first == same
    assert first.isdisjoint(other)
    expected = len(template.resources_of(source, template.FUNCTION)) + len(template.resources_of(source, template.API))
    assert len(first) == expected > 0


def test_no_stack_comes_near_the_limits(
    resources: dict[str, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """CloudFormation takes 500 resources a stack, API Gateway 300 an API, Lambda 20 KB of policy a function."""
    sizes = {name: len(found) for name, found in resources.items()}
    paths = {part for path in api_definition()["paths"] for part in _resources_on(path)}
    with capsys.disabled():
        told = ", ".join(f"{name} {size}" for name, size in sizes.items())
        print(f"\nresources per stack: {told}; resources of the API: {len(paths)}")

    assert max(sizes.values()) < MOST_RESOURCES
    assert len(paths) < MOST_API_RESOURCES
    policies = [
        document
        for found in resources.values()
        for resource in found.values()
        for document in [*resource.get("Properties", {}).get("Policies", ()), resource.get("Properties", {})]
        if "PolicyDocument" in document
    ]
    assert policies
    assert max(len(json.dumps(policy)) for policy in policies) < MOST_POLICY_BYTES


def _resources_on(path: str) -> Iterator[str]:
    parts = path.strip("/").split("/")
    return ("/".join(parts[: end + 1]) for end in range(len(parts)))


def test_stacks_share_nothing_by_exports(resources: dict[str, dict[str, Any]]) -> None:
    """An export in use cannot change, so one stack would keep another from being updated."""
    exported = [
        name for name, source in stacks().items() for out in source.get("Outputs", {}).values() if "Export" in out
    ]

    assert exported == []
    assert "Fn::ImportValue" not in json.dumps(resources)


def test_every_service_has_a_stack_of_its_name() -> None:
    services_there = {folder.parent.name for folder in (ROOT / "functions").glob("*/src")} - {"gateway"}

    assert stacks().keys() == services_there | {"platform", "api"}
    assert next(iter(stacks())) == "platform"
    assert [*stacks()][-2:] == ["admin", "api"]


def test_what_all_stacks_are_given_they_declare_alike() -> None:
    declared: dict[str, list[Any]] = {}
    for source in stacks().values():
        for name, parameter in source["Parameters"].items():
            declared.setdefault(name, []).append(parameter)

    assert {name for name, found in declared.items() if any(one != found[0] for one in found)} == set()


def test_tables_outlive_their_stacks_and_can_be_taken_over() -> None:
    """All but the gateway's, in which everything expires. A name of their own would keep an old table out."""
    for name, table in of_type("AWS::DynamoDB::Table").items():
        kept = load()["Resources"][name].get("DeletionPolicy")
        assert kept == ("Delete" if name == "GatewayTable" else "RetainExceptOnCreate")
        assert ("TableName" in table) == (name == "GatewayTable")


def test_tables_refuse_to_be_deleted_unless_a_parameter_lets_them() -> None:
    for name, table in of_type("AWS::DynamoDB::Table").items():
        protected = table.get("DeletionProtectionEnabled")
        assert protected == (None if name == "GatewayTable" else {"Fn::If": ["TableIsProtected", True, False]}), name
    assert load()["Conditions"]["TableIsProtected"] == {"Fn::Equals": [{"Ref": "DeletionProtection"}, "true"]}
    assert load()["Parameters"]["DeletionProtection"]["Default"] == "true"


# -- events and messages --------------------------------------------------------------------------


def test_a_service_puts_events_on_the_bus_in_its_own_name_only() -> None:
    speakers = {}
    for function in functions():
        for statement in function.statements():
            if any("PutEvents" in action for action in listed(statement["Action"])):
                speakers[function.package.removesuffix("_service")] = statement.get("Condition")

    assert speakers.keys() >= {"users", "books", "loans"}
    for service, condition in speakers.items():
        assert condition == {"StringEquals": {"events:source": f"library.{service}"}}


def test_push_messages_go_to_devices_of_the_configured_application_only() -> None:
    """Its ARN is arn:…:app/GCM/name, an endpoint's arn:…:endpoint/GCM/name/id. Without one, `none` names nothing."""
    application = {"Fn::Select": [1, {"Fn::Split": [":app/", {"Fn::Sub": "${PushApplication}:app/none"}]}]}
    allowed = [
        (function.logical_id, resource["Fn::Sub"])
        for function in functions()
        for statement in function.statements()
        if any(action.startswith("sns:") for action in listed(statement["Action"]))
        for resource in listed(statement.get("Resource", []))
    ]
    assert len(allowed) == 4
    for logical_id, (text, values) in allowed:
        assert text.endswith((":app/${Application}", ":endpoint/${Application}/*")), logical_id
        assert values == {"Application": application}


# -- keys -----------------------------------------------------------------------------------------


def parameters_allowed(function: Function, action: str) -> set[str]:
    """Names of the parameters with which a function may do this, without the system's name."""
    start = "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/${System}/"
    return {
        resource["Fn::Sub"].removeprefix(start)
        for statement in function.statements()
        if action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if resource["Fn::Sub"].startswith(start)
    }


def test_who_may_read_and_write_which_key() -> None:
    by_id = {function.logical_id: function for function in functions()}
    reads = {name: parameters_allowed(function, "ssm:GetParameter") for name, function in by_id.items()}
    readers = {name: {key for key in found if key.startswith("keys/")} for name, found in reads.items()}
    callers = {name for name, f in by_id.items() if (f.resource.get("Metadata") or {}).get("CallsServices")}

    for name, found in readers.items():
        service = by_id[name].package.removesuffix("_service")
        own = {f"keys/services/{service}"} if name in callers and service in service_identities() else set()
        more = {"UsersFunction": {"keys/token-signing"}, "RotationFunction": {"keys/*"}}.get(name, set())
        assert found == own | more, name
    by_path = {
        n: {k for k in parameters_allowed(f, "ssm:GetParametersByPath") if "keys" in k} for n, f in by_id.items()
    }
    assert {n: found for n, found in by_path.items() if found} == {
        "AuthorizerFunction": {"keys/services"},
        "RotationFunction": {"keys/services", "keys/services/*"},
    }
    writers = {name for name, function in by_id.items() if parameters_allowed(function, "ssm:PutParameter")}
    assert writers == {"RotationFunction"}


def test_no_update_of_a_stack_resets_keys() -> None:
    """They are written by the rotation; what a template itself holds CloudFormation may write again."""
    named = [str(parameter.get("Name")) for parameter in of_type("AWS::SSM::Parameter").values()]

    assert [name for name in named if "keys" in name] == []
    assert of_type("AWS::SecretsManager::Secret") == {}, "which cost money each"


def test_a_revoked_token_ends_within_a_minute() -> None:
    """As `revoked_epochs` adds it up."""
    cached = authorizers()["Token"]["authorizerResultTtlInSeconds"]

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


@pytest.mark.parametrize("name", [*(f.logical_id for f in HTTP), "CodeSender", "SenderFunction"])
def test_whoever_answers_requests_or_sends_messages_can_check_limits(name: str) -> None:
    """Without LIMITS_TABLE a function limits nobody: right in a test, never in a deployment."""
    counts = function_named(name)
    variables = counts.properties["Environment"]["Variables"]

    assert variables["LIMITS_TABLE"] == load()["Resources"]["GatewayTable"]["Properties"]["TableName"]
    assert variables["RATE_LIMITS"] == {"Ref": "RateLimits"}
    assert {
        "Effect": "Allow",
        "Action": ["dynamodb:GetItem", "dynamodb:UpdateItem"],
        "Resource": {"Fn::Sub": arn("GatewayTable")},
        "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["LIMIT#*"]}},
    } in list(counts.statements())


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
