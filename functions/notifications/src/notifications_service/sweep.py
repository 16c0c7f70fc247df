"""The sweep: runs every minute and queues what is due for the sender."""

from collections.abc import Mapping
from typing import Any

from library_common.context import current, invocation
from library_common.telemetry import log_invocation
from notifications_service import bootstrap
from notifications_service.application.sweep import Sweep


def handler(_event: Mapping[str, Any], _context: object) -> None:
    """Lambda entry for the schedule."""
    run(bootstrap.sweep())


def run(sweep: Sweep) -> None:
    """One sweep, with its log line."""
    status = "failed"
    with invocation(actor="service:notifications"):
        try:
            current().log_fields["queued"] = str(sweep())
            status = "finished"
        finally:
            log_invocation("sweep", status=status)
