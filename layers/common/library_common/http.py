"""The HTTP edge all services share: routes with declared access, problem documents, the Lambda entry.

A service builds one `ServiceApi`, hands it the table from its domain errors to HTTP statuses, and
declares each route with who may call it (`access`) and which domain errors it can answer
(`raises`); from the two follow the checks, the problem answers and the OpenAPI document.
"""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from mangum import Mangum
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from library_common import limits
from library_common import problems as p
from library_common.access import Access, Caller, Place, caller_from_event, require_own
from library_common.context import current, invocation
from library_common.dynamodb import TransactionBusy
from library_common.field_messages import field_message
from library_common.telemetry import count, log_invocation, logger

MAX_BODY_BYTES = 256 * 1024
"""More than any single request of the API needs; bulk imports go through presigned uploads."""

API_VERSION = "1.0.0"
_SERVER = {"url": "/", "description": "The host that answers this document; on AWS with the stage before `/api`."}
"""Relative, since one document is answered by every deployment."""
_TEXT = ["text/", "application/json", p.PROBLEM_JSON]
"""What Mangum hands over as text; anything else it encodes in base64, which the API passes on undecoded."""
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_ANSWER_HEADERS = "library.answer_headers"
"""Where the ASGI scope keeps headers for the answer, whoever gives it: an endpoint or a problem."""

_LIMIT_HEADERS = {
    "Retry-After": "Whole seconds until trying again makes sense.",
    "RateLimit-Limit": "Requests the tightest limit allows in its window.",
    "RateLimit-Remaining": "How many of them are left: an estimate.",
    "RateLimit-Reset": "Seconds until all of them are there again; after a refusal, until there are some.",
}


class RequestBody(BaseModel):
    """Base of every request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


def with_examples(*bodies: dict[str, JsonValue]) -> ConfigDict:
    """The `model_config` of a request body that is often written by hand: whole bodies, as somebody would send them.

    Beside the fields of RequestBody's own configuration; a subclass inherits them unless it has its own.
    """
    return ConfigDict(json_schema_extra={"examples": list(bodies)})


class ListQuery(BaseModel):
    """Base of every list's query string: unknown parameters are refused, so a misspelt filter is noticed."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=100, description="Items per page.")] = 20
    cursor: Annotated[str | None, Field(max_length=4000, description="`next_cursor` of the page before.")] = None


class FieldProblem(BaseModel):
    """A refused field."""

    field: str
    message: str


class ReasonProblem(BaseModel):
    """One of several rules that refused."""

    code: str
    detail: str


class Problem(BaseModel):
    """RFC 9457 problem document."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    correlation_id: str
    errors: list[FieldProblem] | None = None
    reasons: list[ReasonProblem] | None = None


async def current_caller(request: Request) -> Caller:
    """The authenticated caller of the running request."""
    return caller_from_event(request.scope.get("aws.event") or {})


CurrentCaller = Annotated[Caller, Depends(current_caller)]


async def _if_match(
    if_match: Annotated[str | None, Header(description='Only act on this version: `W/"3"`.', max_length=200)] = None,
) -> frozenset[int] | None:
    if if_match is None or if_match.strip() == "*":
        return None
    versions = set()
    for part in if_match.split(","):
        tag = part.strip().removeprefix("W/")
        digits = tag[1:-1]
        if len(tag) < 3 or tag[0] != '"' or tag[-1] != '"' or not digits.isascii() or not digits.isdigit():
            raise p.MalformedHeader('If-Match must be an entity tag like W/"3".')
        versions.add(int(digits[:18]))
    return frozenset(versions)


IfMatch = Annotated[frozenset[int] | None, Depends(_if_match)]
"""The versions the client accepts; None when it does not care."""


async def _idempotency_key(
    idempotency_key: Annotated[
        str | None, Header(description="1 to 128 visible ASCII characters. The same key and body: the same answer.")
    ] = None,
) -> str | None:
    if idempotency_key is None:
        return None
    if not 1 <= len(idempotency_key) <= 128 or not all("\x21" <= c <= "\x7e" for c in idempotency_key):
        raise p.MalformedHeader("Idempotency-Key must be 1 to 128 visible ASCII characters.")
    return idempotency_key


IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]


def require_version(expected: frozenset[int] | None, actual: int) -> None:
    """Raises StaleVersion (412) when the client named versions and this is none of them."""
    if expected is not None and actual not in expected:
        raise p.StaleVersion("It has been changed since you read it; read it again.")


def set_etag(response: Response, version: int) -> None:
    """Weak: counters inside the answer may move without a new version of the thing itself."""
    response.headers["ETag"] = f'W/"{version}"'


def mark_replayed(response: Response, replayed: bool) -> None:
    """Tells a repeat of an idempotent request apart from its first answer."""
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"


class ServiceApi:
    """One service's HTTP API.

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
        limiter: called per request, not before the first; the process's own unless a test brings another."""
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
        self._problems = dict(problems)
        self._asgi: ASGIApp | None = None
        for error in self._problems:
            self.app.add_exception_handler(error, self._domain_problem)
        self.app.add_exception_handler(p.ProblemError, _plumbing_problem)
        self.app.add_exception_handler(RequestValidationError, _validation_problem)
        self.app.add_exception_handler(HTTPException, _http_exception_problem)
        # Inside of FastAPI's own last resort, which answers plain text before anybody outside gets to see the error.
        self.app.add_middleware(_LastResort)
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
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declares one route. `raises` lists the domain errors it answers; plumbing's are added.

        operation: the operation id, where an endpoint serves several paths; else its own name.
        limit: a stricter limit by address for callers without a token, one of `limits.ROUTE_LIMITS`, beside the
        general one that every route has. Raises ValueError where it would never count.
        text_media_type: a media type, of text, that the answer can have instead of JSON.
        """
        if limit is not None and limit not in limits.ROUTE_LIMITS:
            raise ValueError(f"{method} {path}: there is no limit {limit!r} for routes")
        if limit is not None and not access.public:
            raise ValueError(f"{method} {path}: nobody comes here without a token, so the limit would never count")

        async def guard(request: Request, caller: CurrentCaller) -> None:
            record = current()
            record.route = f"{method} {path}"
            access.check(caller)
            await _require_own(access, caller, request)
            self._check_limits(request, caller, limit)
            route = request.scope.get("route")
            if isinstance(route, APIRoute) and route.body_field is None and method in _WITH_BODY:
                _require_no_body(await request.body())

        def register(endpoint: Callable[..., Any]) -> Callable[..., Any]:
            self.app.add_api_route(
                path,
                endpoint,
                methods=[method],
                status_code=status,
                dependencies=[Depends(guard)],
                responses=self._documented(method, access, raises)
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

    def _check_limits(self, request: Request, caller: Caller, limit: str | None) -> None:
        event = request.scope.get("aws.event") or {}
        standing = self._limiter().count_request(caller, limits.address_key(event), limit)
        if standing is not None:
            request.scope[_ANSWER_HEADERS].update(standing.headers())

    def get(self, path: str, **declared: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return self.route("GET", path, **declared)

    def post(self, path: str, **declared: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return self.route("POST", path, **declared)

    def put(self, path: str, **declared: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return self.route("PUT", path, **declared)

    def patch(self, path: str, **declared: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return self.route("PATCH", path, **declared)

    def delete(self, path: str, **declared: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return self.route("DELETE", path, **declared)

    def publish_openapi(self, path: str) -> None:
        """Serves the service's own OpenAPI document at `path`."""

        @self.get(path, access=Access(public=True))
        async def openapi_document() -> JSONResponse:
            """This document."""
            return JSONResponse(self.openapi())

    # -- the OpenAPI document -----------------------------------------------------------------

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI 3.1 document, with every problem a route can answer."""
        if self.app.openapi_schema is None:
            document = get_openapi(
                title=self.app.title,
                description=self.app.description,
                version=self.app.version,
                openapi_version="3.1.0",
                routes=self.app.routes,
                servers=[dict(_SERVER)],
            )
            components = document.setdefault("components", {})
            schemas = components.setdefault("schemas", {})
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(problem.pop("$defs", {}))
            schemas["Problem"] = problem
            components["headers"] = {
                name: {"description": meaning, "schema": {"type": "integer", "minimum": 0}}
                for name, meaning in _LIMIT_HEADERS.items()
            }
            components["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            }
            self.app.openapi_schema = document
        return self.app.openapi_schema

    def _documented(
        self, method: str, access: Access, raises: Sequence[type[Exception]]
    ) -> dict[int | str, dict[str, Any]]:
        codes: dict[int, list[str]] = {}

        def add(status: int, code: str) -> None:
            listed = codes.setdefault(status, [])
            if code not in listed:
                listed.append(code)

        for error in raises:
            add(self._status_of(error), getattr(error, "code", "error"))
        plumbing: list[type[p.ProblemError]] = [p.MalformedHeader, p.InvalidRequest, p.ServiceUnavailable]
        if method in _WITH_BODY:
            plumbing += [p.MalformedJson, p.TooLarge, p.NotJson]
        if not access.public:
            plumbing += [p.NotAuthenticated, p.NotAllowed]
        for plain in plumbing:
            add(plain.status, plain.code)
        if access.own and access.own.startswith((f"{Place.PATH}:", f"{Place.QUERY}:")):
            add(404, "not_found")
        if access.public and not access.describe().keys() - {"public"}:
            # A public route with an optional token still refuses a bad one.
            add(401, "not_authenticated")
            add(403, "not_allowed")
        add(429, "too_many_requests")
        add(500, "internal_error")
        headers = {name: {"$ref": f"#/components/headers/{name}"} for name in _LIMIT_HEADERS}
        return {
            status: {
                "description": "Problem: " + ", ".join(f"`{c}`" for c in listed),
                "content": {p.PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                **({"headers": headers} if status == p.TooManyRequests.status else {}),
            }
            for status, listed in sorted(codes.items())
        }

    # -- answering problems -------------------------------------------------------------------

    def _status_of(self, error: type[Exception]) -> int:
        for ancestor in error.__mro__:
            if ancestor in self._problems:
                return self._problems[ancestor]
            if issubclass(ancestor, p.ProblemError):
                return ancestor.status
        raise KeyError(f"{error.__name__} has no HTTP status in the problem table of {self.name}")

    async def _domain_problem(self, request: Request, exc: Exception) -> JSONResponse:
        retry_after = getattr(exc, "retry_after", None)
        return _problem_response(
            request,
            status=self._status_of(type(exc)),
            code=getattr(exc, "code", "error"),
            detail=str(exc),
            reasons=[p.Reason(code, detail) for code, detail in getattr(exc, "reasons", ())],
            errors=[p.FieldError(field, message) for field, message in getattr(exc, "errors", ())],
            extra=getattr(exc, "extra", None),
            headers={
                **({"Retry-After": str(retry_after)} if retry_after is not None else {}),
                **({"WWW-Authenticate": "Bearer"} if self._status_of(type(exc)) == 401 else {}),
            },
        )

    # -- the Lambda entry ---------------------------------------------------------------------

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Lambda handler for API Gateway REST proxy events."""
        started = time.perf_counter()
        offered = _header(event, "x-correlation-id")
        caller = caller_from_event(event)
        with invocation(offered, actor=caller.actor) as record:
            if self._asgi is None:
                self._asgi = self._outer_app()
            # A Mangum per call: it is a few assignments, and keeps no state between invocations.
            mangum = Mangum(
                self._asgi,  # type: ignore[arg-type]  # asks for coroutines by name
                lifespan="off",
                text_mime_types=_TEXT,
            )
            try:
                answer: dict[str, Any] = mangum(event, context)
            except ValueError:
                # Raised while taking the event apart: lone surrogates, base64 that is none, a host that is none.
                answer = _unreadable(event)
            if record.error_code:
                count("Refused", code=record.error_code, service=self.name)
            log_invocation(
                f"{event.get('httpMethod')} (unrouted)",
                status=answer.get("statusCode", 0),
                duration_ms=(time.perf_counter() - started) * 1000,
            )
            return answer

    def _outer_app(self) -> ASGIApp:
        origins = [o.strip() for o in os.environ.get("CORS_ALLOW_ORIGIN", "*").split(",")]
        return CORSMiddleware(
            _Edge(self.app),
            allow_origins=origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-Correlation-Id"],
            expose_headers=["ETag", "Idempotency-Replayed", "X-Correlation-Id", "Location", *_LIMIT_HEADERS],
            max_age=600,
        )


class _Edge:
    """Outermost ASGI layer: body limits, trailing slashes, headers of every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if len(path) > 1 and path.endswith("/"):
            scope = {**scope, "path": path.rstrip("/")}
        extra: dict[str, str] = {}
        scope = {**scope, _ANSWER_HEADERS: extra}
        body = await _read_body(receive)
        request = Request(scope)

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send_with_correlation(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Correlation-Id"] = current().correlation_id
                for name, value in extra.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = _refused_body(scope, request, body)
        if refusal is not None:
            await refusal(scope, replay, send_with_correlation)
            return
        await self._app(scope, replay, send_with_correlation)


class _LastResort:
    """No bare 500: whatever went wrong is logged whole and answered as a problem document."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noticing_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noticing_send)
        except Exception as exc:
            logger().exception("unexpected failure", extra={"correlation_id": current().correlation_id})
            if started:
                raise
            await _unexpected(Request(scope), exc)(scope, receive, send)


async def _read_body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _refused_body(scope: Scope, request: Request, body: bytes) -> JSONResponse | None:
    if scope["method"] not in _WITH_BODY or not body:
        return None
    if len(body) > MAX_BODY_BYTES:
        too_large = p.TooLarge(f"A request body may have {MAX_BODY_BYTES // 1024} KiB.")
        return _from_problem_error(request, too_large)
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type != "application/json" and not (
        content_type.startswith("application/") and content_type.endswith("+json")
    ):
        return _from_problem_error(request, p.NotJson("Send the body as application/json."))
    return None


async def _require_own(access: Access, caller: Caller, request: Request) -> None:
    asked = access.owner_named_in(caller)
    if asked is None:
        return
    place, name = asked
    named: Sequence[object]
    match place:
        case Place.PATH:
            named = [request.path_params[name]] if name in request.path_params else []
        case Place.QUERY:
            named = request.query_params.getlist(name)
        case Place.BODY:
            document = _json_object(await request.body())
            named = [document[name]] if name in document else []
    require_own(place, named, caller)


def _json_object(body: bytes) -> Mapping[str, object]:
    """What is no JSON object names nobody; the route's own reading of the body refuses it."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _require_no_body(body: bytes) -> None:
    """A body where none is read would be taken for granted by whoever sent it. An empty object says nothing."""
    if not body.strip():
        return
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise p.MalformedJson("The body is not valid JSON.") from None
    if document != {}:
        raise p.InvalidRequest("This takes no body.", errors=[p.FieldError("body", "is not read here")])


def _unexpected(request: Request, exc: Exception) -> JSONResponse:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded already when it matters

    if isinstance(exc, BotoCoreError | TransactionBusy) or (
        isinstance(exc, ClientError) and exc.response["Error"]["Code"] in _AWS_BUSY
    ):
        count("AwsUnavailable", operation=getattr(exc, "operation_name", type(exc).__name__))
        return _from_problem_error(request, p.ServiceUnavailable("The library's storage is busy. Try again shortly."))
    return _problem_response(
        request, status=500, code="internal_error", detail="Something went wrong on our side; it has been logged."
    )


_AWS_BUSY = frozenset(
    {
        "InternalServerError",
        "InternalFailure",
        "ServiceUnavailable",
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


def _problem_response(
    request: Request,
    *,
    status: int,
    code: str,
    detail: str,
    errors: Sequence[p.FieldError] = (),
    reasons: Sequence[p.Reason] = (),
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    current().error_code = code
    document = p.problem_document(
        status=status,
        code=code,
        detail=detail,
        instance=_printable(request.scope["path"]),
        errors=errors,
        reasons=reasons,
        extra=extra,
    )
    return JSONResponse(document, status_code=status, headers=dict(headers or {}), media_type=p.PROBLEM_JSON)


def _from_problem_error(request: Request, exc: p.ProblemError) -> JSONResponse:
    return _problem_response(
        request, status=exc.status, code=exc.code, detail=str(exc), errors=exc.errors, headers=exc.headers
    )


async def _plumbing_problem(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, p.ProblemError)  # noqa: S101 - registered for this type only
    return _from_problem_error(request, exc)


MOST_FIELD_ERRORS = 50
"""Refused fields that one answer names. Each costs the client some bytes to send and us many to describe, and Lambda
answers six megabytes at most."""


async def _validation_problem(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - registered for this type only
    found = exc.errors()
    if any(error["type"] == "json_invalid" for error in found):
        return _from_problem_error(request, p.MalformedJson("The body is not valid JSON."))
    errors = [_field_error(error, exc.body) for error in found[:MOST_FIELD_ERRORS]]
    if (more := len(found) - len(errors)) > 0:
        errors.append(p.FieldError(field="body", message=f"has {more} more of these"))
    return _from_problem_error(request, p.InvalidRequest("Some fields are not acceptable.", errors=errors))


def _field_error(error: Mapping[str, Any], body: object) -> p.FieldError:
    # Pydantic's first part says where (body, query, path, header); the field is what follows.
    where, *parts = error["loc"]
    if where == "body":
        parts = _as_sent(parts, body, missing=error["type"] == "missing")
    # Keys of the client's own making may hold anything; keep them printable and short.
    field = _printable(".".join(map(str, parts)))[:200]
    return p.FieldError(field=field or "body", message=_printable(field_message(error)))


def _as_sent(parts: Sequence[str | int], body: object, *, missing: bool) -> list[str | int]:
    """The way to a field through what was sent: without the names that pydantic gives the choices of a union."""
    way: list[str | int] = []
    for place, part in enumerate(parts):
        try:
            body = body[part]  # type: ignore[index]  # what cannot be indexed says so
        except (LookupError, TypeError):
            if not (missing and place == len(parts) - 1):
                continue
        way.append(part)
    return way


def _printable(text: str) -> str:
    """Without lone surrogates, which no answer can carry."""
    return text.encode("utf-8", "replace").decode()


def _unreadable(event: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a request that cannot be handed to the application at all."""
    current().error_code = p.InvalidRequest.code
    document = p.problem_document(
        status=p.InvalidRequest.status,
        code=p.InvalidRequest.code,
        detail="The request could not be read.",
        instance=_printable(str(event.get("path", ""))),
    )
    headers = {"content-type": p.PROBLEM_JSON, "x-correlation-id": current().correlation_id}
    return {
        "statusCode": p.InvalidRequest.status,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "body": json.dumps(document),
        "isBase64Encoded": False,
    }


async def _http_exception_problem(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)  # noqa: S101 - registered for this type only
    if exc.status_code == 404:
        return _from_problem_error(request, p.NoSuchRoute("There is nothing at this path."))
    if exc.status_code == 405:
        routes = [route for route in request.app.routes if isinstance(route, APIRoute)]
        taken = {m for route in routes if route.path_regex.match(request.scope["path"]) for m in route.methods or ()}
        allow = {"Allow": ", ".join(sorted(taken))}
        return _from_problem_error(request, p.MethodNotAllowed("This path does not take that method.", headers=allow))
    # What FastAPI raises itself while reading a body: bad UTF-8, nesting too deep, numbers too long.
    return _from_problem_error(request, p.MalformedJson("The body could not be read as JSON."))


def _header(event: Mapping[str, Any], name: str) -> str | None:
    for key, value in (event.get("headers") or {}).items():
        if key.lower() == name and isinstance(value, str):
            return value
    return None
