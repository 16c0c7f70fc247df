"""The function an operator rebuilds the statistics with, and that deletes at night what a rebuild left.

    {"action": "status" | "begin" | "finish" | "abandon" | "clean"}

It answers the state of the generations; for what it refuses, `{"refused": <why>}`. See docs/operations.md.
"""

import time
from collections.abc import Mapping
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

    action: Literal["status", "begin", "finish", "abandon", "clean"]


class _Context(Protocol):
    def get_remaining_time_in_millis(self) -> int: ...


def handler(event: Mapping[str, Any], context: _Context) -> dict[str, Any]:
    """Lambda entry. Raises pydantic's ValidationError for a command that is none. The schedule's event cleans."""
    started = time.perf_counter()
    with invocation():
        status = "failed"
        try:
            command = Command.model_validate({"action": "clean"} if event.get("source") == "aws.events" else event)
            answer = _carry_out(command, context)
            status = "refused" if "refused" in answer else "ok"
            current().notes["action"] = command.action
        finally:
            log_invocation("analytics rebuild", status=status, duration_ms=(time.perf_counter() - started) * 1000)
    return answer


def _carry_out(command: Command, context: _Context) -> dict[str, Any]:
    rebuilding = bootstrap.rebuilding(lambda: _seconds_left(context))
    try:
        match command.action:
            case "status":
                return rebuilding.status()
            case "begin":
                return rebuilding.begin()
            case "finish":
                return rebuilding.finish()
            case "abandon":
                return rebuilding.abandon()
            case "clean":
                return rebuilding.clean()
    except RebuildRefused as refused:
        return {"refused": str(refused)}


def _seconds_left(context: _Context | None) -> float:
    # Hand-made invocations have no context: one page then.
    if context is None:
        return _SPARE_SECONDS
    return context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS
