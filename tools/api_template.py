"""Writes the generated parts of functions/gateway/api.yaml: `make templates`.

The API is one OpenAPI definition: every route of every service as its code declares it, an answer to browsers'
preflight requests for each path, and the errors API Gateway answers itself. Integrations name functions by their
predictable names; a reference would tie this stack to the others.
"""

import json
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tools import services
from tools.generated import Files, command
from tools.stack_templates import Dumper, as_yaml, replaced, sub

if typing.TYPE_CHECKING:
    from fastapi.routing import APIRoute

API_TEMPLATE = services.FUNCTIONS / "gateway" / "api.yaml"

TOKEN = "Token"  # noqa: S105 - an authorizer's name
"""A token is needed: without the header API Gateway answers 401 itself."""

OPTIONAL_TOKEN = "OptionalToken"  # noqa: S105 - an authorizer's name
"""A token is looked at when there is one. There is nothing to cache on, so it is never cached."""

NONE = "NONE"

_FUNCTION = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${System}-%s:live"
_INVOKE = "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/%s/invocations"
_EXPOSED = "'X-Correlation-Id, Retry-After, WWW-Authenticate'"
_PREFLIGHT = {
    "Access-Control-Allow-Origin": sub("'${CorsAllowOrigin}'"),
    "Access-Control-Allow-Methods": "'GET, POST, PUT, PATCH, DELETE'",
    "Access-Control-Allow-Headers": "'Authorization, Content-Type, Idempotency-Key, If-Match, X-Correlation-Id'",
    "Access-Control-Max-Age": "'600'",
}


@dataclass(frozen=True)
class GatewayError:
    """An error that API Gateway answers before any function is asked."""

    status: int
    code: str
    detail: str
    retry_after: int | None = None


GATEWAY_ERRORS = {
    "UNAUTHORIZED": GatewayError(401, "not_authenticated", "A valid bearer token is needed."),
    "ACCESS_DENIED": GatewayError(403, "not_allowed", "You may not do this."),
    "MISSING_AUTHENTICATION_TOKEN": GatewayError(
        404, "no_such_route", "There is nothing at this path for this method."
    ),
    "RESOURCE_NOT_FOUND": GatewayError(404, "no_such_route", "There is nothing at this path for this method."),
    "REQUEST_TOO_LARGE": GatewayError(413, "too_large", "The request is too large."),
    "UNSUPPORTED_MEDIA_TYPE": GatewayError(415, "not_json", "Send the body as application/json."),
    "THROTTLED": GatewayError(429, "too_many_requests", "Slow down and try again.", retry_after=1),
    "QUOTA_EXCEEDED": GatewayError(429, "too_many_requests", "Slow down and try again.", retry_after=60),
    "DEFAULT_4XX": GatewayError(400, "bad_request", "The request could not be understood."),
    "DEFAULT_5XX": GatewayError(
        503, "service_unavailable", "A needed service did not answer. Try again shortly.", retry_after=5
    ),
}


@dataclass(frozen=True)
class Route:
    """One method of one path: the service that answers it, and the authorizer in front of it."""

    service: str
    method: str
    path: str
    authorizer: str


def routes() -> list[Route]:
    """Every route of every service, in the order of services and of their code."""
    return [
        Route(service, method, route.path, fitting_authorizer(route))
        for service in services.with_module("http")
        for route in _api_routes(service)
        for method in sorted(route.methods or ())
    ]


def _api_routes(service: str) -> Iterator["APIRoute"]:
    from fastapi.routing import APIRoute  # noqa: PLC0415 - other commands do without

    return (route for route in services.module(service, "http").api.app.routes if isinstance(route, APIRoute))


def fitting_authorizer(route: "APIRoute") -> str:
    """The authorizer a route needs for what it declares."""
    access: Mapping[str, Any] = (route.openapi_extra or {})["x-access"]
    if not access.get("public"):
        return TOKEN
    return OPTIONAL_TOKEN if _looks_at_its_caller(route.endpoint) else NONE


def _looks_at_its_caller(endpoint: Callable[..., Any]) -> bool:
    """Whether the endpoint itself asks for the caller; the check of `access` alone does not count."""
    from library_common.access import Caller  # noqa: PLC0415 - importable only once the path is set

    return Caller in typing.get_type_hints(endpoint).values()


# -- the definition -------------------------------------------------------------------------------


def definition() -> dict[str, Any]:
    """The whole API as OpenAPI 3.0 with API Gateway's extensions; CloudFormation's functions are in it."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes():
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.0.1",
        "info": {"title": sub("${System}"), "version": "1.0.0"},
        "paths": {path: {**operations, "options": _preflight()} for path, operations in sorted(paths.items())},
        "components": {
            "securitySchemes": {
                TOKEN: _authorizer("Authorization", "method.request.header.Authorization", 30),
                OPTIONAL_TOKEN: _authorizer("Unused", None, 0),
            }
        },
        "x-amazon-apigateway-gateway-responses": {
            name: _gateway_response(error) for name, error in GATEWAY_ERRORS.items()
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    security: dict[str, Any] = {} if route.authorizer == NONE else {"security": [{route.authorizer: []}]}
    return {
        **security,
        "x-amazon-apigateway-integration": {
            "type": "aws_proxy",
            "httpMethod": "POST",
            "uri": sub(_INVOKE % (_FUNCTION % route.service)),
        },
    }


def _preflight() -> dict[str, Any]:
    """The answer to what a browser asks before a page of another origin may call. No function is paid for it."""
    return {
        "responses": {
            "200": {
                "description": "Who may call.",
                "headers": {name: {"schema": {"type": "string"}} for name in _PREFLIGHT},
            }
        },
        "x-amazon-apigateway-integration": {
            "type": "mock",
            "requestTemplates": {"application/json": '{"statusCode": 200}'},
            "responses": {
                "default": {
                    "statusCode": "200",
                    "responseParameters": {
                        f"method.response.header.{name}": value for name, value in _PREFLIGHT.items()
                    },
                }
            },
        },
    }


def _authorizer(header: str, identity_source: str | None, seconds: int) -> dict[str, Any]:
    return {
        "type": "apiKey",
        "name": header,
        "in": "header",
        "x-amazon-apigateway-authtype": "custom",
        "x-amazon-apigateway-authorizer": {
            "type": "request",
            "authorizerUri": sub(_INVOKE % (_FUNCTION % "authorizer")),
            **({"identitySource": identity_source} if identity_source else {}),
            "authorizerResultTtlInSeconds": seconds,
        },
    }


def _gateway_response(error: GatewayError) -> dict[str, Any]:
    headers: dict[str, Any] = {
        "Content-Type": "'application/problem+json'",
        "Access-Control-Allow-Origin": sub("'${CorsAllowOrigin}'"),
        "Access-Control-Expose-Headers": _EXPOSED,
        "X-Correlation-Id": "context.requestId",
        "Cache-Control": "'no-store'",
    }
    if error.status == 401:
        headers["WWW-Authenticate"] = "'Bearer'"
    if error.retry_after is not None:
        headers["Retry-After"] = f"'{error.retry_after}'"
    problem = {
        "type": f"/docs/problems#{error.code}",
        "title": error.code.replace("_", " ").capitalize(),
        "status": error.status,
        "detail": error.detail,
        "instance": "$context.resourcePath",
        "code": error.code,
        "correlation_id": "$context.requestId",
    }
    return {
        "statusCode": error.status,
        "responseParameters": {f"gatewayresponse.header.{name}": value for name, value in headers.items()},
        "responseTemplates": {"application/json": json.dumps(problem)},
    }


def permissions() -> dict[str, dict[str, Any]]:
    """One for each function the API calls."""
    called = {route.service for route in routes()}
    return {
        f"{name.capitalize()}Permission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": sub(_FUNCTION % name),
                "Principal": "apigateway.amazonaws.com",
                "SourceArn": sub(
                    "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/"
                    + ("authorizers/*" if name == "authorizer" else "*")
                ),
            },
        }
        for name in sorted({*called, "authorizer"})
    }


# -- writing it -----------------------------------------------------------------------------------


def generate() -> Files:
    """The template with its generated parts as they are to be."""
    text = API_TEMPLATE.read_text(encoding="utf-8")
    text = replaced(text, "definition", _as_lines(definition()), 6)
    text = replaced(text, "permissions", "\n".join(as_yaml({n: r}) for n, r in permissions().items()), 2)
    return {API_TEMPLATE: text}


def _as_lines(document: Mapping[str, Any]) -> str:
    """YAML with a line for each operation, scheme and response."""
    lines = ["DefinitionBody:"]

    def flow(value: object) -> str:
        text: str = yaml.dump(value, Dumper=Dumper, default_flow_style=True, sort_keys=False, width=10**6)
        return text.removesuffix("\n").removesuffix("\n...")

    def add(name: str, value: object, depth: int, leaf_depth: int) -> None:
        if isinstance(value, Mapping) and depth < leaf_depth:
            lines.append("  " * depth + f"{name}:")
            for key, inner in value.items():
                add(str(key), inner, depth + 1, leaf_depth)
        else:
            lines.append("  " * depth + f"{name}: {flow(value)}")

    for key, value in document.items():
        add(key, value, 1, 2 if key.startswith("x-") else 3)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(command(__doc__.splitlines()[0], generate, [], "make templates"))
