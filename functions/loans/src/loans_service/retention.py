"""The round over closed loans: started every hour by a schedule, does a round a day."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from library_common.context import current, invocation
from library_common.telemetry import log_invocation
from loans_service import bootstrap
from loans_service.application.forgetting_ports import AnotherRun

if TYPE_CHECKING:
    from loans_service.application.rounds import Progress, RetentionRound

ROUND_SECONDS = 200.0
"""Of the function's 300 s; the last member's question and loans fit into the rest. What is left is the next hour's."""


class LoansLeft(Exception):
    """Some loans could not be anonymised. Their ids are in the log; the next round tries them again."""


class RoundLate(Exception):
    """A round did not get through on the day it began."""


def handler(event: Mapping[str, Any], _context: object) -> None:
    """Lambda entry for the schedule. An operator's event may say `{"anew": true}`: another round at once, or
    `{"walk": true}`: that, and look for accounts through the whole table before.

    Raises LoansLeft at the end of a round, RoundLate in each run from the day after.
    """
    go_round(event, bootstrap.retention_round(), seconds=ROUND_SECONDS)


def go_round(event: Mapping[str, Any], retention: "RetentionRound", *, seconds: float) -> None:
    """A round, or as much of it as fits."""
    started = time.perf_counter()
    status = "failed"
    with invocation(actor="service:loans"):
        try:
            progress = retention.go_on(seconds=seconds, anew=event.get("anew") is True, walk=event.get("walk") is True)
            _note(progress)
            if progress.late:
                raise RoundLate(f"the round of {progress.round.day} is not through yet")
            if progress.round.failed and progress.is_over:
                raise LoansLeft(f"{progress.round.failed} loans or members failed")
            status = progress.ended.value
        except AnotherRun:
            # It does what is to be done, and says so in its own line.
            status = "another run"
        finally:
            log_invocation("loan retention", status=status, duration_ms=(time.perf_counter() - started) * 1000)


def _note(progress: "Progress") -> None:
    """The round so far, in the one line of the run."""
    done = progress.round
    current().log_fields |= {
        "round": done.day.isoformat(),
        "forgotten": str(done.forgotten),
        "members_keeping": str(done.keeping),
        "members_put_off": str(done.put_off),
        "failed": str(done.failed),
    }
