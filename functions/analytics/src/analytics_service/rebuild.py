"""The function an operator rebuilds the statistics with, and that deletes at night what a rebuild left.

    {"action": "status" | "begin" | "finish" | "revert" | "abandon" | "clean", "force": true | false}

`force` is for finish: also when too little was replayed. It answers the state of the generations; for what it refuses,
`{"refused": <why>}`. See docs/operations.md.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from analytics_service import bootstrap
from analytics_service.application.rebuilding import RebuildRefused
from library_common.context import current, invocation
from library_common.telemetry import log_invocation

_SPARE_SECONDS = 10.0
"""Kept free at the end of a run: a page of deletions takes less."""


class Command(BaseModel):
    """What somebody asks for."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["status", "begin", "finish", "revert", "abandon", "clean"]
    force: bool = False


class _Context(Protocol):
    def get_remaining_time_in_millis(self) -> int: ...


def handler(event: Mapping[str, Any], context: _Context) -> dict[str, Any]:
    """Lambda entry. Raises pydantic's ValidationError for a command that is none. The schedule's event cleans."""
    started = time.perf_counter()
    with invocation():
        status = "failed"
        try:
            nightly = event.get("source") == "aws.events"
            command = Command.model_validate({"action": "clean"} if nightly else event)
            answer = _carry_out(command, context, nightly=nightly)
            status = "refused" if "refused" in answer else "ok"
            current().log_fields["action"] = command.action
        finally:
            log_invocation("analytics rebuild", status=status, duration_ms=(time.perf_counter() - started) * 1000)
    return answer


def _carry_out(command: Command, context: _Context, *, nightly: bool) -> dict[str, Any]:
    rebuilding = bootstrap.rebuilding(lambda: _seconds_left(context))
    steps: dict[str, Callable[[], dict[str, Any]]] = {
        "status": rebuilding.status,
        "begin": rebuilding.begin,
        "finish": partial(rebuilding.finish, force=command.force),
        "revert": rebuilding.revert,
        "abandon": rebuilding.abandon,
        "clean": partial(rebuilding.clean, nightly=nightly),
    }
    try:
        return steps[command.action]()
    except RebuildRefused as refused:
        return {"refused": str(refused)}


def _seconds_left(context: _Context | None) -> float:
    # Hand-made invocations have no context: one page then.
    if context is None:
        return _SPARE_SECONDS
    return context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS
