"""What a loan takes in units that AWS charges for, with everything that follows from it: measured on a deployed stack.

A loan here is a login, three reads (a search, the title, the member's loans), a checkout and a return, one member
after the other, so that nothing shares a batch: the dearest way. The committed numbers (`LOAN`, `NOTICE`) are what the
table of costs is computed from (`tests.performance.cost`); `make bench` checks that no loan takes more.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from library_common.ids import new_id
from localstack.embedded.stack import LocalStack
from localstack.embedded.state import Account
from tests.performance.consumers import log_of, now_in_milliseconds
from tests.performance.measuring import Measurement
from tests.support.library_client import LibraryClient, created, ok

BYTES_AROUND_A_LINE = 26
"""What CloudWatch adds to each log line before it charges for bytes."""

_SCHEDULED = {"SweepFunction", "DeadLettersWatch", "LoansRetention", "RotationFunction", "AnalyticsRebuild"}
"""They run whether anybody borrows or not: part of the idle month."""

_LONGER_THAN_RECOVERY_WAITS, _DEADLINE_SECONDS = 60.0, 300.0
"""Before it looks at a checkout or return once more: RecoveryDelaySeconds."""


@dataclass(frozen=True)
class Units:
    """api_requests: from outside and between services. messages: through queues. DynamoDB's units include the limits'
    and the indexes'. log_bytes as CloudWatch counts them.
    """

    api_requests: float
    invocations: float
    write_units: float
    read_units: float
    messages: float
    events: float
    emails: float
    log_bytes: float


LOAN = Units(
    api_requests=12,
    invocations=28,
    write_units=100,
    read_units=28,
    messages=9,
    events=4,
    emails=2,
    log_bytes=14_000,
)
"""A loan with its notices and statistics, at most. One e-mail may bring several notices."""

NOTICE = Units(
    api_requests=1, invocations=3, write_units=12, read_units=4, messages=1.25, events=0, emails=1, log_bytes=2_000
)
"""One more message to the member, at most, such as the reminder that a loan is due soon."""


def loan_units(stack: LocalStack, library: LibraryClient) -> Iterator[Measurement]:
    """What a loan takes, one line per unit; needs a stack with demo accounts."""
    since = now_in_milliseconds()
    accounts = [*stack.accounts[:3], *stack.accounts[:3]]
    books = [library.add_book()["id"] for _ in accounts]
    _log_once_quiet(stack, since, quiet_seconds=10)
    since, loans, asked = now_in_milliseconds(), len(books), 0
    for account, book in zip(accounts, books, strict=True):
        asked += _lend_and_give_back(library, account, book)
    lines = _log_once_quiet(stack, since, quiet_seconds=_LONGER_THAN_RECOVERY_WAITS)
    found = _units(stack, lines, asked)
    for field in fields(Units):
        yield _measurement("a loan", field.name, getattr(found, field.name) / loans, getattr(LOAN, field.name))
    sent = _units(stack, {"SenderFunction": lines["SenderFunction"]}, 0)
    notices = sum(
        json.loads(text).get("counts", {}).get("NoticesSent channel=email", 0)
        for text in lines["SenderFunction"]
        if _is_line(text)
    )
    for field in fields(Units):
        if field.name != "invocations":  # the sender's alone, and some find that there is nothing to send any more
            value = getattr(sent, field.name) / notices
            yield _measurement("a notice", field.name, value, getattr(NOTICE, field.name))


def _measurement(of: str, name: str, value: float, limit: float) -> Measurement:
    return Measurement(f"{of}: {name.replace('_', ' ')}", value, name.rsplit("_", maxsplit=1)[-1], limit)


def _lend_and_give_back(library: LibraryClient, account: Account, book: str) -> int:
    """Returns the number of requests."""
    session = ok(library.http.post("/api/auth/login", json={"email": account.email, "password": account.password}))
    headers = {"Authorization": f"Bearer {session['access_token']}"}
    for path in ("/api/books?title=Title", f"/api/books/{book}", f"/api/loans/user/{account.user_id}"):
        ok(library.http.get(path, headers=headers))
    body = {"user_id": account.user_id, "book_id": book}
    key = {"Idempotency-Key": new_id()}
    loan = created(library.http.post("/api/loans", json=body, headers=headers | key))
    ok(library.http.post("/api/returns", json={"loan_id": loan["id"]}, headers=headers))
    return 6


def _log_once_quiet(stack: LocalStack, since: int, *, quiet_seconds: float) -> Mapping[str, list[str]]:
    """By function: everything logged since then, once nothing more comes."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    number, quiet_since = -1, time.monotonic()
    while True:
        found = {name: log_of(stack, name, since) for name in stack.functions if name not in _SCHEDULED}
        if number != (number := sum(map(len, found.values()))):
            quiet_since = time.monotonic()
        if time.monotonic() - quiet_since > quiet_seconds or time.monotonic() > deadline:
            return found
        time.sleep(5)


def _is_line(message: str) -> bool:
    return '"message":"invocation"' in message


def _units(stack: LocalStack, messages: Mapping[str, list[str]], asked: int) -> Units:
    """Adds up what the log says. asked: requests from outside."""
    lines = {name: [json.loads(text) for text in found if _is_line(text)] for name, found in messages.items()}
    every = [line for found in lines.values() for line in found]
    consumers = _functions_on_queues(stack)
    written = [text for found in messages.values() for text in found if text.startswith("{")]
    return Units(
        api_requests=asked + sum(line["outgoing_calls"] for line in every),
        invocations=sum(text.startswith("REPORT ") for found in messages.values() for text in found),
        write_units=sum(line["write_units"] + line["limit_writes"] for line in every),
        read_units=sum(line["read_units"] + line["limit_reads"] for line in every),
        messages=sum(_messages(line) for name in consumers for line in lines.get(name, [])),
        events=sum(int(line.get("published", 0)) for line in every),
        emails=sum((line["route"], line["status"]) == ("sender", "sent") for line in every),
        log_bytes=sum(len(text.encode()) + BYTES_AROUND_A_LINE for text in written),
    )


def _functions_on_queues(stack: LocalStack) -> list[str]:
    mappings = stack.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    on_queues = {
        m["FunctionArn"].split(":function:")[1].split(":")[0] for m in mappings if ":sqs:" in m["EventSourceArn"]
    }
    return [name for name, function in stack.functions.items() if function in on_queues]


def _messages(line: Mapping[str, Any]) -> int:
    """Of a batch's line the number in the batch; every other line is of one message."""
    return sum(int(line[key]) for key in line if key.startswith("messages_")) or 1
