"""The OpenAPI document of a service, with every problem that a route can answer."""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from library_common import problems as p
from library_common.access import Access, RequestPart
from library_common.http.edge import METHODS_WITH_BODY
from library_common.http.headers import RATE_LIMIT_HEADERS
from library_common.http.schemas import Problem

API_VERSION = "1.0.0"
_SERVER = {"url": "/", "description": "The host that answers this document; on AWS with the stage before `/api`."}
"""Relative, so that the same document is right for every deployment."""


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document of `app`."""
    document = get_openapi(
        title=app.title,
        description=app.description,
        version=app.version,
        openapi_version="3.1.0",
        routes=app.routes,
        servers=[dict(_SERVER)],
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    components["headers"] = {
        name: {"description": meaning, "schema": {"type": "integer", "minimum": 0}}
        for name, meaning in RATE_LIMIT_HEADERS.items()
    }
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    return document


def problem_responses(
    method: str,
    access: Access,
    raises: Sequence[type[Exception]],
    status_of: Callable[[type[Exception]], int],
) -> dict[int | str, dict[str, Any]]:
    """The problem answers of one route by status: its own errors and those that every such route can have."""
    codes: dict[int, list[str]] = {}

    def add(status: int, code: str) -> None:
        listed = codes.setdefault(status, [])
        if code not in listed:
            listed.append(code)

    for error in raises:
        add(status_of(error), getattr(error, "code", "error"))
    general: list[type[p.ProblemError]] = [p.MalformedHeader, p.InvalidRequest, p.ServiceUnavailable]
    if method in METHODS_WITH_BODY:
        general += [p.MalformedJson, p.TooLarge, p.NotJson]
    # A public route needs no token, but refuses an invalid one.
    if not access.public or not access.describe().keys() - {"public"}:
        general += [p.NotAuthenticated, p.NotAllowed]
    for problem in general:
        add(problem.status, problem.code)
    if access.own and access.own.startswith((f"{RequestPart.PATH}:", f"{RequestPart.QUERY}:")):
        add(404, "not_found")
    add(429, "too_many_requests")
    add(500, "internal_error")
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in RATE_LIMIT_HEADERS}
    return {
        status: {
            "description": "Problem: " + ", ".join(f"`{c}`" for c in listed),
            "content": {p.PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            **({"headers": headers} if status == p.TooManyRequests.status else {}),
        }
        for status, listed in sorted(codes.items())
    }
