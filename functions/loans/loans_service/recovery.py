"""The recovery queue: loans that were left unfinished, looked at a little later."""

import json
import time
from collections.abc import Mapping
from typing import Any

from library_common.context import current, invocation
from library_common.telemetry import count, log_invocation, logger
from loans_service import bootstrap
from loans_service.application.recovering import Recovering


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Lambda entry for SQS batches; answers which messages failed and are to come again."""
    return recover_batch(event.get("Records", []), bootstrap.recovering())


def recover_batch(records: list[Mapping[str, Any]], recovering: Recovering) -> dict[str, Any]:
    """One bad message does not hold up the others."""
    failures: list[dict[str, str]] = []
    for record in records:
        started = time.perf_counter()
        status = "failed"
        with invocation(actor="service:loans"):
            try:
                message = json.loads(record["body"])
                current().notes["loan_id"] = message["loan_id"]
                finished = recovering.recover(message["loan_id"], int(message["attempt"]))
                status = "finished" if finished else "later"
            except Exception:  # noqa: BLE001
                # Whatever it is: the message comes again, and ends in the dead-letter queue if it stays so.
                logger().exception("recovery failed")
                failures.append({"itemIdentifier": record["messageId"]})
            count("LoanRecovery", outcome=status)
            log_invocation("recovery", status=status, duration_ms=(time.perf_counter() - started) * 1000)
    return {"batchItemFailures": failures}
