"""The lines that invocations of a deployed function leave in its log: one each, as the function ends."""

import json
from typing import Any

from localstack.embedded.stack import LocalStack
from tests.support.library_client import eventually


def invocations(stack: LocalStack, function: str, about: str) -> list[dict[str, Any]]:
    """Of a function, by its name in the template, those lines in which a value is `about`: an id of whatever kind."""
    client = stack.client("logs")
    pages = client.get_paginator("filter_log_events")
    try:
        messages = [
            event["message"]
            for page in pages.paginate(logGroupName=f"/aws/lambda/{stack.functions[function]}")
            for event in page["events"]
        ]
    except client.exceptions.ResourceNotFoundException:
        return []  # never invoked yet
    return [
        json.loads(message) for message in messages if '"message":"invocation"' in message and f'"{about}"' in message
    ]


def seconds_of_work(stack: LocalStack, function: str, correlation_id: str) -> float:
    """How long a function worked on the one request with this id: without what a busy machine takes to start it."""
    (line,) = eventually(lambda: invocations(stack, function, correlation_id), "a line in the log")
    return float(line["duration_ms"]) / 1000
