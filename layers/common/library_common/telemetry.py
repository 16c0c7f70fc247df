"""Logging and metrics: one JSON line per invocation, metrics in the embedded metric format (EMF).

Powertools formats them; this module decides which fields a line has. Logs hold ids, never personal data.
"""

import logging
import os
from functools import cache

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from library_common.context import current

NAMESPACE = "SmartLibrary"

# They log every request, and at DEBUG its content, which may be personal data.
for _library in ("mangum", "botocore", "urllib3"):
    logging.getLogger(_library).setLevel(logging.WARNING)


@cache
def logger() -> Logger:
    """The logger of the process. POWERTOOLS_SERVICE_NAME sets the service's name."""
    return Logger(level=os.environ.get("LOG_LEVEL", "INFO"), log_uncaught_exceptions=False, utc=True)


def count(name: str, value: float = 1, **dimensions: str) -> None:
    """Adds to a counter metric. Dimensions must have few values (an error code, a service), so never ids."""
    with single_metric(name=name, unit=MetricUnit.Count, value=value, namespace=NAMESPACE) as metric:
        for key, text in dimensions.items():
            metric.add_dimension(name=key, value=text)


def log_invocation(entry: str, *, status: int | str, duration_ms: float) -> None:
    """Logs the one line that every invocation writes."""
    record = current()
    fields: dict[str, object] = {
        "correlation_id": record.correlation_id,
        "actor": record.actor,
        "route": record.route or entry,
        "status": status,
        "duration_ms": round(duration_ms, 1),
        "read_units": record.read_units,
        "write_units": record.write_units,
        "outgoing_calls": record.outgoing_calls,
        "limit_calls": record.limit_calls,
        "limit_reads": record.limit_reads,
        "limit_writes": record.limit_writes,
        **record.log_fields,
    }
    if record.error_code:
        fields["error_code"] = record.error_code
    if record.batch:
        fields["correlation_ids"] = list(record.batch)
    logger().info("invocation", extra=fields)
