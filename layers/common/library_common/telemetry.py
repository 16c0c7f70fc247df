"""Logging and metrics: one JSON line per invocation with its counters; metrics only for what an alarm watches.

CloudWatch charges for each metric by the hour in which it is sent, and nothing for a counter in a line that is there
anyway (docs/decisions/0011-idle-cost.md). Powertools formats both; this module decides which fields a line has. Logs
hold ids, never personal data.
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from library_common.context import Invocation, current, invocation

NAMESPACE = "SmartLibrary"

# They log every request, and at DEBUG its content, which may be personal data.
for _library in ("mangum", "botocore", "urllib3"):
    logging.getLogger(_library).setLevel(logging.WARNING)


@cache
def logger() -> Logger:
    """The logger of the process. POWERTOOLS_SERVICE_NAME sets the service's name."""
    return Logger(level=os.environ.get("LOG_LEVEL", "INFO"), log_uncaught_exceptions=False, utc=True)


def count(name: str, value: float = 1, **dimensions: str) -> None:
    """Adds to a counter of the running invocation, which its log line carries in `counts`. Outside of an invocation
    it does nothing. Dimensions must have few values (a reason, a channel), so never ids.
    """
    counter = " ".join([name, *(f"{key}={text}" for key, text in dimensions.items())])
    counts = current().counts
    counts[counter] = counts.get(counter, 0) + value


def emit_metric(name: str, value: float = 1, *, service: str) -> None:
    """Sends a metric at once, in the embedded metric format (EMF). Only for what an alarm watches: a test
    compares them.

    service: whose alarm it is, whichever function sends it.
    """
    with single_metric(name=name, unit=MetricUnit.Count, value=value, namespace=NAMESPACE) as metric:
        metric.add_dimension(name="service", value=service)


@contextmanager
def logged_invocation(entry: str, *, actor: str = "system", correlation_id: str | None = None) -> Iterator[Invocation]:
    """Opens a record for one invocation, or for one message of a batch, and logs its line at the end.

    Set the record's `status`; it stays `failed` until then.
    """
    with invocation(correlation_id, actor) as record:
        try:
            yield record
        finally:
            _log(record, entry)


def _log(record: Invocation, entry: str) -> None:
    fields: dict[str, object] = {
        "correlation_id": record.correlation_id,
        "actor": record.actor,
        "route": record.route or entry,
        "status": record.status,
        "duration_ms": round((time.perf_counter() - record.started) * 1000, 1),
        "read_units": record.read_units,
        "write_units": record.write_units,
        "outgoing_calls": record.outgoing_calls,
        "limit_calls": record.limit_calls,
        "limit_reads": record.limit_reads,
        "limit_writes": record.limit_writes,
        **record.log_fields,
    }
    if function := os.environ.get("AWS_LAMBDA_FUNCTION_NAME"):
        fields["function"] = function  # those of a service share a log group
    if record.error_code:
        fields["error_code"] = record.error_code
    if record.counts:
        fields["counts"] = record.counts
    if record.batch:
        fields["correlation_ids"] = list(record.batch)
    logger().info("invocation", extra=fields)
