"""Packages and deploys all stacks of a system through CloudFormation, to an emulator."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localstack.embedded import cloudformation, composition, package, template
from localstack.embedded.aws import Aws
from localstack.embedded.engine import Engine
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import ROOT, TEMPLATE


@dataclass(frozen=True, slots=True)
class Deployment:
    """The deployed stacks of a system.

    ``resources``: logical id → (type, physical id), for logical ids that are in one stack only.
    ``outputs``: the outputs of all stacks by name, and physical ids (table names, queue addresses) by logical id.
    ``changed``: the stacks CloudFormation changed now.
    ``unfinished``: stack → digest of what it was deployed from, for `complete_deployment`.
    """

    system: str
    outputs: Mapping[str, str]
    resources: Mapping[str, tuple[str, str]]
    changed: frozenset[str] = frozenset()
    unfinished: Mapping[str, str] = field(default_factory=dict)

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
        """An output or a physical id. Refuses when no stack has it."""
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

    ``parameters``: each stack gets those it declares. ``service``: deploy only this stack.
    A stack that was deployed from the same template, code and parameters is skipped. Refuses with the failing resource
    and its reason when CloudFormation does not succeed within five minutes; the stacks before it stay deployed.
    """
    require_no_single_stack(aws, system)
    bucket = artifact_bucket(aws, system)
    deployed = _deployed_digests(aws, system)
    # What an emulator holds is there to be thrown away.
    given = {**_unsupported(engine), "DeletionProtection": "false", **parameters, "System": system}
    changed: set[str] = set()
    unfinished: dict[str, str] = {}
    for stack in composition.chosen(root, service):
        source = template.load(stack.template_file)
        uploads = _Uploads(aws, bucket, source, stack.template_file.parent, build, flatten=not engine.applies_layers)
        own = {name: value for name, value in given.items() if name in source.get("Parameters", {})}
        body = template.dump(template.with_parameters(template.with_uploaded_code(source, uploads.put), own))
        digest = hashlib.sha256((body + json.dumps(own, sort_keys=True)).encode()).hexdigest()
        if deployed.get(stack.name) == digest:
            continue
        build.mkdir(parents=True, exist_ok=True)
        (build / f"{stack.name}.json").write_text(body, encoding="utf-8")
        if cloudformation.apply(aws, stack.stack_name(system), bucket, body.encode(), own):
            changed.add(stack.name)
        unfinished[stack.name] = digest
    return replace(describe(aws, root, system), changed=frozenset(changed), unfinished=unfinished)


def describe(aws: Aws, root: Path, system: str) -> Deployment:
    """The system as it is deployed now."""
    resources: dict[str, tuple[str, str]] = {}
    found: dict[str, str] = {}
    repeated: set[str] = set()
    for stack in composition.stacks(root):
        own = resources_of(aws, stack.stack_name(system))
        # Layers and log groups have the same logical id in every stack. Nobody looks them up by it.
        repeated |= resources.keys() & own.keys()
        resources |= own
        found |= stack_outputs(aws, stack.stack_name(system))
    single = {logical: both for logical, both in resources.items() if logical not in repeated}
    ids = {logical: physical for logical, (_, physical) in single.items()}
    return Deployment(system=system, outputs={**ids, **found}, resources=single)


def outputs(aws: Aws, system: str) -> dict[str, str]:
    """The outputs of a deployed system by name, and physical ids by logical id."""
    return dict(describe(aws, TEMPLATE, system).outputs)


def require_no_single_stack(aws: Aws, system: str) -> None:
    """Refuses when the whole system is one stack, as it was before each service had its own, or half migrated."""
    if cloudformation.status_of(aws, system) is not None:
        raise Refusal(
            f"{system} was deployed as one stack, and now each service has its own. If it is a local library, "
            "run `make reset`; otherwise `make migrate` takes over its tables (docs/operations.md)."
        )
    migration = read_migration(aws, system)
    if migration is not None and not migration["imported"]:
        raise Refusal(f"The migration of {system} is not finished; `make migrate YES=1` continues it.")


def migration_parameter(system: str) -> str:
    """The parameter in which `tools.migrate` notes what it needs to continue."""
    return f"/{system}/migration"


def read_migration(aws: Aws, system: str) -> dict[str, Any] | None:
    """What `tools.migrate` noted; None when the system was never migrated."""
    try:
        noted = aws.ssm.get_parameter(Name=migration_parameter(system))["Parameter"]["Value"]
    except aws.ssm.exceptions.ParameterNotFound:
        return None
    document: dict[str, Any] = json.loads(noted)
    return document


def _unsupported(engine: Engine) -> dict[str, str]:
    """Parameters that leave out what the engine cannot deploy: MiniStack's CloudFormation has no event archives."""
    return {"EventArchive": "None"} if engine.name == "ministack" else {}


def note_finished(aws: Aws, system: str, stack: str, digest: str) -> None:
    """Notes what a stack was deployed from, once nothing is left to do for it. The next deployment may skip it."""
    aws.ssm.put_parameter(Name=f"{_digests_path(system)}/{stack}", Value=digest, Type="String", Overwrite=True)


def _digests_path(system: str) -> str:
    return f"/{system}/deployed"


def _noted(aws: Aws, system: str) -> dict[str, str]:
    """Stack → digest, as noted by `note_finished`."""
    pages = aws.ssm.get_paginator("get_parameters_by_path").paginate(Path=_digests_path(system))
    return {found["Name"].rpartition("/")[2]: found["Value"] for page in pages for found in page["Parameters"]}


def _deployed_digests(aws: Aws, system: str) -> dict[str, str]:
    """Stack → digest of what it was deployed from, for the stacks whose last operation succeeded."""
    return {
        stack: digest
        for stack, digest in _noted(aws, system).items()
        if cloudformation.status_of(aws, f"{system}-{stack}") in cloudformation.SUCCEEDED
    }


def stack_outputs(aws: Aws, stack_name: str) -> dict[str, str]:
    """A stack's outputs by name; empty when there is no such stack."""
    try:
        stack = aws.cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" not in error.response["Error"]["Message"]:
            raise
        return {}
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}


def archive_name(system: str) -> str:
    """The name of a system's event archive where CloudFormation cannot create it."""
    return f"{system}-events"


def remove(aws: Aws, root: Path, system: str) -> None:
    """Deletes the stacks, their packages, and the tables that stay when a stack is deleted. Waits until all is gone."""
    bucket = _bucket_name(system)
    try:
        kept = {
            physical
            for stack in composition.stacks(root)
            for kind, physical in resources_of(aws, stack.stack_name(system)).values()
            if kind == "AWS::DynamoDB::Table"
        }
        for stack in reversed(composition.stacks(root)):
            aws.cloudformation.delete_stack(StackName=stack.stack_name(system))
            cloudformation.wait_until_done(aws, stack.stack_name(system))
        for stack_name in _noted(aws, system):
            aws.ssm.delete_parameter(Name=f"{_digests_path(system)}/{stack_name}")
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


def resources_of(aws: Aws, stack_name: str) -> dict[str, tuple[str, str]]:
    """Logical id → (type, physical id) of a stack's resources; empty when there is no such stack."""
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
    """Uploads packages to the bucket under the hash of their content, so each content once."""

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
        # Functions with the same folder share one package.
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


def artifact_bucket(aws: Aws, system: str) -> str:
    """The bucket for a system's packages and templates. Creates it when it does not exist."""
    bucket = _bucket_name(system)
    try:
        aws.s3.head_bucket(Bucket=bucket)
    except ClientError:
        aws.s3.create_bucket(Bucket=bucket)
    return bucket


def api_address(aws: Aws, deployment: Deployment) -> str:
    """The address of the API's stage for callers on this machine, without a slash at the end."""
    api = deployment.only("AWS::ApiGateway::RestApi")
    stage = deployment.only("AWS::ApiGateway::Stage")
    return f"{aws.endpoint_url.rstrip('/')}/_aws/execute-api/{api}/{stage}"


def inner_api_address(aws: Aws, engine: Engine, deployment: Deployment) -> str:
    """The address of the API's stage for the functions.

    MiniStack's functions are processes on this machine. LocalStack's are containers, which cannot use this machine's
    address.
    """
    if engine.name == "ministack":
        return api_address(aws, deployment)
    api = deployment.only("AWS::ApiGateway::RestApi")
    stage = deployment.only("AWS::ApiGateway::Stage")
    return f"http://{api}.execute-api.localhost.localstack.cloud:4566/{stage}"
