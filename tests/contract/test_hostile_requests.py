"""What no generator of well-formed requests sends: broken bytes, absurd sizes, cursors of one's own making.

Every answer is a documented one, below 500, and every refusal is a problem document.
"""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests

from library_common.paging import Cursors
from library_common.problems import PROBLEM_JSON
from tests.contract import filled_services, fuzzing
from tests.contract.filled_services import Running
from tests.contract.in_process import InProcess
from tests.depth import at_depth
from tests.support.lambda_events import ANONYMOUS
from tools import services

pytestmark = pytest.mark.contract

# What the edge answers before an operation is found, or before its document could say so.
EDGE = {("404", "no_such_route"), ("405", "method_not_allowed")}

OPERATIONS = [(name, label) for name in services.with_module("http") for label in fuzzing.labels(name)]
WITH_BODY = [(name, label) for name, label in OPERATIONS if label.split()[0] in {"POST", "PUT", "PATCH"}]
LISTS = [
    (name, f"{method.upper()} {path}")
    for name in services.with_module("http")
    for path, methods in fuzzing.document(name)["paths"].items()
    for method, described in methods.items()
    if any(parameter["name"] == "cursor" for parameter in described.get("parameters", ()))
]

BODIES: dict[str, bytes] = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "a text": b'"text"',
    "a number": b"17",
    "half": b'{"name": ',
    "no UTF-8": b'{"name": "\xff\xfe"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "deep lists": b"[" * 60_000 + b"]" * 60_000,
    "deep objects": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "no number": b'{"copies": NaN, "count": Infinity, "available_copies": -Infinity}',
    "a huge integer": b'{"copies": ' + b"9" * 5000 + b"}",
    "a huge exponent": b'{"copies": 1e999999, "count": 1E400}',
    "a lone surrogate": rb'{"name": "\ud800", "title": "\udfff", "reason": "\ud800x", "\ud800": 1}',
    "a NUL": rb'{"name": "a\u0000b", "loan_id": "\u0000", "barcode": "\u0000\u0000\u0000", "user_id": "\u0000"}',
    "names twice": b'{"title": 1, "title": 2, "status": "active", "status": "suspended"}',
    "an odd name": rb'{"": 1, "__proto__": {}, "$ref": "#", "a.b": 2, "\n": 3}',
    "too large": b'{"name": "' + b"x" * 300_000 + b'"}',
    "only white space": b" \r\n\t ",
}

HEADERS: dict[str, dict[str, str]] = {
    "If-Match: empty": {"If-Match": ""},
    "If-Match: half a tag": {"If-Match": 'W/"'},
    "If-Match: several": {"If-Match": '"1", W/"2" ,W/"3"'},
    "If-Match: huge": {"If-Match": 'W/"' + "9" * 100 + '"'},
    "If-Match: other digits": {"If-Match": 'W/"\u00b2"'},
    "Idempotency-Key: empty": {"Idempotency-Key": ""},
    "Idempotency-Key: long": {"Idempotency-Key": "k" * 129},
    "Idempotency-Key: no ASCII": {"Idempotency-Key": "sch\u00f6n"},
    "X-Correlation-Id: long": {"X-Correlation-Id": "x" * 5000},
    "X-Correlation-Id: odd": {"X-Correlation-Id": "<script>"},
    "Content-Type: none": {"Content-Type": ""},
    "Content-Type: odd": {"Content-Type": "application/json; charset=utf-16"},
    "Content-Type: a form": {"Content-Type": "application/x-www-form-urlencoded"},
    "Content-Type: other JSON": {"Content-Type": "application/merge-patch+json"},
    "Accept: something else": {"Accept": "text/html"},
    "Origin": {"Origin": "https://elsewhere.example"},
}

SEGMENTS = [
    "%00",
    "%0A",
    "a%2Fb",
    "..",
    "%2e%2e",
    "%20",
    "%F0%9F%93%96",
    "%ff",
    "%ed%a0%80",
    "me",
    "x" * 3000,
    # Longer than a sort key of DynamoDB may be, shorter than a partition key.
    "x" * 1500,
    "%C3%A9" * 700,
    "0" * 26,
]

POSITIONS: list[dict[str, Any]] = [
    {},
    {"id": None, "name": None, "issued": None, "key": None, "past": None, "after": None},
    {"id": 1, "name": 1, "issued": 1, "key": 1, "past": 1, "after": 1},
    {"id": "", "name": "", "issued": "", "key": "", "past": 0, "after": ""},
    {"id": "0" * 26, "name": "", "issued": "2026-11-21T12:00:00Z", "key": "x" * 40, "past": 1, "after": "0"},
    {"id": "0" * 26, "name": "\ud800", "issued": "\ud800", "key": "\ud800" * 40, "past": 1, "after": "\ud800"},
    {"id": "0" * 26, "name": "x" * 1300, "issued": "x" * 1300, "key": "x" * 1300, "past": 0, "after": "x" * 1300},
    {"id": "0" * 26, "name": "\u4e16" * 400, "issued": "\u4e16" * 400, "key": "\u4e16" * 400, "past": 0},
    {"id": "0" * 26, "name": "\u0000", "issued": "9999-12-31T23:59:59Z", "key": "\u0000" * 30, "past": 1},
]


@pytest.fixture(scope="module")
def stack() -> Iterator[InProcess]:
    with InProcess().running() as running:
        yield running


class Asker:
    """Sends one request after the other to one operation and looks at every answer."""

    def __init__(self, service: Running, name: str, label: str, *, anonymous: bool = False) -> None:
        self.method, self.path = label.split(" ")
        self.described = fuzzing.document(name)["paths"][self.path][self.method.lower()]
        caller = ANONYMOUS if anonymous else service.caller_for(self.described["x-access"])
        self.known = service.known
        self.session = fuzzing.in_process(service.api, caller, service.known).session

    def url(self, **given: str) -> str:
        """The operation's address, with existing ids where nothing else is given."""
        filled = self.path
        for parameter, value in (self.known | given).items():
            filled = filled.replace(f"{{{parameter}}}", value)
        return fuzzing.HERE + filled

    def ask(self, what: str, url: str, **request: Any) -> requests.Response:
        """Sends, and fails with `what` for an answer that should not be."""
        response = self.session.request(self.method, url, **request)
        status = str(response.status_code)
        assert response.status_code < 500, (what, response.text)
        assert response.headers["x-correlation-id"], what
        if response.status_code >= 400 or self.path != "/.well-known/jwks.json":
            assert response.headers["cache-control"] == "no-store", what
        if response.status_code >= 400:
            assert response.headers["content-type"] == PROBLEM_JSON, what
            problem = response.json()
            reasons = [reason["code"] for reason in problem.get("reasons", ())]
            documented = self.described["responses"].get(status, {}).get("description", "")
            assert (
                (status, problem["code"]) in EDGE or f"`{problem['code']}`" in documented or problem["code"] in reasons
            ), (what, status, problem["code"])
        return response


def cursor(fingerprint: str, position: object) -> str:
    """As `library_common.paging.Cursors` writes them."""
    raw = json.dumps([fingerprint, position], separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def fields_of(name: str, label: str) -> dict[str, Any]:
    """The fields of an operation's body, with their schemas."""
    document = fuzzing.document(name)
    method, path = label.split(" ")
    body = document["paths"][path][method.lower()].get("requestBody", {"content": {}})
    found: dict[str, Any] = {}
    for media in body["content"].values():
        reference = media["schema"].get("$ref") or media["schema"]["anyOf"][0]["$ref"]
        found |= document["components"]["schemas"][reference.rpartition("/")[2]]["properties"]
    return found


INVISIBLE = '"' + "\u202e" * 3 + '"'


@pytest.mark.parametrize(("name", "label"), WITH_BODY)
def test_bodies(stack: InProcess, name: str, label: str) -> None:
    with filled_services.running(stack, name) as service:
        asker = Asker(service, name, label)
        for what, body in BODIES.items():
            asker.ask(what, asker.url(), data=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(("name", "label"), WITH_BODY)
def test_a_broken_text_in_every_field(stack: InProcess, name: str, label: str) -> None:
    """Whatever a field is, it is not this; and the answer can be written down as JSON."""
    with filled_services.running(stack, name) as service:
        asker = Asker(service, name, label)
        for field in fields_of(name, label):
            for raw in (r'"\ud800"', r'"a\u0000"', INVISIBLE, "1e400", "-1", "9" * 400, "[[[]]]"):
                if (field, raw) == ("current_password", INVISIBLE):
                    continue  # somebody's password may be that
                sent = f'{{"{field}": {raw}}}'.encode()
                response = asker.ask(
                    f"{field}: {raw[:20]}", asker.url(), data=sent, headers={"Content-Type": "application/json"}
                )
                assert response.status_code in {400, 422}, (field, raw[:20])


MARKS = 60_000
SLOW_TO_NORMALIZE = "a" + "\u0300" * MARKS + "\u0316" * MARKS
"""A quarter of a megabyte, nearly the largest body. Normalizing it takes seconds: half of the marks have to pass the
other half."""
PLAIN = "a" * len(SLOW_TO_NORMALIZE.encode())
SECONDS = 0.05
"""Of a request that is refused for its length, below which its time is not looked at."""


@pytest.mark.parametrize(("name", "label"), WITH_BODY)
def test_text_that_is_slow_to_normalize_costs_no_more_than_other_text(stack: InProcess, name: str, label: str) -> None:
    with filled_services.running(stack, name) as service:
        asker = Asker(service, name, label)

        def seconds(field: str, text: str) -> float:
            sent = json.dumps({field: text}, ensure_ascii=False).encode()
            tries = []
            for _ in range(2):
                started = time.process_time()
                response = asker.ask(field, asker.url(), data=sent, headers={"Content-Type": "application/json"})
                tries.append(time.process_time() - started)
                assert response.status_code in {400, 422}, (field, response.text)
            return min(tries)

        for field, schema in fields_of(name, label).items():
            slow, plain = seconds(field, SLOW_TO_NORMALIZE), seconds(field, PLAIN)
            assert slow <= max(2 * plain, SECONDS), (field, schema)


@pytest.mark.parametrize(("name", "label"), OPERATIONS)
def test_headers(stack: InProcess, name: str, label: str) -> None:
    with filled_services.running(stack, name) as service:
        asker = Asker(service, name, label)
        # One piece of code reads headers for all operations: a quick run shares them out among the operations.
        some = at_depth(quick=4, full=1)
        for what, headers in list(HEADERS.items())[OPERATIONS.index((name, label)) % some :: some]:
            encoded = {name: value.encode("latin-1") for name, value in headers.items()}
            asker.ask(what, asker.url(), data=b"{}" if (name, label) in WITH_BODY else None, headers=encoded)


@pytest.mark.parametrize(("name", "label"), [(n, operation) for n, operation in OPERATIONS if "{" in operation])
def test_paths(stack: InProcess, name: str, label: str) -> None:
    with filled_services.running(stack, name) as service:
        asker = Asker(service, name, label)
        for parameter in [part[1:-1] for part in asker.path.split("/") if part.startswith("{")]:
            for segment in SEGMENTS:
                asker.ask(f"{parameter}={segment[:20]}", asker.url(**{parameter: segment}), json={})
        asker.ask("a trailing slash", asker.url() + "/", json={})


@pytest.mark.parametrize(("name", "label"), LISTS)
def test_queries(stack: InProcess, name: str, label: str) -> None:
    with filled_services.running(stack, name) as service:
        asker = Asker(service, name, label)
        for query in (
            "limit=%00",
            "limit=1&limit=2",
            "limit=" + "9" * 400,
            "limit=1e3",
            "cursor=",
            "cursor=%ff",
            "cursor=" + "A" * 1999,
            "%ff=%ff",
            "=",
            "&&&",
            "user_id=%00&name=%00&search=%00",
            "name=%ed%a0%80&search=%ed%a0%80",
            "search=" + quote("\u0130" * 200),
            "name=" + quote("\ufdfa" * 200),
            "search=" + "+".join(f"w{number}" for number in range(80)),
            "isbn=%F0%9D%9F%99%F0%9D%9F%99",
            "email=" + quote("a" * 300 + "@example.org"),
        ):
            asker.ask(query[:40], f"{asker.url()}?{query}")


@pytest.mark.parametrize(("name", "label"), LISTS)
def test_cursors_of_ones_own_making(stack: InProcess, monkeypatch: pytest.MonkeyPatch, name: str, label: str) -> None:
    """They are not signed: who copies the fingerprint of a real one can send any position."""
    fingerprint = "0123456789ab"
    monkeypatch.setattr(Cursors, "_fingerprint", lambda _: fingerprint)
    with filled_services.running(stack, name) as service:
        asker = Asker(service, name, label)
        whose = {"user_id": service.known["user_id"]} if name == "loans" and "{" not in label else {}
        for position in POSITIONS:
            asker.ask(str(position)[:60], asker.url(), params={**whose, "cursor": cursor(fingerprint, position)})
        odd: list[object] = [[], "x", 1, {"id": {}}, {"id": [1]}, {"id": 1.5}]
        for made in (*((fingerprint, position) for position in odd), ("0" * 12, POSITIONS[4])):
            response = asker.ask(str(made), asker.url(), params={**whose, "cursor": cursor(*made)})
            assert response.status_code == 422, made


@pytest.mark.parametrize(("name", "label"), OPERATIONS)
def test_nobody_in_particular(stack: InProcess, name: str, label: str) -> None:
    """Without a caller only what is public is answered, whatever is asked."""
    with filled_services.running(stack, name) as service:
        asker = Asker(service, name, label, anonymous=True)
        response = asker.ask("anonymous", asker.url(), json={})

    assert (response.status_code == 401) != asker.described["x-access"].get("public", False)
