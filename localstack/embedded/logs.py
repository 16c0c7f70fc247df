"""``make logs``: the log lines of a request from all functions. One line per invocation; with a correlation id every
warning and error as well.

Functions that work on batches log one line per batch, with an id of its own. It is found by the ids of the messages in
the batch, too.
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
    """The invocations, warnings and errors with this correlation id, or the last fifty invocations.

    Oldest first, under a heading. Refuses when no running stack is known.
    """
    stack = StackFile.read(stack_file)
    engine.of_known_stack(stack.endpoint_url)
    aws = Aws(stack.endpoint_url)
    found = [entry for group in _groups(aws, stack.system) for entry in _entries(aws, group, correlation_id)]
    found.sort(key=lambda entry: str(entry["timestamp"]))
    if correlation_id:
        wanted = [entry for entry in found if _is_about(entry, correlation_id)]
    else:
        wanted = [entry for entry in found if entry["message"] == _INVOCATION][-50:]
    if not wanted:
        return [f"nothing with the correlation id {correlation_id}" if correlation_id else "nothing was logged yet"]
    return ["  ".join(_SHOWN), *(_line(entry | {"timestamp": _timestamp(entry["timestamp"])}) for entry in wanted)]


def _timestamp(logged: str) -> str:
    """RFC 3339 in UTC, with milliseconds, which show the order."""
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
    what = f"{entry['level']} {entry['message']}{why}"
    return "  ".join([*(str(entry.get(key, "-")) for key in ("timestamp", "service")), where, what])


def _groups(aws: Aws, system: str) -> Iterator[str]:
    """The log groups of a system: one for each service."""
    pages = aws.client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"/{system}/")
    return (group["logGroupName"] for page in pages for group in page["logGroups"])


def _entries(aws: Aws, group: str, correlation_id: str | None) -> Iterator[dict[str, Any]]:
    # MiniStack answers with ten thousand lines at most, the oldest ones that match.
    pattern = f'"{correlation_id}"' if correlation_id else ""
    pages = aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern=pattern)
    for page in pages:
        for event in page["events"]:
            # Lines of the runtime are not JSON or have no message.
            if event["message"].startswith("{") and (entry := _entry(event["message"])):
                yield entry


def _entry(text: str) -> dict[str, Any] | None:
    """The line as a document if it is about an invocation, or a warning or error; None for every other line."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    wanted = found.get("message") == _INVOCATION or ("message" in found and found.get("level") in {"WARNING", "ERROR"})
    return found if wanted and "timestamp" in found else None
