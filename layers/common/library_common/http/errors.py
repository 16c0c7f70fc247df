"""Errors as problem documents: domain errors, refused requests and unexpected failures."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from library_common import problems as p
from library_common.context import current
from library_common.dynamodb import TransactionBusy
from library_common.field_messages import field_message
from library_common.telemetry import count

MAX_FIELD_ERRORS = 50
"""Refused fields named in one answer. A small body can hold many of them, and Lambda answers 6 MB at most."""

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


class ProblemTable:
    """From a service's domain errors to HTTP statuses, and the exception handlers that answer with them."""

    def __init__(self, service: str, statuses: Mapping[type[Exception], int]) -> None:
        self._service = service
        self._statuses = dict(statuses)

    def add_handlers(self, app: FastAPI) -> None:
        """Makes `app` answer every expected error with a problem document."""
        for error in self._statuses:
            app.add_exception_handler(error, self._domain_problem)
        app.add_exception_handler(p.ProblemError, _request_problem)
        app.add_exception_handler(RequestValidationError, _validation_problem)
        app.add_exception_handler(HTTPException, _http_exception_problem)

    def status_of(self, error: type[Exception]) -> int:
        """The status of an error type or its nearest ancestor in the table. Raises KeyError when there is none."""
        for ancestor in error.__mro__:
            if ancestor in self._statuses:
                return self._statuses[ancestor]
            if issubclass(ancestor, p.ProblemError):
                return ancestor.status
        raise KeyError(f"{error.__name__} has no HTTP status in the problem table of {self._service}")

    async def _domain_problem(self, request: Request, exc: Exception) -> JSONResponse:
        status = self.status_of(type(exc))
        retry_after = getattr(exc, "retry_after", None)
        return _problem_response(
            request,
            status=status,
            code=getattr(exc, "code", "error"),
            detail=str(exc),
            reasons=getattr(exc, "reasons", ()),
            errors=[p.FieldError(field, message) for field, message in getattr(exc, "errors", ())],
            extra=getattr(exc, "extra", None),
            headers={
                **({"Retry-After": str(retry_after)} if retry_after is not None else {}),
                **({"WWW-Authenticate": "Bearer"} if status == 401 else {}),
            },
        )


def problem_answer(request: Request, exc: p.ProblemError) -> JSONResponse:
    """The answer to an error that knows its own status."""
    return _problem_response(
        request, status=exc.status, code=exc.code, detail=str(exc), errors=exc.errors, headers=exc.headers
    )


def unexpected_answer(request: Request, exc: Exception) -> JSONResponse:
    """503 when AWS is busy or unreachable, 500 for everything else."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded already when it matters

    if isinstance(exc, BotoCoreError | TransactionBusy) or (
        isinstance(exc, ClientError) and exc.response["Error"]["Code"] in _AWS_BUSY
    ):
        count("AwsUnavailable", operation=getattr(exc, "operation_name", type(exc).__name__))
        return problem_answer(request, p.ServiceUnavailable("The library's storage is busy. Try again shortly."))
    return _problem_response(
        request, status=500, code="internal_error", detail="Something went wrong on our side; it has been logged."
    )


def printable(text: str) -> str:
    """Replaces lone surrogates, which cannot be encoded in an answer."""
    return text.encode("utf-8", "replace").decode()


def _problem_response(
    request: Request,
    *,
    status: int,
    code: str,
    detail: str,
    errors: Sequence[p.FieldError] = (),
    reasons: Sequence[tuple[str, str]] = (),
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    current().error_code = code
    document = p.problem_document(
        status=status,
        code=code,
        detail=detail,
        instance=printable(request.scope["path"]),
        errors=errors,
        reasons=reasons,
        extra=extra,
    )
    return JSONResponse(document, status_code=status, headers=dict(headers or {}), media_type=p.PROBLEM_JSON)


async def _request_problem(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, p.ProblemError)  # noqa: S101 - registered for this type only
    return problem_answer(request, exc)


async def _validation_problem(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - registered for this type only
    found = exc.errors()
    if any(error["type"] == "json_invalid" for error in found):
        return problem_answer(request, p.MalformedJson("The body is not valid JSON."))
    errors = [_field_error(error, exc.body) for error in found[:MAX_FIELD_ERRORS]]
    if (more := len(found) - len(errors)) > 0:
        errors.append(p.FieldError(field="body", message=f"has {more} more invalid fields"))
    return problem_answer(request, p.InvalidRequest("Some fields are invalid.", errors=errors))


def _field_error(error: Mapping[str, Any], body: object) -> p.FieldError:
    # Pydantic's first part says where (body, query, path, header); the path of the field follows.
    where, *parts = error["loc"]
    if where == "body":
        parts = _path_as_sent(parts, body, missing=error["type"] == "missing")
    # The client chooses the keys of a map: keep them printable and short.
    field = printable(".".join(map(str, parts)))[:200]
    return p.FieldError(field=field or "body", message=printable(field_message(error)))


def _path_as_sent(parts: Sequence[str | int], body: object, *, missing: bool) -> list[str | int]:
    """The path of a field in the body that was sent, without the names that pydantic adds for members of a union."""
    path: list[str | int] = []
    for place, part in enumerate(parts):
        try:
            body = body[part]  # type: ignore[index]  # raises TypeError where it cannot be indexed
        except (LookupError, TypeError):
            if not (missing and place == len(parts) - 1):
                continue
        path.append(part)
    return path


async def _http_exception_problem(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)  # noqa: S101 - registered for this type only
    if exc.status_code == 404:
        return problem_answer(request, p.NoSuchRoute("There is nothing at this path."))
    if exc.status_code == 405:
        routes = [route for route in request.app.routes if isinstance(route, APIRoute)]
        allowed = {m for route in routes if route.path_regex.match(request.scope["path"]) for m in route.methods or ()}
        allow = {"Allow": ", ".join(sorted(allowed))}
        return problem_answer(request, p.MethodNotAllowed("This path does not support this method.", headers=allow))
    # FastAPI raises it while reading a body: invalid UTF-8, nesting too deep, numbers too long.
    return problem_answer(request, p.MalformedJson("The body could not be read as JSON."))
