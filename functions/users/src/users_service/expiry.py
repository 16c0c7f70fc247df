"""The nightly round over the memberships: started by a schedule, and by its own queue where one run is not enough.

It is no `library_common.consumers.Consumer`, though the rest of a round comes from a queue. Its work is the round, not
the message: begun by the schedule or gone on with, it does and logs the same, and what went wrong is to be an error of
the function, which MembershipExpiryErrors watches in both cases. A consumer answers for each message instead and never
fails as a function, so the alarm would see only rounds that one run was enough for. And nothing else is on this queue:
there is no other message that a failed one could hold up.
"""

import time
from collections.abc import Mapping
from typing import Any

from library_common.context import current, invocation
from library_common.telemetry import log_invocation
from users_service import bootstrap
from users_service.adapters.round_queue import QueuedRounds, from_message
from users_service.application.lapsing import LapseMemberships

ROUND_SECONDS = 200.0
"""Of the function's 300 s; the last page of the directory and its accounts fit into the rest."""


class AccountsLeft(Exception):
    """Some accounts could not be written. Their ids are in the log; the next round tries them again."""


def handler(event: Mapping[str, Any], _context: object) -> None:
    """Lambda entry for the schedule, and for SQS batches of one. Raises AccountsLeft at the end of a round."""
    go_round(event, bootstrap.lapse_memberships(), bootstrap.rounds(), seconds=ROUND_SECONDS)


def go_round(event: Mapping[str, Any], lapse: LapseMemberships, rounds: QueuedRounds, *, seconds: float) -> None:
    """A round, or as much of it as fits; the rest is put on the queue."""
    started = time.perf_counter()
    status = "failed"
    with invocation():
        try:
            after, failed_before = None, 0
            for record in event.get("Records", ()):
                after, failed_before = from_message(record["body"])
            outcome = lapse(after, seconds=seconds)
            failed = failed_before + outcome.failed
            current().log_fields |= {"changed": str(outcome.changed), "failed": str(failed)}
            if outcome.next_place is not None:
                # Failures travel along instead of being raised here: raising would start this part over.
                rounds.go_on(outcome.next_place, failed=failed)
                status = "continued"
                return
            if failed:
                raise AccountsLeft(f"{failed} accounts could not be written")
            status = "finished"
        finally:
            log_invocation("membership expiry", status=status, duration_ms=(time.perf_counter() - started) * 1000)
