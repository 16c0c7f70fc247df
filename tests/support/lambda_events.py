"""API Gateway REST proxy events, and calling a handler the way API Gateway does."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

ANONYMOUS: dict[str, str] = {"kind": "anonymous"}


def person(user_id: str, role: str = "patron") -> dict[str, str]:
    """The authorizer's result for a person."""
    return {"kind": "person", "subject": user_id, "role": role, "token_id": "T"}


def service(name: str, scope: str) -> dict[str, str]:
    """The authorizer's result for a service."""
    return {"kind": "service", "subject": name, "scope": scope, "token_id": "T"}


def api_event(
    method: str,
    url: str,
    *,
    body: object = None,
    caller: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    raw_body: str | None = None,
) -> dict[str, Any]:
    """A REST API proxy event; `url` is path and query, percent-encoded. `raw_body` is sent unchanged."""
    parts = urlsplit(url)
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        query.setdefault(name, []).append(value)
    payload = raw_body if raw_body is not None else (json.dumps(body) if body is not None else None)
    sent = {
        "Host": "api.test",
        **({"Content-Type": "application/json"} if payload is not None else {}),
        **(headers or {}),
    }
    return {
        "resource": "/{proxy+}",
        "path": unquote(parts.path),
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "authorizer": dict(caller) if caller is not None else None,
            "identity": {"sourceIp": "127.0.0.1"},
            "httpMethod": method,
            "path": parts.path,
            "stage": "v1",
        },
        "body": payload,
        "isBase64Encoded": False,
    }


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. `json` is the parsed body (None when it is empty or not JSON)."""

    status: int
    headers: dict[str, str]
    json: Any


def call(handler: Callable[[dict[str, Any], Any], dict[str, Any]], event: dict[str, Any]) -> Answer:
    """Invokes a handler and reads its proxy response."""
    response = handler(event, None)
    headers = {name.lower(): value for name, value in (response.get("headers") or {}).items()}
    for name, values in (response.get("multiValueHeaders") or {}).items():
        headers.setdefault(name.lower(), values[-1])
    body = response.get("body") or ""
    is_json = body and "json" in headers.get("content-type", "json")
    return Answer(status=response["statusCode"], headers=headers, json=json.loads(body) if is_json else None)
