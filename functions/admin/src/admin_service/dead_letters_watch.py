"""Counts what is in the dead-letter queues, every five minutes, for the one alarm that covers all of them.

The metric is sent only when there is something: CloudWatch charges for metrics by the hour in which they are sent.
"""

from collections.abc import Mapping
from typing import Any

from admin_service import bootstrap
from library_common.telemetry import emit_metric, logged_invocation, logger


def handler(_event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Lambda entry. Answers the queues that are not empty. Raises what SSM or SQS raise: another alarm counts that."""
    with logged_invocation("dead letters watch") as running:
        waiting = bootstrap.dead_letters().waiting()
        if waiting:
            emit_metric("DeadLetters", sum(waiting.values()), service="admin")
            logger().error("dead letters", extra={"queues": waiting})
        running.status = "ok"
    return {"waiting": waiting}
