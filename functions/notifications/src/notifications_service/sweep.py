"""The sweep: started by a schedule every minute, puts what is due on the sender's queue."""

import time
from collections.abc import Mapping
from typing import Any

from library_common.context import current, invocation
from library_common.telemetry import log_invocation
from notifications_service import bootstrap
from notifications_service.application.sweeping import Sweep


def handler(_event: Mapping[str, Any], _context: object) -> None:
    """Lambda entry for the schedule."""
    go_over(bootstrap.sweep())


def go_over(sweep: Sweep) -> None:
    """One sweep, with its line in the log."""
    started = time.perf_counter()
    status = "failed"
    with invocation(actor="service:notifications"):
        try:
            current().log_fields["queued"] = str(sweep())
            status = "finished"
        finally:
            log_invocation("sweep", status=status, duration_ms=(time.perf_counter() - started) * 1000)
