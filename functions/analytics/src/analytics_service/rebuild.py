"""The function with which an operator rebuilds the statistics. At night it deletes what a rebuild left.

    {"action": "status" | "begin" | "finish" | "revert" | "abandon" | "clean", "force": true | false}

`force` is for finish: also if too little was replayed. It returns the state of the generations, or
`{"refused": <why>}`. See docs/operations.md.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from analytics_service import bootstrap
from analytics_service.application.rebuild import RebuildRefused
from library_common.telemetry import logged_invocation

_SPARE_SECONDS = 10.0
"""Kept free at the end of a run: a page of deletions takes less."""


class Command(BaseModel):
    """A step of the operator."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["status", "begin", "finish", "revert", "abandon", "clean"]
    force: bool = False


class _Context(Protocol):
    def get_remaining_time_in_millis(self) -> int: ...


def handler(event: Mapping[str, Any], context: _Context) -> dict[str, Any]:
    """Lambda handler. Raises pydantic's ValidationError for an invalid command. The event of the schedule cleans."""
    with logged_invocation("analytics rebuild") as running:
        nightly = event.get("source") == "aws.events"
        command = Command.model_validate({"action": "clean"} if nightly else event)
        answer = _carry_out(command, context, nightly=nightly)
        running.status = "refused" if "refused" in answer else "ok"
        running.log_fields["action"] = command.action
    return answer


def _carry_out(command: Command, context: _Context, *, nightly: bool) -> dict[str, Any]:
    rebuild = bootstrap.rebuild(lambda: _seconds_left(context))
    steps: dict[str, Callable[[], dict[str, Any]]] = {
        "status": rebuild.status,
        "begin": rebuild.begin,
        "finish": partial(rebuild.finish, force=command.force),
        "revert": rebuild.revert,
        "abandon": rebuild.abandon,
        "clean": partial(rebuild.clean, nightly=nightly),
    }
    try:
        return steps[command.action]()
    except RebuildRefused as refused:
        return {"refused": str(refused)}


def _seconds_left(context: _Context | None) -> float:
    # Direct calls have no context: delete one page then.
    if context is None:
        return _SPARE_SECONDS
    return context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS
