"""What a request left in the logs of all functions, for those without a console: one line per invocation."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localstack.embedded import engine
from localstack.embedded.aws import Aws
from localstack.embedded.state import StackFile

_SHOWN = ("timestamp", "service", "route", "status", "duration_ms", "actor", "error_code", "correlation_id")


def lines(stack_file: Path, correlation_id: str | None) -> list[str]:
    """The invocations with this correlation id, oldest first, under a heading; without one the last fifty of all.

    Refuses when no stack is known or none is running.
    """
    stack = StackFile.read(stack_file)
    engine.of_noted_stack(stack.endpoint_url)
    aws = Aws(stack.endpoint_url)
    found = [entry for name in stack.functions.values() for entry in _invocations(aws, name)]
    found.sort(key=lambda entry: str(entry["timestamp"]))
    wanted = [e for e in found if e["correlation_id"] == correlation_id] if correlation_id else found[-50:]
    if not wanted:
        return [f"nothing with the correlation id {correlation_id}" if correlation_id else "nothing was logged yet"]
    return ["  ".join(_SHOWN), *("  ".join(str(entry.get(key, "-")) for key in _SHOWN) for entry in wanted)]


def _invocations(aws: Aws, function: str) -> Iterator[dict[str, Any]]:
    client = aws.client("logs")
    try:
        for page in client.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}"):
            for event in page["events"]:
                if '"message":"invocation"' in event["message"]:
                    yield json.loads(event["message"])
    except client.exceptions.ResourceNotFoundException:
        return  # never invoked
