"""Headers that several services share: the caller, conditional requests, idempotency keys and rate limits."""

from typing import Annotated

from fastapi import Depends, Header, Request, Response

from library_common.access import Caller, caller_from_event
from library_common.problems import MalformedHeader, StaleVersion

RATE_LIMIT_HEADERS = {
    "Retry-After": "Whole seconds until trying again makes sense.",
    "RateLimit-Limit": "Requests the tightest limit allows in its window.",
    "RateLimit-Remaining": "How many of them are left: an estimate.",
    "RateLimit-Reset": "Seconds until all of them are there again; after a refusal, until there are some.",
}
"""Names and descriptions for the OpenAPI document."""


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
            raise MalformedHeader('If-Match must be an entity tag like W/"3".')
        versions.add(int(digits[:18]))
    return frozenset(versions)


IfMatch = Annotated[frozenset[int] | None, Depends(_if_match)]
"""The versions that the client accepts. None when it accepts any."""


async def _idempotency_key(
    idempotency_key: Annotated[
        str | None, Header(description="1 to 128 visible ASCII characters. The same key and body: the same answer.")
    ] = None,
) -> str | None:
    if idempotency_key is None:
        return None
    if not 1 <= len(idempotency_key) <= 128 or not all("\x21" <= c <= "\x7e" for c in idempotency_key):
        raise MalformedHeader("Idempotency-Key must be 1 to 128 visible ASCII characters.")
    return idempotency_key


IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]


def require_version(expected: frozenset[int] | None, actual: int) -> None:
    """Raises StaleVersion (412) when the client named versions and `actual` is not among them."""
    if expected is not None and actual not in expected:
        raise StaleVersion("It has been changed since you read it; read it again.")


def set_etag(response: Response, version: int) -> None:
    """Sets a weak ETag: counters in the body may change without a new version."""
    response.headers["ETag"] = f'W/"{version}"'


def mark_replayed(response: Response, replayed: bool) -> None:
    """Marks the answer to a repeated idempotent request, so that it differs from the first answer."""
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
