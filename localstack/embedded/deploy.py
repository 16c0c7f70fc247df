"""Build and deployment through CloudFormation, as ``sam deploy`` does it, to an emulator's endpoint."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from localstack.embedded import composition, package, template
from localstack.embedded.aws import Aws
from localstack.embedded.engine import Engine
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import ROOT, TEMPLATE

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.literals import CapabilityType, ChangeSetTypeType
    from mypy_boto3_cloudformation.type_defs import CreateChangeSetInputTypeDef, ParameterTypeDef, StackEventTypeDef

_CAPABILITIES: list[CapabilityType] = [
    "CAPABILITY_IAM",
    "CAPABILITY_NAMED_IAM",
    "CAPABILITY_AUTO_EXPAND",
]
_POLL_SECONDS = 0.1
_DEADLINE_SECONDS = 300.0
_SUCCEEDED = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
_DIGEST = "DeployedDigest"
"""An output that says what a stack was deployed from. Not a tag: a tag reaches every resource, and changes them all."""
# CloudFormation's limit for a template inside a request.
_LONGEST_BODY_BYTES = 51_200


@dataclass(frozen=True, slots=True)
class Deployment:
    """The deployed stacks of a system.

    ``resources``: logical id → (type, physical id), of everything that has an id of its own in the system.
    ``outputs``: what the stacks put out, and the physical ids of their resources by logical id: names of tables,
    functions and parameters, addresses of queues.
    ``changed``: the stacks that were deployed now; of the others the engine had exactly this template and code.
    """

    system: str
    outputs: Mapping[str, str]
    resources: Mapping[str, tuple[str, str]]
    changed: frozenset[str] = frozenset()

    def only(self, resource_type: str) -> str:
        """The physical id of the one resource of a type. Refuses when there is none or more than one."""
        found = [physical for kind, physical in self.resources.values() if kind == resource_type]
        if len(found) != 1:
            raise Refusal(f"{self.system} has {len(found)} resources of type {resource_type}, not 1.")
        return found[0]

    def physical_ids(self, resource_type: str) -> dict[str, str]:
        """Logical id → physical id of every resource of a type."""
        return {logical: physical for logical, (kind, physical) in self.resources.items() if kind == resource_type}

    @property
    def tables(self) -> dict[str, str]:
        """Service → table name; UsersTable is the table of "users"."""
        return {
            logical.removesuffix("Table").lower(): name
            for logical, name in self.physical_ids("AWS::DynamoDB::Table").items()
        }

    @property
    def functions(self) -> dict[str, str]:
        """Logical id → function name."""
        return self.physical_ids("AWS::Lambda::Function")

    def output(self, name: str) -> str:
        """One output. Refuses when no stack gives it."""
        try:
            return self.outputs[name]
        except KeyError:
            raise Refusal(f"No stack of {self.system} has an output {name}.") from None


def deploy(
    aws: Aws,
    engine: Engine,
    root: Path,
    build: Path,
    system: str,
    parameters: Mapping[str, str],
    *,
    service: str | None = None,
) -> Deployment:
    """Packages what the templates name, uploads it and brings the stacks up to date, one after the other.

    ``parameters``: for every stack that declares them. ``service``: only this stack.
    A stack that is as it should be already is left alone. Refuses with the failing resource and its reason when
    CloudFormation does not succeed within five minutes; the stacks before it stay deployed.
    """
    require_no_single_stack(aws, system)
    bucket = _artifact_bucket(aws, system)
    deployed = _deployed_digests(aws, system)
    given = {**_missing_here(engine), **parameters, "System": system}
    changed = set()
    for stack in composition.chosen(root, service):
        source = template.load(stack.template_file)
        uploads = _Uploads(aws, bucket, source, stack.template_file.parent, build, flatten=not engine.applies_layers)
        packaged = template.with_uploaded_code(source, uploads.put)
        own = {name: value for name, value in given.items() if name in source.get("Parameters", {})}
        digest = hashlib.sha256((template.dump(packaged) + json.dumps(own, sort_keys=True)).encode()).hexdigest()
        stack_name = stack.stack_name(system)
        if deployed.get(stack_name) == digest:
            continue
        packaged.setdefault("Outputs", {})[_DIGEST] = {"Value": digest}
        body = template.dump(packaged).encode()
        build.mkdir(parents=True, exist_ok=True)
        (build / f"{stack.name}.json").write_bytes(body)
        if _apply(aws, stack_name, bucket, body, own):
            changed.add(stack.name)
    return replace(describe(aws, root, system), changed=frozenset(changed))


def describe(aws: Aws, root: Path, system: str) -> Deployment:
    """What is deployed of a system at the moment."""
    resources: dict[str, tuple[str, str]] = {}
    found: dict[str, str] = {}
    repeated: set[str] = set()
    for stack in composition.stacks(root):
        own = _resources(aws, stack.stack_name(system))
        # Layers, log groups and such are called the same in every stack: nobody asks for them by name.
        repeated |= resources.keys() & own.keys()
        resources |= own
        found |= _stack_outputs(aws, stack.stack_name(system))
    single = {logical: both for logical, both in resources.items() if logical not in repeated}
    ids = {logical: physical for logical, (_, physical) in single.items()}
    return Deployment(system=system, outputs={**ids, **found}, resources=single)


def outputs(aws: Aws, system: str) -> dict[str, str]:
    """The outputs of a deployed system by name, and the physical ids of its resources by logical id."""
    return dict(describe(aws, TEMPLATE, system).outputs)


def require_no_single_stack(aws: Aws, system: str) -> None:
    """Refuses where the whole system is still one stack, as it was before services had stacks of their own."""
    if _status(aws, system) is not None:
        raise Refusal(
            f"{system} was deployed as one stack, before services had stacks of their own. If it is a local library, "
            "run `make reset`; otherwise docs/operations.md says how its tables are taken over."
        )


def _missing_here(engine: Engine) -> dict[str, str]:
    """Parameters that leave out what an engine cannot deploy: MiniStack's CloudFormation does not know archives."""
    return {"EventArchive": "None"} if engine.name == "ministack" else {}


def _deployed_digests(aws: Aws, system: str) -> dict[str, str]:
    """Stack name → digest of what was deployed last, of the stacks whose last deployment succeeded."""
    found = {}
    for page in aws.cloudformation.get_paginator("describe_stacks").paginate():
        for stack in page["Stacks"]:
            if stack["StackName"].startswith(f"{system}-") and stack["StackStatus"] in _SUCCEEDED:
                told = {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}
                found[stack["StackName"]] = told.get(_DIGEST, "")
    return found


def _stack_outputs(aws: Aws, stack_name: str) -> dict[str, str]:
    try:
        stack = aws.cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    except ClientError:
        return {}
    told = {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}
    return {name: value for name, value in told.items() if name != _DIGEST}


def archive_name(system: str) -> str:
    """What the archive of a system's events is called where CloudFormation cannot make it."""
    return f"{system}-events"


def remove(aws: Aws, root: Path, system: str) -> None:
    """Deletes the stacks with their packages and their tables, which a library's stacks would keep, and waits."""
    bucket = _bucket_name(system)
    try:
        kept = {name for name, _ in _tables(aws, root, system)}
        for stack in reversed(composition.stacks(root)):
            aws.cloudformation.delete_stack(StackName=stack.stack_name(system))
            _settle(aws, stack.stack_name(system))
        events = aws.client("events")
        for archive in events.list_archives(NamePrefix=archive_name(system))["Archives"]:
            events.delete_archive(ArchiveName=archive["ArchiveName"])
        for tables in aws.dynamodb.get_paginator("list_tables").paginate():
            for table in kept.intersection(tables["TableNames"]):
                aws.dynamodb.delete_table(TableName=table)
        for objects in aws.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in objects.get("Contents", []):
                aws.s3.delete_object(Bucket=bucket, Key=item["Key"])
        aws.s3.delete_bucket(Bucket=bucket)
    except (ClientError, BotoCoreError) as error:
        raise Refusal(f"{system} could not be removed: {error}") from error


def _tables(aws: Aws, root: Path, system: str) -> Iterator[tuple[str, str]]:
    for stack in composition.stacks(root):
        for kind, physical in _resources(aws, stack.stack_name(system)).values():
            if kind == "AWS::DynamoDB::Table":
                yield physical, stack.name


def _resources(aws: Aws, stack_name: str) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    try:
        for page in aws.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_name):
            for item in page["StackResourceSummaries"]:
                found[item["LogicalResourceId"]] = (item["ResourceType"], item.get("PhysicalResourceId", ""))
    except ClientError as error:
        if "does not exist" not in error.response["Error"]["Message"]:
            raise
    return found


class _Uploads:
    """Puts packages into the bucket, each under the hash of its content, so once per content."""

    def __init__(
        self, aws: Aws, bucket: str, source: template.Template, base: Path, build: Path, *, flatten: bool
    ) -> None:
        self._aws = aws
        self._bucket = bucket
        self._source = source
        self._base = base
        self._build = build
        self._flatten = flatten
        self._known: dict[tuple[str, ...], str] = {}

    def put(self, logical_id: str, resource_type: str, folder: str) -> str:
        """The s3:// address of the package of ``folder``."""
        layers: list[str] = []
        if self._flatten and resource_type == template.FUNCTION:
            layers = template.layer_folders(
                self._source, template.resources_of(self._source, resource_type)[logical_id]
            )
        # Several functions are made of the same folder; one package serves them all.
        same = (resource_type, folder, *layers)
        if same not in self._known:
            self._known[same] = self._package(resource_type, folder, layers)
        return self._known[same]

    def _package(self, resource_type: str, folder: str, layers: list[str]) -> str:
        path = self._base / folder
        if resource_type == template.LAYER:
            entries = package.layer_entries(path)
        elif layers:
            entries = package.flattened_entries(path, [self._base / layer for layer in layers], self._build)
        else:
            entries = package.function_entries(path)
        lies = path.resolve()
        name = lies.relative_to(ROOT).as_posix() if lies.is_relative_to(ROOT) else folder
        name = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
        made = package.write_package(entries, self._build, name)
        key = f"{name}/{made.digest}.zip"
        try:
            self._aws.s3.head_object(Bucket=self._bucket, Key=key)
        except ClientError:
            self._aws.s3.upload_file(str(made.path), self._bucket, key)
        return f"s3://{self._bucket}/{key}"


def _bucket_name(system: str) -> str:
    return f"{system}-artifacts"


def _artifact_bucket(aws: Aws, system: str) -> str:
    bucket = _bucket_name(system)
    try:
        aws.s3.head_bucket(Bucket=bucket)
    except ClientError:
        aws.s3.create_bucket(Bucket=bucket)
    return bucket


def _apply(aws: Aws, stack_name: str, bucket: str, body: bytes, parameters: Mapping[str, str]) -> bool:
    """Runs a change set to its end; returns False when there was nothing to change."""
    cloudformation = aws.cloudformation
    status = _status(aws, stack_name)
    if status == "ROLLBACK_COMPLETE":
        # What is left of a failed creation can only be deleted.
        cloudformation.delete_stack(StackName=stack_name)
        _settle(aws, stack_name)
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
    if len(body) <= _LONGEST_BODY_BYTES:
        request["TemplateBody"] = body.decode()
    else:
        key = f"{stack_name}/template.json"
        aws.s3.put_object(Bucket=bucket, Key=key, Body=body)
        request["TemplateURL"] = f"{aws.endpoint_url.rstrip('/')}/{bucket}/{key}"
    try:
        change_set = cloudformation.create_change_set(**request)["Id"]
    except ClientError as error:
        raise Refusal(f"The template was refused: {error.response['Error']['Message']}") from error
    if not _change_set_ready(aws, change_set):
        cloudformation.delete_change_set(ChangeSetName=change_set)
        return False
    cloudformation.execute_change_set(ChangeSetName=change_set)
    reached = _settle(aws, stack_name)
    if reached not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        raise Refusal(f"Deploying {stack_name} ended in {reached}: {_first_failure(aws, stack_name)}")
    return True


def _change_set_ready(aws: Aws, change_set: str) -> bool:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        answer = aws.cloudformation.describe_change_set(ChangeSetName=change_set)
        if answer["Status"] == "CREATE_COMPLETE":
            return True
        if answer["Status"] == "FAILED":
            reason = answer.get("StatusReason", "no reason given")
            if "didn't contain changes" in reason or "No updates are to be performed" in reason:
                return False
            raise Refusal(f"The change set could not be made: {reason}")
        time.sleep(_POLL_SECONDS)
    raise Refusal(f"The change set was not ready within {_DEADLINE_SECONDS:.0f} s.")


def _settle(aws: Aws, stack_name: str) -> str | None:
    """Waits until the stack no longer moves; returns its state, None when it is gone."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        status = _status(aws, stack_name)
        if status is None or not status.endswith("_IN_PROGRESS"):
            return status
        time.sleep(_POLL_SECONDS)
    raise Refusal(f"Stack {stack_name} was not done within {_DEADLINE_SECONDS:.0f} s.")


def _status(aws: Aws, stack_name: str) -> str | None:
    try:
        status: str = aws.cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]["StackStatus"]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    return None if status == "DELETE_COMPLETE" else status


def _first_failure(aws: Aws, stack_name: str) -> str:
    """The resource that failed first in the stack's latest operation, and why."""
    first: StackEventTypeDef | None = None
    # Newest first, back to where the operation began.
    for event in _events(aws, stack_name):
        status = event.get("ResourceStatus", "")
        if event.get("LogicalResourceId") == stack_name:
            if status in {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"}:
                break
            if "DescribeEvents" in event.get("ResourceStatusReason", ""):
                return _first_invalid(aws, stack_name)
        elif status.endswith("_FAILED") and "cancelled" not in event.get("ResourceStatusReason", "").lower():
            first = event
    if first is None:
        return "no failing resource was reported."
    return f"{first.get('LogicalResourceId')} ({first.get('ResourceType')}): {first.get('ResourceStatusReason')}"


def _first_invalid(aws: Aws, stack_name: str) -> str:
    """Why CloudFormation did not even begin: what its validation of the latest operation found."""
    for event in aws.cloudformation.describe_events(StackName=stack_name)["OperationEvents"]:
        if event.get("EventType") == "VALIDATION_ERROR":
            reason = event.get("ValidationStatusReason")
            return f"{event.get('LogicalResourceId')} ({event.get('ResourceType')}): {reason}"
    return "its validation failed."


def _events(aws: Aws, stack_name: str) -> Iterator[StackEventTypeDef]:
    for page in aws.cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_name):
        yield from page["StackEvents"]


def api_address(aws: Aws, deployment: Deployment) -> str:
    """Where the API's stage answers for callers on this machine, without a slash at the end."""
    api = deployment.only("AWS::ApiGateway::RestApi")
    stage = deployment.only("AWS::ApiGateway::Stage")
    return f"{aws.endpoint_url.rstrip('/')}/_aws/execute-api/{api}/{stage}"


def inner_api_address(aws: Aws, engine: Engine, deployment: Deployment) -> str:
    """Where the API's stage answers for the functions themselves.

    MiniStack's functions are processes on this machine; LocalStack's are containers, to which the
    endpoint's name here means nothing.
    """
    if engine.name == "ministack":
        return api_address(aws, deployment)
    api = deployment.only("AWS::ApiGateway::RestApi")
    stage = deployment.only("AWS::ApiGateway::Stage")
    return f"http://{api}.execute-api.localhost.localstack.cloud:4566/{stage}"
