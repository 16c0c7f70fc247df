"""Which requests the local servers answer: those of programs and pages of this machine."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from localstack.embedded.loopback_guard import Guard, guarded

pytestmark = pytest.mark.unit

EMULATOR = Guard(4566)
API = Guard(8080, other_pages=True)
FOR_CONTAINERS = Guard(40001, name="172.17.0.1")

type Headers = list[tuple[str, str]]


@pytest.mark.parametrize(
    ("guard", "headers"),
    [
        (EMULATOR, [("Host", "127.0.0.1:4566")]),
        (EMULATOR, [("host", "LOCALHOST:4566")]),
        (EMULATOR, [("Host", "[::1]:4566")]),
        (EMULATOR, [("Host", "artifacts.s3.localhost:4566")]),
        (EMULATOR, [("Host", "localhost:4566"), ("Origin", "http://localhost:4566")]),
        (EMULATOR, [("Host", "localhost:4566"), ("Sec-Fetch-Site", "none")]),
        (EMULATOR, [("Host", "localhost:4566"), ("Sec-Fetch-Site", "same-origin")]),
        (Guard(80), [("Host", "localhost")]),
        (API, [("Host", "localhost:8080"), ("Origin", "http://localhost:3000"), ("Sec-Fetch-Site", "same-site")]),
        (FOR_CONTAINERS, [("Host", "172.17.0.1:40001")]),
    ],
)
def test_programs_and_pages_of_this_machine_pass(guard: Guard, headers: Headers) -> None:
    assert guard.refusal(headers) is None


FOREIGN_HOSTS = [
    "attacker.example",
    "attacker.example:4566",
    "127.0.0.1",
    "127.0.0.1:80",
    "127.0.0.1:45660",
    "127.0.0.1:4566.attacker.example",
    "127.0.0.1.attacker.example:4566",
    "localhost.attacker.example:4566",
    "localhost@attacker.example:4566",
    "attacker.example#localhost:4566",
    "notlocalhost:4566",
    "127.0.0.2:4566",
    "192.168.1.5:4566",
    "[::2]:4566",
    "",
    ":4566",
    "localhost:",
    "localhost:\u0664\u0665\u0666\u0666",
    "localhost:4566, attacker.example",
]


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_another_host_is_refused(host: str) -> None:
    """A name that was pointed at 127.0.0.1 reaches the server, but the browser sends the name."""
    assert EMULATOR.refusal([("Host", host)]) is not None


@pytest.mark.parametrize("headers", [[], [("Host", "localhost:4566"), ("Host", "attacker.example")]])
def test_a_request_names_one_host(headers: Headers) -> None:
    assert EMULATOR.refusal(headers) is not None


@pytest.mark.parametrize("guard", [EMULATOR, API])
@pytest.mark.parametrize(
    "origin",
    [
        "https://attacker.example",
        "http://attacker.example:4566",
        "http://localhost.attacker.example:4566",
        "http://127.0.0.1:4566.attacker.example",
        "null",
        "",
        "file://",
        "chrome-extension://localhost:4566",
        "http://localhost:4566 http://attacker.example",
    ],
)
def test_a_page_of_another_origin_is_refused(guard: Guard, origin: str) -> None:
    here = ("Host", f"localhost:{guard.port}")
    assert guard.refusal([here, ("Origin", origin)]) is not None
    assert guard.refusal([here, ("Origin", f"http://localhost:{guard.port}"), ("origin", origin)]) is not None


@pytest.mark.parametrize("site", ["cross-site", "", "anything"])
def test_a_page_of_another_site_is_refused_also_where_browsers_send_no_origin(site: str) -> None:
    for guard in (EMULATOR, API):
        assert guard.refusal([("Host", f"localhost:{guard.port}"), ("Sec-Fetch-Site", site)]) is not None


@pytest.mark.parametrize("guard", [EMULATOR, API, FOR_CONTAINERS])
def test_a_browser_that_does_not_say_from_where_is_refused(guard: Guard) -> None:
    """As browsers do to addresses that are not loopback ones, such as the containers' network."""
    here = ("Host", f"{guard.name or 'localhost'}:{guard.port}")
    browser = ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")

    assert guard.refusal([here, browser]) is not None
    assert guard.refusal([here, browser, ("Sec-Fetch-Site", "none")]) is None
    assert guard.refusal([here, ("User-Agent", "aws-cli/2.31 md/awscrt#0.27 ua/2.1")]) is None


def test_the_emulator_answers_no_other_page_of_this_machine() -> None:
    here = ("Host", "localhost:4566")
    assert EMULATOR.refusal([here, ("Origin", "http://localhost:3000")]) is not None
    assert EMULATOR.refusal([here, ("Sec-Fetch-Site", "same-site")]) is not None


def test_the_proxy_for_containers_answers_only_who_calls_it_by_its_name() -> None:
    assert FOR_CONTAINERS.refusal([("Host", "127.0.0.1:40001")]) is not None
    assert FOR_CONTAINERS.refusal([("Host", "172.17.0.1:4566")]) is not None


def _ask(scope: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    sent: list[Mapping[str, Any]] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "of the application"})

    async def receive() -> Mapping[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(guarded(app, lambda _: EMULATOR)(scope, receive, send))
    return sent


def test_a_refused_request_does_not_reach_the_application() -> None:
    start, body = _ask({"type": "http", "headers": [(b"host", b"attacker.example")]})

    assert start["status"] == 403
    assert not [name for name, _ in start["headers"] if name.startswith(b"access-control")]
    assert json.loads(body["body"])["code"] == "foreign_page"


def test_a_refused_websocket_is_closed() -> None:
    headers = [(b"host", b"localhost:4566"), (b"origin", b"https://attacker.example")]

    assert _ask({"type": "websocket", "headers": headers}) == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("kind", ["http", "websocket", "lifespan"])
def test_everything_else_does(kind: str) -> None:
    headers = [] if kind == "lifespan" else [(b"host", b"localhost:4566")]

    assert _ask({"type": kind, "headers": headers}) == [{"type": "of the application"}]
