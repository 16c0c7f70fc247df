"""One stack in CloudFormation: its change set, how far it is, and which resource failed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from localstack.embedded.aws import Aws
from localstack.embedded.errors import Refusal

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.literals import CapabilityType, ChangeSetTypeType
    from mypy_boto3_cloudformation.type_defs import (
        CreateChangeSetInputTypeDef,
        ParameterTypeDef,
        ResourceToImportTypeDef,
        StackEventTypeDef,
    )

_CAPABILITIES: list[CapabilityType] = [
    "CAPABILITY_IAM",
    "CAPABILITY_NAMED_IAM",
    "CAPABILITY_AUTO_EXPAND",
]
SUCCEEDED = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
LONGEST_BODY_BYTES = 51_200
"""CloudFormation's limit for a template inside a request."""


def apply(
    aws: Aws,
    stack_name: str,
    bucket: str,
    body: bytes,
    parameters: Mapping[str, str],
    *,
    imported: Sequence[ResourceToImportTypeDef] = (),
) -> bool:
    """Brings the stack up to date through a change set. Returns False when there was nothing to change.

    ``bucket``: for templates too long for a request. ``imported``: resources that exist already and that a new stack
    takes over; the template holds nothing else. Refuses with the resource that failed first and its reason.
    """
    cloudformation = aws.cloudformation
    status = status_of(aws, stack_name)
    if status == "ROLLBACK_COMPLETE":
        # What is left of a failed creation can only be deleted.
        cloudformation.delete_stack(StackName=stack_name)
        wait_until_done(aws, stack_name)
        status = None
    kind: ChangeSetTypeType = "CREATE" if status in {None, "REVIEW_IN_PROGRESS"} else "UPDATE"
    given: list[ParameterTypeDef] = [
        {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
    ]
    request: CreateChangeSetInputTypeDef = {
        "StackName": stack_name,
        "ChangeSetName": f"deploy-{time.time_ns()}",
        "ChangeSetType": kind,
        "Parameters": given,
        "Capabilities": _CAPABILITIES,
    }
    if imported:
        request |= {"ChangeSetType": "IMPORT", "ResourcesToImport": imported}
    if len(body) <= LONGEST_BODY_BYTES:
        request["TemplateBody"] = body.decode()
    else:
        key = f"{stack_name}/template.json"
        aws.s3.put_object(Bucket=bucket, Key=key, Body=body)
        request["TemplateURL"] = f"{aws.s3.meta.endpoint_url.rstrip('/')}/{bucket}/{key}"
    try:
        change_set = cloudformation.create_change_set(**request)["Id"]
    except ClientError as error:
        raise Refusal(f"The template was refused: {error.response['Error']['Message']}") from error
    if not _change_set_ready(aws, change_set):
        cloudformation.delete_change_set(ChangeSetName=change_set)
        return False
    cloudformation.execute_change_set(ChangeSetName=change_set)
    reached = wait_until_done(aws, stack_name)
    if reached not in SUCCEEDED:
        raise Refusal(f"Deploying {stack_name} ended in {reached}: {_first_failure(aws, stack_name)}")
    return True


def _change_set_ready(aws: Aws, change_set: str) -> bool:
    for _ in _polls(aws):
        answer = aws.cloudformation.describe_change_set(ChangeSetName=change_set)
        if answer["Status"] == "CREATE_COMPLETE":
            return True
        if answer["Status"] == "FAILED":
            reason = answer.get("StatusReason", "no reason given")
            if "didn't contain changes" in reason or "No updates are to be performed" in reason:
                return False
            raise Refusal(f"The change set could not be made: {reason}")
    raise Refusal("The change set was not ready in time.")


def wait_until_done(aws: Aws, stack_name: str) -> str | None:
    """Waits until no operation is in progress. Returns the stack's status, None when it is gone."""
    for _ in _polls(aws):
        status = status_of(aws, stack_name)
        if status is None or not status.endswith("_IN_PROGRESS"):
            return status
    raise Refusal(f"Stack {stack_name} was not done in time.")


def _polls(aws: Aws) -> Iterator[None]:
    """Comes back until five minutes have passed. On AWS half an hour, and less often: it limits such calls."""
    pause, most = (0.1, 300.0) if aws.endpoint_url else (5.0, 1800.0)
    deadline = time.monotonic() + most
    while time.monotonic() < deadline:
        yield
        time.sleep(pause)


def status_of(aws: Aws, stack_name: str) -> str | None:
    """The stack's status; None when there is no such stack."""
    try:
        status: str = aws.cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]["StackStatus"]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    return None if status == "DELETE_COMPLETE" else status


def parameters_of(aws: Aws, stack_name: str) -> dict[str, str]:
    """The values of a stack's parameters."""
    stack = aws.cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    return {item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", [])}


def _first_failure(aws: Aws, stack_name: str) -> str:
    """The resource that failed first in the stack's latest operation, and why."""
    first: StackEventTypeDef | None = None
    # Newest first, back to where the operation began.
    for event in _events(aws, stack_name):
        status = event.get("ResourceStatus", "")
        if event.get("LogicalResourceId") == stack_name:
            if status in {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "IMPORT_IN_PROGRESS"}:
                break
            if "DescribeEvents" in event.get("ResourceStatusReason", ""):
                return _first_invalid(aws, stack_name)
        elif status.endswith("_FAILED") and "cancelled" not in event.get("ResourceStatusReason", "").lower():
            first = event
    if first is None:
        return "no failing resource was reported."
    return f"{first.get('LogicalResourceId')} ({first.get('ResourceType')}): {first.get('ResourceStatusReason')}"


def _first_invalid(aws: Aws, stack_name: str) -> str:
    """What CloudFormation's validation found, when it refused to start the latest operation."""
    for event in aws.cloudformation.describe_events(StackName=stack_name)["OperationEvents"]:
        if event.get("EventType") == "VALIDATION_ERROR":
            reason = event.get("ValidationStatusReason")
            return f"{event.get('LogicalResourceId')} ({event.get('ResourceType')}): {reason}"
    return "its validation failed."


def _events(aws: Aws, stack_name: str) -> Iterator[StackEventTypeDef]:
    for page in aws.cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_name):
        yield from page["StackEvents"]
