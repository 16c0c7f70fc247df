"""The lines that invocations of a deployed function leave in its log: one each, as the function ends."""

import json
from typing import Any

from localstack.embedded.stack import LocalStack
from tests.support.library_client import eventually


def log_group(stack: LocalStack, function: str) -> str:
    """Where a function logs, by its name in the template: functions of a service share a log group."""
    found = stack.client("lambda").get_function_configuration(FunctionName=stack.functions[function])
    group: str = found["LoggingConfig"]["LogGroup"]
    return group


def is_invocation_of(message: str, function_name: str) -> bool:
    """Whether the text is the line that an invocation of the function left behind."""
    return '"message":"invocation"' in message and f'"function":"{function_name}"' in message


def invocations(stack: LocalStack, function: str, about: str) -> list[dict[str, Any]]:
    """Of a function, by its name in the template, those lines in which a value is `about`: an id of whatever kind.

    The emulator answers with ten thousand lines at most, the oldest, so it is asked for these only.
    """
    client = stack.client("logs")
    pages = client.get_paginator("filter_log_events")
    try:
        messages = [
            event["message"]
            for page in pages.paginate(logGroupName=log_group(stack, function), filterPattern=f'"{about}"')
            for event in page["events"]
        ]
    except client.exceptions.ResourceNotFoundException:
        return []  # never invoked yet
    name = stack.functions[function]
    return [json.loads(message) for message in messages if is_invocation_of(message, name) and f'"{about}"' in message]


def seconds_of_work(stack: LocalStack, function: str, correlation_id: str) -> float:
    """How long a function worked on the one request with this id: without what a busy machine takes to start it."""
    (line,) = eventually(lambda: invocations(stack, function, correlation_id), "a line in the log")
    return float(line["duration_ms"]) / 1000
