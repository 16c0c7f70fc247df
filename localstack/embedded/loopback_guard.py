"""Keeps web pages away from the servers of a developer's machine.

A page can make the visitor's browser send requests to 127.0.0.1, and a page whose name is pointed at 127.0.0.1 (DNS
rebinding) can read the answers. Browsers say where a request comes from: `Origin`, `Sec-Fetch-Site` and the name in
`Host`. Programs such as curl, the AWS CLI and the functions send a loopback address as `Host` and none of the others.
"""

import json
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?")
_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})

type _Message = Mapping[str, Any]
type _Receive = Callable[[], Awaitable[_Message]]
type _Send = Callable[[_Message], Awaitable[None]]
type Asgi = Callable[[Mapping[str, Any], _Receive, _Send], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Guard:
    """Which requests a server may answer.

    port: where it listens. name: its host name or address, when that is not a loopback one.
    other_pages: whether pages of other ports of this machine may call it, such as a developer's own web server.
    """

    port: int
    name: str | None = None
    other_pages: bool = False

    def refusal(self, headers: Iterable[tuple[str, str]]) -> str | None:
        """Why a request with these headers gets no answer; None if it may pass."""
        found: dict[str, list[str]] = {}
        for name, value in headers:
            found.setdefault(name.lower(), []).append(value.strip().lower())
        hosts = found.get("host", [])
        if len(hosts) != 1 or not self._is_here(hosts[0], default_port=80):
            return f"Host must be a loopback address with the port {self.port}, such as {self._example()}."
        if not all(self._may_call(origin) for origin in found.get("origin", ())):
            return "Requests from pages of another origin are refused."
        sites = {"same-origin", "none", *(["same-site"] if self.other_pages else [])}
        if not sites.issuperset(found.get("sec-fetch-site", ())):
            return "Requests from pages of another site are refused."
        # To an address that is not a loopback one browsers do not say from which site they come.
        agents = found.get("user-agent", ())
        if "sec-fetch-site" not in found and any(agent.startswith("mozilla/") for agent in agents):
            return "Requests of a browser that does not send Sec-Fetch-Site are refused."
        return None

    def _is_here(self, address: str, *, default_port: int, any_port: bool = False) -> bool:
        parts = _HOST.fullmatch(address)
        if parts is None:
            return False
        name, port = parts[1], int(parts[2] or default_port)
        if not any_port and port != self.port:
            return False
        # Names below localhost never leave the machine (RFC 6761, 6.3). S3 clients put a bucket's name there.
        return name == self.name if self.name else name in _LOOPBACK_NAMES or name.endswith(".localhost")

    def _may_call(self, origin: str) -> bool:
        scheme, separator, address = origin.partition("://")
        ports = {"http": 80, "https": 443}
        if not separator or scheme not in ports:
            return False  # also `null`: a sandboxed frame, a file
        return self._is_here(address, default_port=ports[scheme], any_port=self.other_pages)

    def _example(self) -> str:
        return f"{self.name or 'localhost'}:{self.port}"


def _problem(reason: str) -> bytes:
    return json.dumps(
        {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": reason, "code": "foreign_page"}
    ).encode()


_CONTENT_TYPE = "application/problem+json"


def guarded(app: Asgi, guard: Callable[[Mapping[str, Any]], Guard]) -> Asgi:
    """The ASGI application, for requests that may pass. Others get 403; a WebSocket is closed.

    ``guard``: the one for a request, by its ASGI scope.
    """

    async def serve(scope: Mapping[str, Any], receive: _Receive, send: _Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await app(scope, receive, send)
            return
        headers = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        reason = guard(scope).refusal(headers)
        if reason is None:
            await app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            answer = [(b"content-type", _CONTENT_TYPE.encode()), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 403, "headers": answer})
            await send({"type": "http.response.body", "body": _problem(reason)})

    return serve


def guarding(*, name: str | None = None, other_pages: bool = False) -> Middleware:
    """The same for an aiohttp application, on whatever port it listens. The parameters are those of `Guard`."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        reason = Guard(_port_of(request), name, other_pages).refusal(request.headers.items())
        if reason is None:
            return await handler(request)
        return web.Response(status=403, body=_problem(reason), content_type=_CONTENT_TYPE)

    return check


def _port_of(request: web.Request) -> int:
    """The port at which a request arrived."""
    assert request.transport is not None  # noqa: S101 - the connection is open as long as the request is answered
    port: int = request.transport.get_extra_info("sockname")[1]
    return port
