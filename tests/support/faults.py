"""A proxy that injects faults, in front of something that services call: other services, or a provider.

The deployed loans service finds users and books through a parameter; the tests put this proxy's address
there. So requests and answers between services can be delayed, dropped, lost or doubled, and the moment
between two steps of the saga can be used to kill the process that runs it, without a line of test code
in the services.
"""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from localstack.embedded.loopback_guard import guarding


@dataclass
class Fault:
    """What happens to the next `times` requests that match.

    delay: seconds before passing on. drop: close the connection instead of passing on. lose: pass on, then
    close the connection without the answer. double: pass on twice. status: answer this instead, with `text` if given.
    before, after: called before and after passing on (after the target has acted, before its answer).
    """

    method: str
    path: str
    times: int = 1_000_000
    delay: float = 0.0
    drop: bool = False
    lose: bool = False
    double: bool = False
    status: int | None = None
    text: str | None = None
    before: Callable[[], None] | None = None
    after: Callable[[], None] | None = None
    hits: int = 0

    def matches(self, method: str, path: str) -> bool:
        return self.hits < self.times and method == self.method and re.search(self.path, path) is not None


@dataclass
class FaultProxy:
    """Listens on a free loopback port and passes on to `target`."""

    target: str
    faults: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    url: str = ""

    @contextmanager
    def running(self) -> Iterator["FaultProxy"]:
        """Serves in a thread of its own while the block runs."""
        ready = threading.Event()
        stop: asyncio.Event | None = None
        loop = asyncio.new_event_loop()

        async def serve() -> None:
            nonlocal stop
            stop = asyncio.Event()
            connector = aiohttp.TCPConnector(limit=256)
            async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

                async def handle(request: web.Request) -> web.StreamResponse:
                    return await self._handle(request, session)

                # The emulator behind it could not tell a web page from a function any more.
                app = web.Application(client_max_size=2**24, middlewares=[guarding()])
                app.router.add_route("*", r"/{tail:[\s\S]*}", handle)
                # Idle connections of the functions are nobody's to wait for at the end.
                runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
                await runner.setup()
                site = web.TCPSite(runner, "127.0.0.1", 0)
                await site.start()
                host, port = runner.addresses[0][:2]
                self.url = f"http://{host}:{port}"
                ready.set()
                await stop.wait()
                await runner.cleanup()

        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
        thread.start()
        if not ready.wait(10):
            raise RuntimeError("the fault proxy did not start")
        try:
            yield self
        finally:
            assert stop is not None
            loop.call_soon_threadsafe(stop.set)
            thread.join(10)

    @contextmanager
    def broken(self, fault: Fault) -> Iterator[Fault]:
        """The fault is active while the block runs."""
        self.faults.append(fault)
        try:
            yield fault
        finally:
            self.faults.remove(fault)

    def calls(self, pattern: str) -> int:
        """The number of requests so far that match a pattern such as "POST /api/books/…"."""
        return sum(1 for line in self.seen if re.search(pattern, line))

    async def _handle(self, request: web.Request, session: aiohttp.ClientSession) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(f"{request.method} {request.path}")
        fault = next((f for f in self.faults if f.matches(request.method, request.path)), None)
        if fault is None:
            return await self._pass_on(request, body, session)
        fault.hits += 1
        if fault.before:
            await asyncio.to_thread(fault.before)
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.drop:
            return self._hang_up(request)
        if fault.status is not None and fault.text is not None:
            return web.Response(status=fault.status, text=fault.text, content_type="text/xml")
        if fault.status is not None:
            return web.json_response({"code": "made_up"}, status=fault.status)
        if fault.double:
            await self._pass_on(request, body, session)
        answer = await self._pass_on(request, body, session)
        if fault.after:
            await asyncio.to_thread(fault.after)
        return self._hang_up(request) if fault.lose else answer

    async def _pass_on(self, request: web.Request, body: bytes, session: aiohttp.ClientSession) -> web.Response:
        headers = {
            k: v for k, v in request.headers.items() if k.lower() not in {"host", "content-length", "connection"}
        }
        url = self.target.rstrip("/") + request.raw_path
        async with session.request(request.method, url, data=body or None, headers=headers) as answer:
            kept = {k: v for k, v in answer.headers.items() if k.lower() in {"content-type", "retry-after"}}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    @staticmethod
    def _hang_up(request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=499)
