"""What surrounds the application: limits on bodies, CORS, headers of every answer, the last resort for errors."""

import json
import os
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from library_common import problems as p
from library_common.context import current
from library_common.http.errors import printable, problem_answer, unexpected_answer
from library_common.http.headers import RATE_LIMIT_HEADERS
from library_common.telemetry import logger

MAX_BODY_BYTES = 256 * 1024
"""No request of the API needs more; bulk imports use presigned uploads."""

METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
RESPONSE_HEADERS = "library.response_headers"
"""Key in the ASGI scope: headers for the answer, whether an endpoint gives it or a problem does."""


class Edge:
    """Outermost ASGI layer: body limits, trailing slashes, headers of every answer.

    Pages of the origin in `CORS_ALLOW_ORIGIN` may read every answer. The API's gateway answers preflight requests.
    Nothing between the API and its caller may keep an answer, since most depend on who asks; an endpoint whose answer
    is the same for everybody says for how long it may be kept.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        origin = os.environ.get("CORS_ALLOW_ORIGIN", "*")
        exposed = ["ETag", "Idempotency-Replayed", "X-Correlation-Id", "Location", *RATE_LIMIT_HEADERS]
        self._always = {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": ", ".join(exposed),
            "Cache-Control": "no-store",
        }
        if origin != "*":
            self._always["Vary"] = "Origin"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if len(path) > 1 and path.endswith("/"):
            scope = {**scope, "path": path.rstrip("/")}
        extra: dict[str, str] = {}
        scope = {**scope, RESPONSE_HEADERS: extra}
        body = await _read_body(receive)

        async def receive_again() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Correlation-Id"] = current().correlation_id
                for name, value in {**self._always, **extra}.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = _refuse_body(Request(scope), body) or self._app
        await answer(scope, receive_again, send_with_headers)


class LastResort:
    """Logs an error that nothing else handled and answers it with a problem document."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except Exception as exc:
            logger().exception("unexpected failure", extra={"correlation_id": current().correlation_id})
            if started:
                raise
            await unexpected_answer(Request(scope), exc)(scope, receive, send)


async def _read_body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _refuse_body(request: Request, body: bytes) -> JSONResponse | None:
    """The refusal of a body that is too large or not JSON; None for a body that may pass."""
    if request.method not in METHODS_WITH_BODY or not body:
        return None
    if len(body) > MAX_BODY_BYTES:
        return problem_answer(request, p.TooLarge(f"A request body must not exceed {MAX_BODY_BYTES // 1024} KiB."))
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type != "application/json" and not (
        content_type.startswith("application/") and content_type.endswith("+json")
    ):
        return problem_answer(request, p.NotJson("Send the body as application/json."))
    return None


def unreadable_request(event: Mapping[str, Any]) -> dict[str, Any]:
    """The Lambda answer to an event that cannot be turned into a request for the application."""
    current().error_code = p.InvalidRequest.code
    document = p.problem_document(
        status=p.InvalidRequest.status,
        code=p.InvalidRequest.code,
        detail="The request could not be read.",
        instance=printable(str(event.get("path", ""))),
    )
    headers = {
        "content-type": p.PROBLEM_JSON,
        "x-correlation-id": current().correlation_id,
        "cache-control": "no-store",
    }
    return {
        "statusCode": p.InvalidRequest.status,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "body": json.dumps(document),
        "isBase64Encoded": False,
    }
