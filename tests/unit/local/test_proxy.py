"""The proxy in front of the stage: what arrives is what was sent."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from localstack.embedded.ports import is_free, pick_free
from localstack.embedded.proxy import CONCURRENT_REQUESTS, make_app, serving

pytestmark = [pytest.mark.unit, pytest.mark.enable_socket]

STAGE = "/_aws/execute-api/abc/v1"
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Upstream:
    """Reads one request per connection, byte for byte, and gives a prepared answer."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
        )
        self.requests.append(head + await reader.readexactly(length))
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def _proxy(upstream_port: int) -> AsyncIterator[int]:
    runner = web.AppRunner(make_app(f"http://127.0.0.1:{upstream_port}{STAGE}"))
    await runner.setup()
    port = pick_free()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield port
    finally:
        await runner.cleanup()


async def _talk(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.replace(b"Host: here", b"Host: localhost:%d" % port))
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


def exchange(request: bytes, answer: bytes = ANSWER) -> tuple[bytes, bytes]:
    """Sends raw bytes through the proxy; returns what reached the upstream and what came back."""

    async def go() -> tuple[bytes, bytes]:
        upstream = Upstream(answer)
        server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
        async with server, _proxy(server.sockets[0].getsockname()[1]) as port:
            back = await _talk(port, request)
        return b"".join(upstream.requests), back

    return asyncio.run(go())


def _headers(message: bytes) -> list[tuple[str, str]]:
    head = message.split(b"\r\n\r\n")[0].decode()
    pairs = (line.split(": ", 1) for line in head.split("\r\n")[1:])
    return [(name.lower(), value) for name, value in pairs]


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/api/books/a%2Fb%20c",
        "/api/books/%E2%82%AC/../x//y",
        "/api/books?search=%2B+a%26b&search=2&empty=",
        "/api/users/caf%c3%a9@library.example.org;v=1",
        "/%zz?%zz",
    ],
)
def test_path_and_query_arrive_byte_for_byte(target: str) -> None:
    arrived, _ = exchange(f"GET {target} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode())

    assert arrived.split(b" ")[1].decode() == STAGE + target


def test_a_target_that_names_a_whole_address_reaches_the_same_path() -> None:
    arrived, _ = exchange(b"GET http://here:80/api/a%2Fb?c HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")

    assert arrived.split(b" ")[1].decode() == STAGE + "/api/a%2Fb?c"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_passes(method: str) -> None:
    arrived, back = exchange(f"{method} /api/loans HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode())

    assert arrived.startswith(f"{method} {STAGE}/api/loans ".encode())
    assert back.startswith(b"HTTP/1.1 201 Created")


def test_body_and_headers_arrive_unchanged() -> None:
    arrived, _ = exchange(
        b"POST /api/loans HTTP/1.1\r\nHost: here\r\nContent-Type: application/json; charset=utf-8\r\n"
        b"Authorization: Bearer x.y.z\r\nX-Twice: 1\r\nX-Twice: 2\r\n"
        b"Content-Length: 12\r\nConnection: close\r\n\r\n" + '{"a": "€"}'.encode()
    )

    assert arrived.endswith('\r\n\r\n{"a": "€"}'.encode())
    headers = _headers(arrived)
    assert [value for name, value in headers if name == "x-twice"] == ["1", "2"]
    assert ("content-type", "application/json; charset=utf-8") in headers
    assert ("authorization", "Bearer x.y.z") in headers
    # What the client did not send is not made up.
    assert not {"accept", "user-agent", "accept-encoding"} & {name for name, _ in headers}


def test_headers_about_the_connection_stay_on_it() -> None:
    arrived, _ = exchange(
        b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close, X-Private\r\nX-Private: 1\r\nTE: trailers\r\n"
        b"Proxy-Authorization: Basic x\r\nKeep-Alive: 5\r\n\r\n"
    )

    assert not {"x-private", "te", "proxy-authorization", "keep-alive"} & {name for name, _ in _headers(arrived)}


def test_the_api_sees_who_called_and_not_what_the_caller_claims() -> None:
    arrived, _ = exchange(b"GET / HTTP/1.1\r\nHost: here\r\nX-Forwarded-For: 9.9.9.9\r\nConnection: close\r\n\r\n")

    headers = _headers(arrived)
    assert [value for name, value in headers if name == "x-forwarded-for"] == ["127.0.0.1"]
    (named,) = [value for name, value in headers if name == "x-forwarded-host"]
    assert named.startswith("localhost:")


def test_the_answer_comes_back_unchanged() -> None:
    answer = (
        b"HTTP/1.1 409 Conflict\r\nContent-Type: application/problem+json\r\nContent-Encoding: br\r\n"
        b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nRetry-After: 3\r\nContent-Length: 4\r\nKeep-Alive: 9\r\n\r\n"
        b"\x0b\x01\x80\x03"
    )

    _, back = exchange(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n", answer)

    assert back.startswith(b"HTTP/1.1 409 Conflict\r\n")
    assert back.endswith(b"\r\n\r\n\x0b\x01\x80\x03")
    headers = _headers(back)
    assert [value for name, value in headers if name == "set-cookie"] == ["a=1", "b=2"]
    assert ("content-encoding", "br") in headers
    assert ("retry-after", "3") in headers
    assert ("content-type", "application/problem+json") in headers
    assert not {"keep-alive", "server"} & {name for name, _ in headers}


def test_a_redirect_is_for_the_client_to_follow() -> None:
    answer = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"

    _, back = exchange(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n", answer)

    assert back.startswith(b"HTTP/1.1 307 ")
    assert ("location", "/elsewhere") in _headers(back)


def test_an_answer_without_content_stays_one() -> None:
    _, back = exchange(
        b"OPTIONS / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nAllow: GET\r\n\r\n",
    )

    assert back.startswith(b"HTTP/1.1 204 ")
    assert back.endswith(b"\r\n\r\n")
    assert ("allow", "GET") in _headers(back)


def _assert_unavailable(back: bytes, instance: str, correlation_id: str | None = None) -> None:
    head, _, body = back.partition(b"\r\n\r\n")
    headers = dict(_headers(back))
    problem = json.loads(body)
    assert head.startswith(b"HTTP/1.1 503 ")
    assert headers["content-type"].startswith("application/problem+json")
    assert int(headers["retry-after"]) > 0
    assert problem["status"] == 503
    assert problem["code"] == "service_unavailable"
    assert problem["instance"] == instance
    assert {"type", "title", "detail"} <= problem.keys()
    assert problem["correlation_id"] == headers["x-correlation-id"]
    if correlation_id is not None:
        assert problem["correlation_id"] == correlation_id


@pytest.mark.parametrize(
    "headers",
    [
        b"Host: attacker.example",
        b"Host: here\r\nOrigin: https://attacker.example",
        b"Host: here\r\nSec-Fetch-Site: cross-site",
    ],
)
def test_pages_of_other_sites_are_refused(headers: bytes) -> None:
    arrived, back = exchange(b"GET /api/books HTTP/1.1\r\n" + headers + b"\r\nConnection: close\r\n\r\n")

    assert arrived == b""
    assert back.startswith(b"HTTP/1.1 403 ")
    assert json.loads(back.partition(b"\r\n\r\n")[2])["code"] == "foreign_page"


def test_what_containers_call_it_is_its_only_name() -> None:
    upstream = Upstream(ANSWER)
    request = b"GET /x HTTP/1.1\r\nHost: %s:%d\r\nConnection: close\r\n\r\n"

    def ask(address: str) -> tuple[bytes, bytes]:
        with serving(address, host="127.0.0.1", name="host.docker.internal") as port:
            called, miscalled = (
                asyncio.run(_talk(port, request % (name, port))) for name in (b"host.docker.internal", b"localhost")
            )
        return called, miscalled

    async def go() -> tuple[bytes, bytes]:
        server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
        async with server:
            return await asyncio.to_thread(ask, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    called, miscalled = asyncio.run(go())

    assert called.startswith(b"HTTP/1.1 201 ")
    assert miscalled.startswith(b"HTTP/1.1 403 ")
    assert len(upstream.requests) == 1


def test_nobody_listens_once_the_containers_are_gone() -> None:
    with serving("http://127.0.0.1:9", host="127.0.0.1", name="localhost") as port:
        assert not is_free(port)

    assert is_free(port)


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    with pytest.raises(OSError, match="bind"), serving("http://127.0.0.1:9", host="192.0.2.1", name="x"):
        pass


def test_nobody_upstream_is_a_problem_document_to_come_back_later() -> None:
    async def go() -> bytes:
        async with _proxy(pick_free()) as port:
            return await _talk(
                port,
                b"GET /api/a%20b?x HTTP/1.1\r\nHost: here\r\nX-Correlation-Id: abc\r\nConnection: close\r\n\r\n",
            )

    _assert_unavailable(asyncio.run(go()), "/api/a%20b", "abc")


def test_an_upstream_that_hangs_up_is_the_same() -> None:
    _, back = exchange(b"POST /x HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", b"")

    _assert_unavailable(back, "/x")


def test_a_burst_is_served_as_many_at_a_time_as_the_limit_allows() -> None:
    async def go() -> tuple[list[bytes], int]:
        underway = most = 0
        barrier = asyncio.Barrier(CONCURRENT_REQUESTS)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal underway, most
            await reader.readuntil(b"\r\n\r\n")
            underway += 1
            most = max(most, underway)
            # Nobody is answered before as many as the limit are there at once.
            await barrier.wait()
            underway -= 1
            writer.write(ANSWER)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server, _proxy(server.sockets[0].getsockname()[1]) as port:
            request = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
            return await asyncio.gather(*(_talk(port, request) for _ in range(4 * CONCURRENT_REQUESTS))), most

    answers, most = asyncio.run(go())

    assert all(answer.startswith(b"HTTP/1.1 201 ") for answer in answers)
    assert most == CONCURRENT_REQUESTS
