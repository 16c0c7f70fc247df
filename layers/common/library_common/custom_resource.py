"""CloudFormation custom resources: work that a deployment itself has to do, answered as CloudFormation expects."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import urllib3

from library_common.telemetry import logger

type Work = Callable[[Mapping[str, Any]], None]
"""Gets the resource's properties. May be called again for the same deployment, so it must be repeatable."""


class Refused(Exception):
    """The work cannot be done as asked. Its sentence is shown to whoever deploys, so nothing secret is in it."""


def answer(event: Mapping[str, Any], work: Work, undo: Work | None = None) -> None:
    """Does the work for Create and Update, undoes it for Delete if it says how, and reports to CloudFormation.

    Never raises because of the work: a resource that does not answer holds a deployment up for an hour. Raises
    urllib3's errors when the report itself cannot be delivered, so that Lambda tries again.
    """
    status, reason = "SUCCESS", "done"
    try:
        chosen = work if event["RequestType"] != "Delete" else undo
        if chosen is not None:
            chosen(event.get("ResourceProperties") or {})
    except Refused as exc:
        logger().warning("custom resource refused", extra={"reason": str(exc)})
        status, reason = "FAILED", str(exc)
    except Exception as exc:  # noqa: BLE001 - whatever it was, CloudFormation has to hear of it
        logger().exception("custom resource failed")
        status, reason = "FAILED", f"{type(exc).__name__}; the log says more"
    report = {
        "Status": status,
        "Reason": reason,
        # The same for the resource's whole life: another one would have CloudFormation delete the old "resource".
        "PhysicalResourceId": event.get("PhysicalResourceId") or event["LogicalResourceId"],
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
    }
    # An empty content type: the address is signed for exactly that.
    urllib3.request(
        "PUT",
        event["ResponseURL"],
        body=json.dumps(report).encode(),
        headers={"Content-Type": ""},
        timeout=10.0,
        retries=3,
    )
