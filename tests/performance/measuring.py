"""How the budgets are measured: imports in fresh processes, sizes from wheels, request units from the services' own
log lines (which carry what DynamoDB reported as consumed), times from a client's clock."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from library_common.ids import new_id
from localstack.embedded.layout import ROOT
from localstack.embedded.package import flattened_entries
from localstack.embedded.stack import LocalStack
from tests.support.invocations import invocations
from tests.support.library_client import LibraryClient
from tools import services

SERVICES = ("users", "books", "loans")
"""Those that a loan goes through."""
WITH_HTTP = services.with_module("http")
PACKAGES = (*WITH_HTTP, "gateway")
LAYERS = (ROOT / "layers" / "dependencies", ROOT / "layers" / "common")


@dataclass(frozen=True)
class Measurement:
    """One budget and what was found. `limit` None: measured for the record, no budget."""

    what: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def holds(self) -> bool:
        return self.limit is None or self.value <= self.limit

    def line(self) -> str:
        budget = f"≤ {self.limit:g}" if self.limit is not None else "-"
        return f"{'ok ' if self.holds else 'OVER'} {self.what:<58} {self.value:>9.2f} {self.unit:<12} {budget}"


# -- imports and sizes ------------------------------------------------------------------------


def import_times(rounds: int = 9) -> Iterator[Measurement]:
    """CPU time to import each HTTP handler and the authorizer, in milliseconds and over the bare handler's: medians of
    alternating fresh processes."""
    modules = {"bare": "tests.performance.bare_handler"} | {s: f"{s}_service.http" for s in WITH_HTTP}
    modules["authorizer"] = "gateway_service.authorizer"
    taken: dict[str, list[float]] = {name: [] for name in modules}
    for _ in range(rounds):
        for name, module in modules.items():
            taken[name].append(_import_seconds(module))
    bare = statistics.median(taken["bare"])
    yield Measurement("import of the bare handler: CPU", 1000 * bare, "ms")
    for name in list(modules)[1:]:
        seconds, limit = statistics.median(taken[name]), 0.6 if name == "authorizer" else 1.0
        yield Measurement(f"import of {name} over the bare handler", seconds / bare, "x bare", limit)
        yield Measurement(f"import of {name}: CPU", 1000 * seconds, "ms")


def authorizer_cost() -> Iterator[Measurement]:
    """Calls to AWS and CPU time of the authorizer, in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.performance.authorizer_cost"],
        env=_environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    yield Measurement("authorizer: calls to AWS, the first time", found["cold_calls"], "calls", 2)
    yield Measurement("authorizer: calls to AWS, warm", found["warm_calls"], "calls", 0)
    yield Measurement("authorizer: CPU warm, over a bare ES256 verification", found["warm_over_bare"], "x bare", 4.0)
    yield Measurement("authorizer: CPU warm", found["warm_microseconds"], "us")


def _import_seconds(module: str) -> float:
    code = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
    done = subprocess.run([sys.executable, "-c", code], env=_environment(), capture_output=True, text=True, check=True)
    return float(done.stdout)


def _environment() -> dict[str, str]:
    path = [ROOT, ROOT / "layers" / "common", *(ROOT / "functions" / s / "src" for s in PACKAGES)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "AWS_DEFAULT_REGION": "us-east-1"}


def unzipped_sizes() -> Iterator[Measurement]:
    """Each function with its layers, as Lambda unpacks them, in MB (10^6 bytes)."""
    with tempfile.TemporaryDirectory() as scratch:
        for service in PACKAGES:
            entries = flattened_entries(ROOT / "functions" / service / "src", LAYERS, Path(scratch))
            size = sum(entry.source.stat().st_size for entry in entries)
            yield Measurement(f"unzipped size of {service} with its layers", size / 1e6, "MB", 40)


# -- request units ----------------------------------------------------------------------------


@dataclass
class Spent:
    """What one request cost, over all functions it passed through."""

    read: float = 0.0
    write: float = 0.0
    calls: int = 0
    invocations: list[str] = field(default_factory=list)


def spent_on(stack: LocalStack, correlation_id: str, *, expected: int) -> Spent:
    """Adds up the log lines of all HTTP functions that carry a correlation id; waits until `expected` are there."""
    deadline = time.monotonic() + 30
    while True:
        lines = [
            line for name in SERVICES for line in invocations(stack, f"{name.capitalize()}Function", correlation_id)
        ]
        if len(lines) >= expected or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    spent = Spent()
    for line in lines:
        spent.read += line["read_units"]
        spent.write += line["write_units"]
        spent.invocations.append(line["route"])
        if line["service"] == "loans":
            spent.calls += line["outgoing_calls"]
    return spent


def request_units(stack: LocalStack, library: LibraryClient) -> Iterator[Measurement]:
    """Checkout, return and the three reads; a member's second loan, since the first also makes the account."""
    member = library.add_member()
    book = library.add_book(copies=3, title="The Metamorphosis and other stories", isbn="9780199238552")
    library.lend(member["id"], library.add_book()["id"])

    def cost(method: str, path: str, expected: int, **more: Any) -> tuple[httpx.Response, Spent]:
        correlation_id = new_id()
        headers = {**library.as_librarian(), "X-Correlation-Id": correlation_id}
        response = library.http.request(method, path, headers=headers, **more)
        assert response.is_success, response.text
        return response, spent_on(stack, correlation_id, expected=expected)

    lent, checkout = cost("POST", "/api/loans", 3, json={"user_id": member["id"], "book_id": book["id"]})
    yield Measurement("checkout: calls to other services", checkout.calls, "calls", 2)
    yield Measurement("checkout: write units", checkout.write, "units", 12)
    yield Measurement("checkout: read units", checkout.read, "units", 4)
    loan_id = lent.json()["id"]
    for what, path in (
        ("reading a title", f"/api/books/{book['id']}"),
        ("reading a loan", f"/api/loans/{loan_id}"),
        ("reading a profile", f"/api/users/{member['id']}"),
    ):
        yield Measurement(f"{what}: request units", cost("GET", path, 1)[1].read, "units", 1)
    _, returned = cost("POST", "/api/returns", 2, json={"loan_id": loan_id})
    yield Measurement("return: calls to other services", returned.calls, "calls", 1)
    yield Measurement("return: write units", returned.write, "units", 8)
    yield Measurement("return: read units", returned.read, "units")


# -- limits -----------------------------------------------------------------------------------


def limits_cost(stack: LocalStack, library: LibraryClient, requests: int = 100) -> Iterator[Measurement]:
    """What checking the limits adds to a member's reads: one after the other, and from four clients at once, which
    means several workers."""
    book = library.add_book()
    loan = library.lend(library.add_member()["id"], book["id"]).json()["id"]
    for at_once, how in ((1, "one by one"), (4, "four at once")):
        member = library.add_member()["id"]
        headers = library.bearer(member, "patron")

        def read(_: int, headers: dict[str, str] = headers) -> int:
            # Somebody else's loan: found, and not told.
            return library.http.get(f"/api/loans/{loan}", headers=headers).status_code

        with ThreadPoolExecutor(max_workers=at_once) as pool:
            answered = set(pool.map(read, range(requests)))
        assert answered == {404}, answered
        lines = _lines_of(stack, "LoansFunction", f"user:{member}", expected=requests)
        for what, field_, limit in (
            ("calls", "limit_calls", None),
            ("write units", "limit_writes", 0.2),
            ("read units", "limit_reads", 0.2),
        ):
            spent = sum(line[field_] for line in lines) / len(lines)
            yield Measurement(f"limits, {how}: {what} per request", spent, what.split()[-1], limit)


def _lines_of(stack: LocalStack, function: str, actor: str, *, expected: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 30
    while True:
        lines = [line for line in invocations(stack, function, actor) if line["actor"] == actor]
        if len(lines) >= expected:
            return lines
        assert time.monotonic() < deadline, f"{len(lines)} of {expected} lines"
        time.sleep(0.2)


# -- load -------------------------------------------------------------------------------------


@dataclass
class Load:
    """What concurrent clients saw. latencies: seconds by kind of request; unexplained: answers nobody expects."""

    seconds: float
    latencies: dict[str, list[float]]
    unexplained: list[str]

    def measurements(self, clients: int) -> Iterator[Measurement]:
        total = sum(len(taken) for taken in self.latencies.values())
        yield Measurement(
            f"{clients} clients for {self.seconds:.0f} s: unexplained answers", len(self.unexplained), "answers", 0
        )
        yield Measurement(f"{clients} clients: requests per second", total / self.seconds, "1/s")
        for kind, taken in sorted(self.latencies.items()):
            ordered = sorted(taken)
            yield Measurement(f"{kind}: answered", len(ordered), "requests")
            yield Measurement(f"{kind}: p50", 1000 * ordered[len(ordered) // 2], "ms")
            yield Measurement(f"{kind}: p99", 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], "ms")


_EXPLAINED: dict[str, dict[int, set[str]]] = {
    "checkout": {201: set(), 409: {"no_copies_available"}},
    "return": {200: set()},
    "read": {200: set()},
}


def hold_under_load(library: LibraryClient, *, clients: int, seconds: float) -> Load:
    """Every client is a member who lends, looks and returns as fast as the answers come."""
    members = [library.add_member("faculty") for _ in range(clients)]
    books = [library.add_book(copies=4) for _ in range(max(1, clients // 2))]
    load = Load(seconds=seconds, latencies={}, unexplained=[])
    until = time.monotonic() + seconds

    def asked(kind: str, method: str, path: str, headers: dict[str, str], **more: Any) -> httpx.Response | None:
        started = time.monotonic()
        try:
            response = library.http.request(method, path, headers=headers, **more)
        except httpx.HTTPError as failure:
            load.unexplained.append(f"{kind}: {type(failure).__name__}")
            return None
        load.latencies.setdefault(kind, []).append(time.monotonic() - started)
        codes = _EXPLAINED[kind].get(response.status_code)
        if codes is None or (codes and response.json().get("code") not in codes):
            load.unexplained.append(f"{kind}: {response.status_code} {response.text[:200]}")
        return response

    def client(number: int) -> None:
        member = members[number]
        headers = library.bearer(member["id"], "faculty")
        turn = number
        while time.monotonic() < until:
            book = books[turn % len(books)]
            turn += 1
            asked("read", "GET", f"/api/books/{book['id']}", {})
            lent = asked(
                "checkout", "POST", "/api/loans", headers, json={"user_id": member["id"], "book_id": book["id"]}
            )
            if lent is None or lent.status_code != 201:
                continue
            asked("read", "GET", f"/api/loans/{lent.json()['id']}", headers)
            asked("return", "POST", "/api/returns", headers, json={"loan_id": lent.json()["id"]})

    with ThreadPoolExecutor(max_workers=clients) as pool:
        for done in [pool.submit(client, number) for number in range(clients)]:
            done.result()
    return load


# -- the runner -------------------------------------------------------------------------------


def seconds_to_run() -> Measurement:
    """`make run DETACH=1` with everything installed, from nothing to the printed addresses, on ports of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        code = (
            "import sys; from pathlib import Path; from localstack.embedded.layout import WorkDir;"
            "from localstack.embedded.ports import pick_free; from localstack.embedded import run as r;"
            "work = WorkDir(Path(sys.argv[1]));"
            "r.run(pick_free(), pick_free(), detach=True, work=work) if sys.argv[2] == 'run' else r.stop(work)"
        )
        started = time.monotonic()
        try:
            _python(code, scratch, "run")
            taken = time.monotonic() - started
        finally:
            _python(code, scratch, "stop")
    return Measurement("make run, installed already: ready after", taken, "s", 60)


def _python(code: str, *arguments: str) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "layers" / "common")])}
    command: Sequence[str] = [sys.executable, "-c", code, *arguments]
    subprocess.run(command, env=env, check=True, capture_output=True, text=True, cwd=ROOT)
