"""`ServiceApi`: one service's routes with who may call them, and its Lambda handler for HTTP."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partialmethod
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from mangum import Mangum
from starlette.types import ASGIApp

from library_common import limits
from library_common import problems as p
from library_common.access import Access, Caller, RequestPart, caller_from_event, require_own
from library_common.context import current
from library_common.http.edge import METHODS_WITH_BODY, RESPONSE_HEADERS, Edge, LastResort, unreadable_request
from library_common.http.errors import ProblemTable
from library_common.http.headers import CurrentCaller
from library_common.http.openapi import API_VERSION, openapi_document, problem_responses
from library_common.telemetry import logged_invocation

_TEXT = ["text/", "application/json", p.PROBLEM_JSON]
"""Media types that Mangum returns as text. It encodes others in base64, which the API does not decode."""

type Endpoint = Callable[..., Any]


class ServiceApi:
    """One service's HTTP API: declare routes on it, use it as the Lambda handler.

    problems: domain error type -> HTTP status. An error type has a class attribute `code`; it may
    carry `reasons` (sequence of (code, detail)), `errors` (sequence of (field, message)), `extra`
    (further members of the problem document) and `retry_after` (seconds).
    """

    def __init__(
        self,
        *,
        name: str,
        title: str,
        problems: Mapping[type[Exception], int],
        description: str = "",
        limiter: Callable[[], limits.RateLimiter] = limits.limiter,
    ) -> None:
        """title, description: of the OpenAPI document; the description is a sentence or two on what the service is for.
        limiter: called with each request, not before; tests may bring their own."""
        self.name = name
        self._limiter = limiter
        self.app = FastAPI(
            title=title,
            description=description,
            version=API_VERSION,
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            redirect_slashes=False,
        )
        self.problems = ProblemTable(name, problems)
        self.problems.add_handlers(self.app)
        self._asgi: ASGIApp | None = None
        # Inside FastAPI's own handler for unexpected errors, which would answer plain text.
        self.app.add_middleware(LastResort)
        self.app.openapi = self.openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it

    # -- declaring routes ---------------------------------------------------------------------

    def route(
        self,
        method: str,
        path: str,
        *,
        access: Access,
        raises: Sequence[type[Exception]] = (),
        status: int = 200,
        operation: str | None = None,
        limit: str | None = None,
        text_media_type: str | None = None,
    ) -> Callable[[Endpoint], Endpoint]:
        """Declares one route.

        raises: the domain errors it answers; those that every route has are added.
        operation: the operation id, for an endpoint with several paths; else the endpoint's own name.
        limit: one of `limits.ROUTE_LIMITS`, a stricter limit by address beside the general one. Raises ValueError for
        an unknown name and on a route that requires a token.
        text_media_type: a text media type that the route can answer instead of JSON.
        """
        if limit is not None and limit not in limits.ROUTE_LIMITS:
            raise ValueError(f"{method} {path}: unknown route limit {limit!r}")
        if limit is not None and not access.public:
            raise ValueError(f"{method} {path}: a route limit counts public routes only")

        async def guard(request: Request, caller: CurrentCaller) -> None:
            current().route = f"{method} {path}"
            access.check(caller)
            await _require_own(access, caller, request)
            address = limits.address_key(request.scope.get("aws.event") or {})
            if counted := self._limiter().count_request(caller, address, limit):
                request.scope[RESPONSE_HEADERS].update(counted.headers())
            route = request.scope.get("route")
            if isinstance(route, APIRoute) and route.body_field is None and method in METHODS_WITH_BODY:
                _require_no_body(await request.body())

        def register(endpoint: Endpoint) -> Endpoint:
            self.app.add_api_route(
                path,
                endpoint,
                methods=[method],
                status_code=status,
                dependencies=[Depends(guard)],
                responses=problem_responses(method, access, raises, self.problems.status_of)
                | ({status: {"content": {text_media_type: {"schema": {"type": "string"}}}}} if text_media_type else {}),
                openapi_extra={
                    "x-access": access.describe(),
                    **({"x-limit": limit} if limit else {}),
                    **({} if access.public else {"security": [{"bearer": []}]}),
                },
                operation_id=operation or endpoint.__name__,
            )
            return endpoint

        return register

    get = partialmethod(route, "GET")
    post = partialmethod(route, "POST")
    put = partialmethod(route, "PUT")
    patch = partialmethod(route, "PATCH")
    delete = partialmethod(route, "DELETE")

    def publish_openapi(self, path: str) -> None:
        """Serves the service's own OpenAPI document at `path`."""

        @self.get(path, access=Access(public=True))
        async def openapi_document() -> JSONResponse:
            """This document."""
            return JSONResponse(self.openapi())

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI 3.1 document, built once."""
        if self.app.openapi_schema is None:
            self.app.openapi_schema = openapi_document(self.app)
        return self.app.openapi_schema

    # -- the Lambda handler -------------------------------------------------------------------

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Lambda handler for API Gateway REST proxy events."""
        with logged_invocation(
            f"{event.get('httpMethod')} (unrouted)",
            actor=caller_from_event(event).actor,
            correlation_id=_header(event, "x-correlation-id"),
        ) as running:
            if self._asgi is None:
                self._asgi = Edge(self.app)
            # One Mangum per call: creating it is cheap, and it keeps no state between invocations.
            mangum = Mangum(
                self._asgi,  # type: ignore[arg-type]  # asks for coroutines by name
                lifespan="off",
                text_mime_types=_TEXT,
            )
            try:
                answer: dict[str, Any] = mangum(event, context)
            except ValueError:
                # The event holds lone surrogates, invalid base64 or an invalid host.
                answer = unreadable_request(event)
            running.status = answer.get("statusCode", 0)
            return answer


async def _require_own(access: Access, caller: Caller, request: Request) -> None:
    """Refuses a member whose request names another owner in the part of the request that `access` declares."""
    declared = access.required_owner(caller)
    if declared is None:
        return
    part, name = declared
    named: Sequence[object]
    match part:
        case RequestPart.PATH:
            named = [request.path_params[name]] if name in request.path_params else []
        case RequestPart.QUERY:
            named = request.query_params.getlist(name)
        case RequestPart.BODY:
            document = _json_object(await request.body())
            named = [document[name]] if name in document else []
    require_own(part, named, caller)


def _json_object(body: bytes) -> Mapping[str, object]:
    """Returns {} for a body that is not a JSON object; the route's own validation refuses it later."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _require_no_body(body: bytes) -> None:
    """Refuses a body that would be ignored. An empty one and `{}` are accepted."""
    if not body.strip():
        return
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise p.MalformedJson("The body is not valid JSON.") from None
    if document != {}:
        raise p.InvalidRequest("This route takes no body.", errors=[p.FieldError("body", "must be empty")])


def _header(event: Mapping[str, Any], name: str) -> str | None:
    for key, value in (event.get("headers") or {}).items():
        if key.lower() == name and isinstance(value, str):
            return value
    return None
