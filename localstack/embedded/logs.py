"""What a request left in the logs of all functions, for those without a console: one line per invocation, and under
a correlation id every warning and error as well.

What works on batches leaves one line per batch, under an id of its own: it is found by the ids of what was in it.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localstack.embedded import engine
from localstack.embedded.aws import Aws
from localstack.embedded.state import StackFile

_INVOCATION = "invocation"
_REASONS = ("reason", "failure", "error", "exception_name")
_SHOWN = ("timestamp", "service", "route", "status", "duration_ms", "actor", "error_code", "correlation_id")


def lines(stack_file: Path, correlation_id: str | None) -> list[str]:
    """The invocations, warnings and errors with this correlation id, oldest first, under a heading; without one the
    last fifty invocations of all.

    Refuses when no stack is known or none is running.
    """
    stack = StackFile.read(stack_file)
    engine.of_noted_stack(stack.endpoint_url)
    aws = Aws(stack.endpoint_url)
    found = [entry for group in _groups(aws, stack.system) for entry in _entries(aws, group)]
    found.sort(key=lambda entry: str(entry["timestamp"]))
    if correlation_id:
        wanted = [entry for entry in found if _is_about(entry, correlation_id)]
    else:
        wanted = [entry for entry in found if entry["message"] == _INVOCATION][-50:]
    if not wanted:
        return [f"nothing with the correlation id {correlation_id}" if correlation_id else "nothing was logged yet"]
    return ["  ".join(_SHOWN), *(_line(entry | {"timestamp": _moment(entry["timestamp"])}) for entry in wanted)]


def _moment(logged: str) -> str:
    """As every other timestamp; with milliseconds, which tell what came before what."""
    try:
        return datetime.fromisoformat(logged).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except ValueError:
        return logged


def _is_about(entry: dict[str, Any], correlation_id: str) -> bool:
    return entry.get("correlation_id") == correlation_id or correlation_id in entry.get("correlation_ids", ())


def _line(entry: dict[str, Any]) -> str:
    if entry["message"] == _INVOCATION:
        return "  ".join(str(entry.get(key, "-")) for key in _SHOWN)
    why = next((f": {entry[key]}" for key in _REASONS if entry.get(key)), "")
    where = str(entry.get("consumer", "-"))
    told = f"{entry['level']} {entry['message']}{why}"
    return "  ".join([*(str(entry.get(key, "-")) for key in ("timestamp", "service")), where, told])


def _groups(aws: Aws, system: str) -> Iterator[str]:
    """The log groups of a system: one for each service."""
    pages = aws.client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"/{system}/")
    return (group["logGroupName"] for page in pages for group in page["logGroups"])


def _entries(aws: Aws, group: str) -> Iterator[dict[str, Any]]:
    for page in aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group):
        for event in page["events"]:
            # The runtime's own lines are no JSON, or have no message.
            if event["message"].startswith("{") and (entry := _entry(event["message"])):
                yield entry


def _entry(text: str) -> dict[str, Any] | None:
    """A line of ours that tells of an invocation, or that something is wrong."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    told = found.get("message") == _INVOCATION or ("message" in found and found.get("level") in {"WARNING", "ERROR"})
    return found if told and "timestamp" in found else None
