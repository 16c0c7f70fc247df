"""Moves a library that is one stack into one stack per service: `make migrate` (docs/operations.md).

The service tables, the event bus and the event archive stay where they are. The old stack is deleted without them, and
new stacks import them. `make deploy` then adds everything else. Each step can be repeated: what is done is skipped.

What is needed once the old stack is gone is written to a parameter first (`deploy.migration_parameter`).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localstack.embedded import cloudformation, composition, deploy, engine, template
from localstack.embedded.aws import AccountAws, Aws
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import TEMPLATE

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ResourceToImportTypeDef

IDENTIFIERS = {
    template.TABLE: "TableName",
    "AWS::Events::EventBus": "Name",
    "AWS::Events::Archive": "ArchiveName",
}
"""What is kept: resource type → the property that CloudFormation imports it by."""

_QUEUE = "AWS::SQS::Queue"
_KEEPING = frozenset({"Retain", "RetainExceptOnCreate"})
_SAM_STACK = "aws-sam-cli-managed-default"


@dataclass(frozen=True, slots=True)
class Note:
    """The old stack as it was. kept: logical id → physical id; imported: whether new stacks have taken them over."""

    kept: Mapping[str, str]
    parameters: Mapping[str, str]
    imported: bool = False


def _is_empty(status: str | None) -> bool:
    """Whether there is no stack, or one without resources."""
    return status in {None, "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"}


class Migration:
    """The migration of one system. importable: resource types that this CloudFormation can import."""

    def __init__(self, aws: Aws, root: Path, system: str, importable: frozenset[str]) -> None:
        self._aws = aws
        self._system = system
        self._stacks = composition.stacks(root)
        self._sources = {stack: template.load(stack.template_file) for stack in self._stacks}
        self._importable = importable

    def run(self, *, confirmed: bool) -> Iterator[str]:
        """Does what is left to do, and yields a line before each step. Without ``confirmed`` it only yields the lines.

        Refuses when the old stack is not as expected, when its queues hold messages, and when a step fails.
        """
        note = self._read_note()
        last = self._stacks[-1].stack_name(self._system)
        if note is not None and note.imported and cloudformation.status_of(self._aws, last) in cloudformation.SUCCEEDED:
            yield f"{self._system} is migrated: each service has its own stack."
            if confirmed:
                self._aws.ssm.delete_parameter(Name=deploy.migration_parameter(self._system))
            return
        status = cloudformation.status_of(self._aws, self._system)
        if note is None or (status is not None and not status.startswith("DELETE_")):
            note = self._note_of_old_stack(status)
            self._require_no_new_stack()
            yield f"Take the tables out of {self._system}, keeping {', '.join(sorted(note.kept))}."
            if confirmed:
                self._write_note(note)
                self._keep(note)
        if status is not None:
            yield f"Delete the stack {self._system}. The library is away until the last command below is done."
            if confirmed:
                self._delete()
        for stack in self._stacks:
            name, wanted = stack.stack_name(self._system), self._imported_by(stack, note)
            if wanted and not note.imported:
                ids = ", ".join(f"{one['LogicalResourceId']} ({self._physical_id(one)})" for one in wanted)
                yield f"Create the stack {name} with {ids}."
                if confirmed:
                    self._import(stack, wanted)
        if confirmed and not note.imported:
            self._write_note(Note(note.kept, note.parameters, imported=True))
        yield f"Then deploy everything else yourself: {self._next_command(note)}"
        if not confirmed:
            yield "Nothing was done. `make migrate YES=1` does it, up to the last line."

    def _note_of_old_stack(self, status: str | None) -> Note:
        if status is None:
            raise Refusal(f"There is no stack {self._system}: nothing to migrate.")
        pattern = next(source["Parameters"]["System"]["AllowedPattern"] for source in self._sources.values())
        if not re.fullmatch(pattern, self._system):
            raise Refusal(f"{self._system} cannot be the name of a system: it has to match {pattern}.")
        resources = deploy.resources_of(self._aws, self._system)
        kept = {
            logical: resources[logical][1]
            for source in self._sources.values()
            for logical, resource in self._keepable(source).items()
            if resources.get(logical, ("",))[0] == resource["Type"]
        }
        missing = [
            logical
            for source in self._sources.values()
            for logical, resource in self._keepable(source).items()
            if resource["Type"] == template.TABLE and logical not in kept
        ]
        if missing:
            raise Refusal(f"{self._system} has no {', '.join(missing)}: it is not a library in one stack.")
        self._require_empty_queues(
            {logical: physical for logical, (kind, physical) in resources.items() if kind == _QUEUE}
        )
        return Note(kept, cloudformation.parameters_of(self._aws, self._system))

    def _require_no_new_stack(self) -> None:
        """While the old stack is there, nothing was imported yet: a stack with a new name would have its own tables."""
        names = [stack.stack_name(self._system) for stack in self._stacks]
        present = [name for name in names if not _is_empty(cloudformation.status_of(self._aws, name))]
        if present:
            raise Refusal(f"{', '.join(present)} exist already, beside {self._system}. Delete them, then run it again.")

    def _keepable(self, source: template.Template) -> dict[str, dict[str, Any]]:
        """Resources of a new stack that the old one has already. The gateway's table is not kept: all of it expires."""
        return {
            logical: resource
            for logical, resource in source["Resources"].items()
            if resource["Type"] in self._importable and resource.get("DeletionPolicy") != "Delete"
        }

    def _require_empty_queues(self, queues: Mapping[str, str]) -> None:
        counts = (
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        )
        sqs = self._aws.client("sqs")
        full = []
        for logical, url in sorted(queues.items()):
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=counts)["Attributes"]
            if waiting := sum(int(found.get(count, 0)) for count in counts):
                full.append(f"{logical} ({waiting})")
        if full:
            raise Refusal(
                f"These queues hold messages, which would be lost: {', '.join(full)}. Wait until they are handled; "
                "redrive or delete dead letters (docs/operations.md)."
            )

    def _keep(self, note: Note) -> None:
        """Makes the old stack leave the resources alone when it is deleted."""
        body = self._deployed_template()
        for logical in note.kept:
            # CloudFormation sees no change in a deletion policy alone; it does in metadata.
            body["Resources"][logical] |= {"DeletionPolicy": "Retain", "Metadata": {"Migration": "kept"}}
        bucket = deploy.stack_outputs(self._aws, _SAM_STACK).get("SourceBucket") or deploy.artifact_bucket(
            self._aws, self._system
        )
        cloudformation.apply(self._aws, self._system, bucket, template.dump(body).encode(), note.parameters)
        deployed = self._deployed_template()["Resources"]
        lost = [logical for logical in note.kept if deployed[logical].get("DeletionPolicy") not in _KEEPING]
        if lost:
            raise Refusal(f"{self._system} would still delete {', '.join(lost)}. Nothing was deleted.")

    def _deployed_template(self) -> template.Template:
        # What boto3 declares is a mapping; a template that is not JSON is a text.
        body: Any = self._aws.cloudformation.get_template(StackName=self._system, TemplateStage="Original")[
            "TemplateBody"
        ]
        return template.parse(body, self._system) if isinstance(body, str) else body

    def _delete(self) -> None:
        self._aws.cloudformation.delete_stack(StackName=self._system)
        reached = cloudformation.wait_until_done(self._aws, self._system)
        if reached is not None:
            raise Refusal(
                f"Deleting {self._system} ended in {reached}. CloudFormation's events say why; then run it again."
            )

    def _imported_by(self, stack: composition.Stack, note: Note) -> list[ResourceToImportTypeDef]:
        return [
            {
                "LogicalResourceId": logical,
                "ResourceType": resource["Type"],
                "ResourceIdentifier": {IDENTIFIERS[resource["Type"]]: note.kept[logical]},
            }
            for logical, resource in self._keepable(self._sources[stack]).items()
            if logical in note.kept
        ]

    @staticmethod
    def _physical_id(wanted: ResourceToImportTypeDef) -> str:
        return next(iter(wanted["ResourceIdentifier"].values()))

    def _import(self, stack: composition.Stack, wanted: Sequence[ResourceToImportTypeDef]) -> None:
        """Creates a stack with nothing but the imported resources, as its template declares them."""
        name = stack.stack_name(self._system)
        status = cloudformation.wait_until_done(self._aws, name)
        if not _is_empty(status):
            self._require_imported(name, status, wanted)
            return
        source = self._sources[stack]
        resources = {one["LogicalResourceId"]: dict(source["Resources"][one["LogicalResourceId"]]) for one in wanted}
        for resource in resources.values():
            resource.pop("Condition", None)
            # Imported resources have to have one.
            resource.setdefault("DeletionPolicy", "Retain")
            # It depends on a parameter: the deployment sets it. MiniStack makes a table anew that was imported with
            # other properties than it is deployed with, so there it gets what the deployment gives it.
            properties = dict(resource.get("Properties", {}))
            if properties.pop("DeletionProtectionEnabled", None) is not None:
                emulated = {"DeletionProtectionEnabled": False} if self._aws.endpoint_url else {}
                resource["Properties"] = properties | emulated
        body = {
            "AWSTemplateFormatVersion": source["AWSTemplateFormatVersion"],
            "Parameters": {"System": source["Parameters"]["System"]},
            "Resources": resources,
        }
        given = {"System": self._system}
        cloudformation.apply(self._aws, name, "", template.dump(body).encode(), given, imported=wanted)

    def _require_imported(self, name: str, status: str | None, wanted: Sequence[ResourceToImportTypeDef]) -> None:
        """An earlier run created this stack. If it failed, or has other tables, deploying would hide the old ones."""
        there = deploy.resources_of(self._aws, name)
        missing = [
            self._physical_id(one)
            for one in wanted
            if there.get(one["LogicalResourceId"], ("", ""))[1] != self._physical_id(one)
        ]
        if missing:
            raise Refusal(f"{name} is {status} without {', '.join(missing)}. Delete that stack, then run it again.")

    def _next_command(self, note: Note) -> str:
        """The deployment with the old stack's parameters, as far as they are not the new defaults."""
        if self._aws.endpoint_url:
            return f"make deploy-local AWS_ENDPOINT_URL={self._aws.endpoint_url}"
        declared = {name: found for source in self._sources.values() for name, found in source["Parameters"].items()}
        changed = {"System": self._system} | {
            name: value
            for name, value in note.parameters.items()
            if name in declared and value != str(declared[name].get("Default"))
        }
        words = " ".join(f"{name}={shlex.quote(value)}" for name, value in changed.items())
        return f"make deploy PARAMETERS={shlex.quote(words)}"

    def _read_note(self) -> Note | None:
        found = deploy.read_migration(self._aws, self._system)
        return Note(**found) if found is not None else None

    def _write_note(self, note: Note) -> None:
        self._aws.ssm.put_parameter(
            Name=deploy.migration_parameter(self._system),
            Value=json.dumps(asdict(note)),
            Type="String",
            Tier="Intelligent-Tiering",
            Overwrite=True,
        )


def importable_by(found: engine.Engine | None) -> frozenset[str]:
    """What an emulator's CloudFormation can import; None: that of AWS. Refuses for one that cannot import at all."""
    if found is None:
        return frozenset(IDENTIFIERS)
    if found.name == "ministack":
        # The new stacks make a bus of the same name there; its archive was never part of a stack.
        return frozenset({template.TABLE})
    raise Refusal(f"The CloudFormation of {found.name} cannot import resources.")


def main() -> int:
    """The command line. Prints what it does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", default=os.environ.get("SYSTEM") or "smart-library", help="name of the old stack")
    parser.add_argument("--yes", action="store_true", default=os.environ.get("YES", "") not in {"", "0"})
    options = parser.parse_args()
    endpoint_url = os.environ.get("AWS_ENDPOINT_URL")
    aws = Aws(endpoint_url) if endpoint_url else AccountAws()
    try:
        importable = importable_by(engine.identify(endpoint_url) if endpoint_url else None)
        for line in Migration(aws, TEMPLATE, options.system, importable).run(confirmed=options.yes):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    except Refusal as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
