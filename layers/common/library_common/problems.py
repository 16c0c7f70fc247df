"""RFC 9457 problem documents, and the errors of the shared HTTP code.

Domain errors are exceptions of their service with a stable `code`; each service gives `http.ServiceApi`
a table from error type to HTTP status.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from library_common.context import current

PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True)
class FieldError:
    """One refused field: its dotted path, such as `preferences.language`, and why."""

    field: str
    message: str


class ProblemError(Exception):
    """An error that knows its HTTP status. Raised by shared code and routes, never by a domain."""

    status: int = 500
    code: str = "internal_error"

    def __init__(
        self, detail: str, *, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class MalformedJson(ProblemError):
    status, code = 400, "malformed_json"


class MalformedHeader(ProblemError):
    status, code = 400, "malformed_header"


class NotAuthenticated(ProblemError):
    status, code = 401, "not_authenticated"


class NotAllowed(ProblemError):
    status, code = 403, "not_allowed"


class NoSuchRoute(ProblemError):
    status, code = 404, "no_such_route"


class MethodNotAllowed(ProblemError):
    status, code = 405, "method_not_allowed"


class StaleVersion(ProblemError):
    status, code = 412, "stale_version"


class TooLarge(ProblemError):
    status, code = 413, "too_large"


class NotJson(ProblemError):
    status, code = 415, "not_json"


class InvalidRequest(ProblemError):
    status, code = 422, "invalid_request"


class IdempotencyKeyReused(ProblemError):
    status, code = 422, "idempotency_key_reused"


class TooManyRequests(ProblemError):
    """A rate limit is used up. The `Retry-After` header says in how many seconds to try again."""

    status, code = 429, "too_many_requests"

    def __init__(self, detail: str, *, retry_after: int, headers: Mapping[str, str] | None = None) -> None:
        """retry_after: whole seconds, at least 1."""
        super().__init__(detail, headers={"Retry-After": str(retry_after), **(headers or {})})
        self.retry_after = retry_after


class ServiceUnavailable(ProblemError):
    """A required service or table cannot be reached. Anything left half-done is recovered automatically."""

    status, code = 503, "service_unavailable"

    def __init__(self, detail: str, *, retry_after: int = 5) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


def problem_document(
    *,
    status: int,
    code: str,
    detail: str,
    instance: str,
    errors: Iterable[FieldError] = (),
    reasons: Iterable[tuple[str, str]] = (),
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The body of a problem answer. Its `type` links to docs/problems.md."""
    document: dict[str, Any] = {
        **(extra or {}),  # first, so that it cannot replace a standard member
        "type": f"/docs/problems#{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail or HTTPStatus(status).phrase,
        "instance": instance,
        "code": code,
        "correlation_id": current().correlation_id,
    }
    if listed := [{"field": e.field, "message": e.message} for e in errors]:
        document["errors"] = listed
    if given := [{"code": reason, "detail": text} for reason, text in reasons]:
        document["reasons"] = given
    return document
