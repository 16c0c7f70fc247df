"""A real HTTP server on the loopback interface that answers as the test scripts it: another service to call."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Does:
    """What the service does with one request.

    status, body: the answer; bytes are sent unchanged. headers: additional ones. silent: no answer while the test
    runs. cut: closes the connection after this many bytes of the body. vanish: closes the connection without an
    answer. leave: closes it after the answer, without announcing it.
    """

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    cut: int | None = None
    vanish: bool = False
    leave: bool = False


@dataclass(frozen=True)
class Asked:
    """One request as the service received it."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class ScriptedService:
    """Follows its `script`, one entry per request. Repeats the last entry."""

    def __init__(self) -> None:
        self.script: list[Does] = [Does()]
        self.asked: list[Asked] = []
        self.url = ""
        self._over = threading.Event()

    @contextmanager
    def running(self) -> Iterator["ScriptedService"]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        # Looks often whether it shall stop: every test waits for that once.
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            server.shutdown()
            server.server_close()
            thread.join(10)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        other_service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, json.loads(raw) if raw else None)
                does = other_service._next(asked)
                if does.silent:
                    other_service._over.wait(30)
                if does.silent or does.vanish:
                    self.close_connection = True
                    return
                payload = does.body if isinstance(does.body, bytes) else json.dumps(does.body).encode()
                self.send_response(does.status)
                for name, value in {"Content-Length": str(len(payload)), **does.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload[: does.cut])
                self.close_connection = does.leave or does.cut is not None

            do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the names BaseHTTPRequestHandler looks for

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has there
                pass

        return Handler

    def _next(self, asked: Asked) -> Does:
        self.asked.append(asked)
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]
