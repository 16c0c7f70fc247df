"""The schedule of the retention job: it starts every hour and does one round a day."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from library_common.telemetry import logged_invocation
from library_common.versions import VersionConflict
from loans_service import bootstrap

if TYPE_CHECKING:
    from loans_service.application.retention_job import RetentionJob

RUN_SECONDS = 200.0
"""Of the function's 300 s. The last member fits into the rest, and the next hour's run does what is left."""


class LoansLeft(Exception):
    """Some loans could not be anonymised. Their ids are in the log, and the next round tries them again."""


class RoundLate(Exception):
    """A round was not finished on the day it began."""


def handler(event: Mapping[str, Any], _context: object) -> None:
    """Lambda entry for the schedule. An operator may send `{"anew": true}` to start another round at once, or
    `{"walk": true}` to start one that first looks through the whole table for accounts.

    Raises LoansLeft at the end of a round, and RoundLate in each run from the day after.
    """
    run_job(event, bootstrap.retention_job(), seconds=RUN_SECONDS)


def run_job(event: Mapping[str, Any], job: "RetentionJob", *, seconds: float) -> None:
    """Does the day's round, or as much of it as fits into so many seconds."""
    with logged_invocation("loan retention", actor="service:loans") as running:
        try:
            result = job.run(seconds=seconds, anew=event.get("anew") is True, walk=event.get("walk") is True)
            progress = result.progress
            running.log_fields |= {
                "round": progress.day.isoformat(),
                "anonymised": str(progress.anonymised),
                "members_keeping_history": str(progress.keeping_history),
                "members_postponed": str(progress.postponed),
                "failed": str(progress.failed),
            }
            if result.late:
                raise RoundLate(f"the round of {progress.day} is not finished yet")
            if progress.failed and result.is_over:
                raise LoansLeft(f"{progress.failed} loans or members failed")
            running.status = result.outcome.value
        except VersionConflict:
            # The other run does the work and logs it.
            running.status = "another run"
