"""CloudFormation custom resources: work that is part of a deployment, and the report to CloudFormation."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import urllib3

from library_common.telemetry import logger

type Work = Callable[[Mapping[str, Any]], None]
"""Takes the resource's properties. It must be idempotent: CloudFormation may call twice."""


class Refused(Exception):
    """The work cannot be done with these properties. The message is shown in CloudFormation: no secrets in it."""


def answer(event: Mapping[str, Any], work: Work, undo: Work | None = None) -> None:
    """Does the work for Create and Update, `undo` for Delete, and reports the result to CloudFormation.

    A failure of the work is reported, not raised: a deployment waits an hour for a resource that does not answer.
    Raises urllib3's errors when the report cannot be delivered, so that Lambda tries again.
    """
    status, reason = "SUCCESS", "done"
    try:
        chosen = work if event["RequestType"] != "Delete" else undo
        if chosen is not None:
            chosen(event.get("ResourceProperties") or {})
    except Refused as exc:
        logger().warning("custom resource refused", extra={"reason": str(exc)})
        status, reason = "FAILED", str(exc)
    except Exception as exc:  # noqa: BLE001 - every failure is reported to CloudFormation
        logger().exception("custom resource failed")
        status, reason = "FAILED", f"{type(exc).__name__}; see the log"
    report = {
        "Status": status,
        "Reason": reason,
        # Must never change: CloudFormation would delete the resource with the old id.
        "PhysicalResourceId": event.get("PhysicalResourceId") or event["LogicalResourceId"],
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
    }
    # The URL is signed for an empty content type.
    urllib3.request(
        "PUT",
        event["ResponseURL"],
        body=json.dumps(report).encode(),
        headers={"Content-Type": ""},
        timeout=10.0,
        retries=3,
    )
