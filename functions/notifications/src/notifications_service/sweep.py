"""The sweep: runs every minute and queues what is due for the sender."""

from collections.abc import Mapping
from typing import Any

from library_common.telemetry import logged_invocation
from notifications_service import bootstrap
from notifications_service.application.sweep import Sweep


def handler(_event: Mapping[str, Any], _context: object) -> None:
    """Lambda entry for the schedule."""
    run(bootstrap.sweep())


def run(sweep: Sweep) -> None:
    """One sweep, with its log line."""
    with logged_invocation("sweep", actor="service:notifications") as running:
        running.log_fields["queued"] = str(sweep())
        running.status = "finished"
