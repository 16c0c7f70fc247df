"""CloudFormation in memory, as far as the local deployer asks it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

ACCOUNT = "123456789012"


@dataclass
class FakeStack:
    """One stack. Its resources have physical ids made of its name and their logical ids, but for imported ones."""

    status: str
    template: dict[str, Any] = field(default_factory=lambda: {"Resources": {}})
    parameters: Mapping[str, str] = field(default_factory=dict)
    imported: Mapping[str, str] = field(default_factory=dict)

    def physical_id(self, stack_name: str, logical_id: str) -> str:
        return self.imported.get(logical_id, f"{stack_name}-{logical_id}")


@dataclass
class FakeCloudFormation:
    """Stands in for the boto3 client. broken: stacks whose next deployments fail. executed: stacks, in their order.

    kept: physical ids of resources that stayed when their stack was deleted.
    """

    stacks: dict[str, FakeStack] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    executed: list[str] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    _change_sets: dict[str, tuple[str, FakeStack]] = field(default_factory=dict)

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:
        stack = self._stack(StackName)
        outputs = stack.template.get("Outputs", {})
        return {
            "Stacks": [
                {
                    "StackName": StackName,
                    "StackId": f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/{StackName}/1",
                    "StackStatus": stack.status,
                    "Parameters": [
                        {"ParameterKey": name, "ParameterValue": value} for name, value in stack.parameters.items()
                    ],
                    "Outputs": [{"OutputKey": name, "OutputValue": put["Value"]} for name, put in outputs.items()],
                }
            ]
        }

    def create_change_set(self, **request: Any) -> dict[str, str]:
        name = request["StackName"]
        template = json.loads(request["TemplateBody"])
        imported = {
            one["LogicalResourceId"]: next(iter(one["ResourceIdentifier"].values()))
            for one in request.get("ResourcesToImport", [])
        }
        if imported:
            assert request["ChangeSetType"] == "IMPORT"
            assert set(imported) == set(template["Resources"]), "an import creates nothing"
            assert all("DeletionPolicy" in resource for resource in template["Resources"].values())
            assert self.kept.issuperset(imported.values())
        else:
            assert request["ChangeSetType"] == ("UPDATE" if name in self.stacks else "CREATE")
        parameters = {given["ParameterKey"]: given["ParameterValue"] for given in request["Parameters"]}
        change_set = f"{name}/{len(self._change_sets)}"
        self._change_sets[change_set] = (name, FakeStack("", template, parameters, imported))
        return {"Id": change_set}

    def describe_change_set(self, *, ChangeSetName: str) -> dict[str, str]:
        name, wanted = self._change_sets[ChangeSetName]
        current = self.stacks.get(name)
        if current is not None and (current.template, current.parameters) == (wanted.template, wanted.parameters):
            return {"Status": "FAILED", "StatusReason": "The submitted information didn't contain changes."}
        return {"Status": "CREATE_COMPLETE"}

    def delete_change_set(self, *, ChangeSetName: str) -> None:
        del self._change_sets[ChangeSetName]

    def execute_change_set(self, *, ChangeSetName: str) -> None:
        name, wanted = self._change_sets.pop(ChangeSetName)
        self.executed.append(name)
        current = self.stacks.get(name)
        if name in self.broken:
            if current is None:
                self.stacks[name] = FakeStack("ROLLBACK_COMPLETE")
            else:
                current.status = "UPDATE_ROLLBACK_COMPLETE"
            return
        if current:
            wanted.status, wanted.imported = "UPDATE_COMPLETE", current.imported
        else:
            wanted.status = "IMPORT_COMPLETE" if wanted.imported else "CREATE_COMPLETE"
        self.stacks[name] = wanted

    def delete_stack(self, *, StackName: str) -> None:
        stack = self.stacks.pop(StackName, FakeStack(""))
        self.kept |= {
            stack.physical_id(StackName, logical_id)
            for logical_id, resource in stack.template["Resources"].items()
            if resource.get("DeletionPolicy", "Delete") != "Delete"
        }

    def get_template(self, *, StackName: str, TemplateStage: str) -> dict[str, Any]:
        assert TemplateStage == "Original"
        return {"TemplateBody": json.dumps(self._stack(StackName).template)}

    def get_paginator(self, operation: str) -> "_Pages":
        return _Pages(self, operation)

    def pages(self, operation: str, stack_name: str) -> Iterator[dict[str, Any]]:
        """What a paginator answers."""
        stack = self._stack(stack_name)
        if operation == "describe_stack_events":
            yield {"StackEvents": []}
            return
        yield {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": name,
                    "ResourceType": resource["Type"],
                    "PhysicalResourceId": stack.physical_id(stack_name, name),
                }
                for name, resource in stack.template["Resources"].items()
            ]
        }

    def _stack(self, name: str) -> FakeStack:
        if name not in self.stacks:
            message = f"Stack with id {name} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        return self.stacks[name]


@dataclass(frozen=True)
class _Pages:
    client: FakeCloudFormation
    operation: str

    def paginate(self, *, StackName: str) -> Iterator[dict[str, Any]]:
        return self.client.pages(self.operation, StackName)
