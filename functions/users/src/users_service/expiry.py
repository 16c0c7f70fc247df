"""The nightly run over the memberships: started by a schedule, continued through its own queue.

It is not a `library_common.consumers.Consumer`, though the rest of a run comes from a queue. A run that leaves accounts
undone fails as a whole, so that it ends in the dead letters however it was started. Nothing else is on this queue, so
a failed message holds up no other.
"""

from collections.abc import Mapping
from typing import Any

from library_common.telemetry import logged_invocation
from users_service import bootstrap
from users_service.adapters.expiry_queue import ExpiryQueue, from_message
from users_service.application.membership_expiry import ExpireMemberships

RUN_SECONDS = 200.0
"""Of the function's 300 s. The rest is enough for the last page and its accounts."""


class AccountsLeft(Exception):
    """Some accounts could not be written. The log has their ids; the next run tries them again."""


def handler(event: Mapping[str, Any], _context: object) -> None:
    """Lambda entry for the schedule, and for SQS batches of one. Raises AccountsLeft at the end of a run."""
    run_expiry(event, bootstrap.expire_memberships(), bootstrap.expiry_queue(), seconds=RUN_SECONDS)


def run_expiry(event: Mapping[str, Any], expire: ExpireMemberships, queue: ExpiryQueue, *, seconds: float) -> None:
    """As much of a run as fits; the rest goes to the queue."""
    with logged_invocation("membership expiry") as running:
        after, failed_before = None, 0
        for record in event.get("Records", ()):
            after, failed_before = from_message(record["body"])
        outcome = expire(after, seconds=seconds)
        failed = failed_before + outcome.failed
        running.log_fields |= {"changed": str(outcome.changed), "failed": str(failed)}
        if outcome.next_position is not None:
            # Passes the failures on instead of raising here, which would run this part again.
            queue.go_on(outcome.next_position, failed=failed)
            running.status = "continued"
            return
        if failed:
            raise AccountsLeft(f"{failed} accounts could not be written")
        running.status = "finished"
