"""What a request left in the logs, as a person reads it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from localstack.embedded import engine, logs
from localstack.embedded.aws import Aws
from localstack.embedded.state import StackFile

pytestmark = pytest.mark.unit


def at(second: int) -> str:
    """As the services write it."""
    return f"2026-11-22 10:00:0{second},250+0000"


LOGGED: Mapping[str, list[dict[str, Any]]] = {
    "/library/users": [
        {
            "message": "invocation", "timestamp": at(1), "service": "users", "route": "POST /api/users",
            "status": 409, "duration_ms": 12.5, "actor": "anonymous", "error_code": "email_taken",
            "correlation_id": "one", "account": "01",
        },
        {"message": "something else", "timestamp": at(2), "level": "INFO", "correlation_id": "one"},
        {
            "message": "message set aside", "timestamp": at(3), "level": "ERROR", "service": "users",
            "consumer": "notes", "reason": "there is no such thing", "correlation_id": "letter",
        },
        {"message": "unexpected", "timestamp": at(4), "level": "WARNING", "correlation_id": "letter"},
        {"type": "platform.report", "record": {}},
        {
            "message": "invocation", "timestamp": at(5), "service": "users", "route": "stream users",
            "status": "ok", "duration_ms": 4.0, "actor": "system", "correlation_id": "batch",
            "correlation_ids": ["other", "in a batch"],
        },
    ],
    "/library/gateway": [
        {
            "message": "invocation", "timestamp": at(0), "service": "gateway", "route": "authorizer",
            "status": 200, "duration_ms": 3.0, "actor": "anonymous", "correlation_id": "one",
        }
    ],
    "/library/books": [],
    "/another-library/users": [
        {
            "message": "invocation", "timestamp": at(6), "service": "users", "route": "GET /api/users",
            "status": 200, "duration_ms": 1.0, "actor": "anonymous", "correlation_id": "one",
        },
    ],
}  # fmt: skip


class Client:
    """Of CloudWatch Logs, as far as it is asked."""

    def __init__(self) -> None:
        self._operation = ""

    def get_paginator(self, operation: str) -> "Client":
        self._operation = operation
        return self

    def paginate(
        self, *, logGroupName: str = "", logGroupNamePrefix: str = "", filterPattern: str = ""
    ) -> Iterator[dict[str, Any]]:
        if self._operation == "describe_log_groups":
            yield {"logGroups": [{"logGroupName": name} for name in LOGGED if name.startswith(logGroupNamePrefix)]}
        else:
            lines = [json.dumps(line, separators=(",", ":")) for line in LOGGED[logGroupName]]
            yield {"events": [{"message": line} for line in lines if filterPattern.strip('"') in line]}


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "stack.json"
    StackFile("http://here", "http://emulator", "us-east-1", [], {}, {}, "library", {}).write(path)
    monkeypatch.setattr(engine, "identify", lambda _: engine.Engine("ministack", "1"))
    monkeypatch.setattr(Aws, "client", lambda *_: Client())
    return path


def test_invocations_stand_under_a_heading_oldest_first(known: Path) -> None:
    assert [line.split("  ") for line in logs.lines(known, "one")] == [
        ["timestamp", "service", "route", "status", "duration_ms", "actor", "error_code", "correlation_id"],
        ["2026-11-22T10:00:00.250Z", "gateway", "authorizer", "200", "3.0", "anonymous", "-", "one"],
        ["2026-11-22T10:00:01.250Z", "users", "POST /api/users", "409", "12.5", "anonymous", "email_taken", "one"],
    ]


def test_without_an_id_all_invocations_are_shown(known: Path) -> None:
    assert [line.split("  ")[2] for line in logs.lines(known, None)[1:]] == [
        "authorizer",
        "POST /api/users",
        "stream users",
    ]


@pytest.mark.parametrize("correlation_id", ["batch", "other", "in a batch"])
def test_the_line_of_a_batch_is_found_by_the_ids_of_what_was_in_it(known: Path, correlation_id: str) -> None:
    assert [line.split("  ") for line in logs.lines(known, correlation_id)[1:]] == [
        ["2026-11-22T10:00:05.250Z", "users", "stream users", "ok", "4.0", "system", "-", "batch"],
    ]


def test_what_went_wrong_is_found_by_the_id_of_a_dead_letter(known: Path) -> None:
    assert [line.split("  ") for line in logs.lines(known, "letter")[1:]] == [
        ["2026-11-22T10:00:03.250Z", "users", "notes", "ERROR message set aside: there is no such thing"],
        ["2026-11-22T10:00:04.250Z", "-", "-", "WARNING unexpected"],
    ]


def test_an_id_that_nothing_has_is_said(known: Path) -> None:
    assert logs.lines(known, "two") == ["nothing with the correlation id two"]


def test_without_invocations_that_is_said(known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "LOGGED", {})

    assert logs.lines(known, None) == ["nothing was logged yet"]
