"""A proxy that gives an address to a server and changes nothing: the API's stage, or the emulator for containers.

An emulator serves a stage under a long path; this proxy serves it at http://127.0.0.1:8080/. Method, path and query
reach the stage byte for byte, so an encoded slash stays encoded. Pages of other sites are refused.

Containers cannot reach the loopback interface. If the emulator listened on all interfaces, anybody in the network could
run code in it. So the same proxy, on the container engine's network, lets in only containers (`serving`).

Run as ``python -m localstack.embedded.proxy PORT UPSTREAM``.
"""

import argparse
import asyncio
import json
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from localstack.embedded.loopback_guard import guarding
from localstack.embedded.ports import LOOPBACK

# Each concurrent request is a worker process in the emulator, a checkout three. More of them than the cores can start
# within a request's deadline would time out, so the others wait here.
CONCURRENT_REQUESTS = 2 * (os.cpu_count() or 2)
# API Gateway takes bodies up to 10 MB and refuses larger ones itself; the proxy must let them through.
_LARGEST_BODY_BYTES = 64 * 1024 * 1024
_LONGEST_LINE_BYTES = 256 * 1024
# More than API Gateway's own limit (29 s), so that its answer comes first.
_UPSTREAM_SECONDS = 60

# RFC 9110, 7.6.1: these headers are about one connection, not about the message.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

_UPSTREAM: web.AppKey[str] = web.AppKey("upstream", str)
_SESSION: web.AppKey[ClientSession] = web.AppKey("session", ClientSession)


def make_app(upstream: str, *, name: str | None = None) -> web.Application:
    """The proxy as an aiohttp application. ``upstream``: an address without a slash at the end. ``name``: what its
    callers call it; None for the API on a loopback address, which pages of this machine's other ports may call.
    """
    guard = guarding(name=name, other_pages=name is None)
    app = web.Application(client_max_size=_LARGEST_BODY_BYTES, middlewares=[guard])
    app[_UPSTREAM] = upstream

    async def hold_session(app: web.Application) -> None:
        app[_SESSION] = ClientSession(
            connector=TCPConnector(limit=CONCURRENT_REQUESTS),
            # The wait for a free connection has no limit of its own (`connect` would include it); connecting has.
            timeout=ClientTimeout(total=_UPSTREAM_SECONDS, sock_connect=5),
            # Compressed bodies stay compressed.
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )

    async def close_session(app: web.Application) -> None:
        await app[_SESSION].close()

    async def unsigned(_request: web.Request, response: web.StreamResponse) -> None:
        # aiohttp adds itself to every answer.
        response.headers.popall("Server", None)

    app.on_response_prepare.append(unsigned)
    app.on_startup.append(hold_session)
    app.on_cleanup.append(close_session)
    app.router.add_route("*", r"/{path:[\s\S]*}", _pass_on)
    return app


async def _pass_on(request: web.Request) -> web.StreamResponse:
    target = URL(request.app[_UPSTREAM] + _origin_form(request.raw_path), encoded=True)
    body = await request.read()
    try:
        async with request.app[_SESSION].request(
            request.method,
            target,
            headers=_request_headers(request),
            data=body or None,
            allow_redirects=False,
        ) as answer:
            content = await answer.read()
            headers = _without_hop_by_hop(answer.headers)
            # The answer to HEAD has the length of a body that is not sent.
            if request.method != "HEAD":
                headers.popall("Content-Length", None)
            return web.Response(status=answer.status, reason=answer.reason, headers=headers, body=content)
    except (ClientError, TimeoutError):
        return _unavailable(request)


def _origin_form(raw_target: str) -> str:
    """The path and query of a request target. A client that uses this as its HTTP proxy sends a whole URL."""
    if raw_target.startswith("/"):
        return raw_target
    _, _, rest = raw_target.partition("://")
    _, slash, path = rest.partition("/")
    return slash + path if slash else "/"


def _request_headers(request: web.Request) -> CIMultiDict[str]:
    headers = _without_hop_by_hop(request.headers)
    for name in ("Host", "Content-Length", "X-Forwarded-For"):
        headers.popall(name, None)
    # The API must see the real caller, so the client's own X-Forwarded headers are dropped.
    headers["X-Forwarded-For"] = request.remote or LOOPBACK
    headers["X-Forwarded-Proto"] = "http"
    if request.host:
        headers["X-Forwarded-Host"] = request.host
    return headers


def _without_hop_by_hop(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    named = {token.strip().lower() for value in headers.getall("Connection", ()) for token in value.split(",")}
    dropped = _HOP_BY_HOP | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


def _unavailable(request: web.Request) -> web.Response:
    correlation_id = request.headers.get("X-Correlation-Id") or secrets.token_hex(16)
    problem = {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "The library's services do not answer at the moment.",
        "instance": request.rel_url.raw_path,
        "code": "service_unavailable",
        "correlation_id": correlation_id,
    }
    return web.Response(
        status=503,
        headers={"Retry-After": "5", "X-Correlation-Id": correlation_id},
        content_type="application/problem+json",
        text=json.dumps(problem),
    )


@contextmanager
def serving(upstream: str, *, host: str, name: str) -> Iterator[int]:
    """Listens on ``host`` for the length of the block, in a thread of its own. Yields the port.

    ``name``: what its callers call ``host``. Raises ``OSError`` when this machine cannot listen on ``host``.
    """
    loop = asyncio.new_event_loop()
    runner = _runner(make_app(upstream, name=name))
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(_open(runner, host, 0), loop).result(timeout=30)
        yield runner.addresses[0][1]
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(timeout=30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("upstream")
    arguments = parser.parse_args()
    asyncio.run(_serve(make_app(arguments.upstream), arguments.port))


async def _serve(app: web.Application, port: int) -> None:
    runner = _runner(app)
    try:
        await _open(runner, LOOPBACK, port)
        asked_to_end = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, asked_to_end.set)
        await asked_to_end.wait()
    finally:
        await runner.cleanup()


def _runner(app: web.Application) -> web.AppRunner:
    return web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=5,
        # The API itself refuses what is too long.
        max_line_size=_LONGEST_LINE_BYTES,
        max_field_size=_LONGEST_LINE_BYTES,
    )


async def _open(runner: web.AppRunner, host: str, port: int) -> None:
    await runner.setup()
    await web.TCPSite(runner, host, port).start()


if __name__ == "__main__":
    main()
