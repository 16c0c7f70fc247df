"""CloudFormation in memory, as far as the local deployer asks it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

ACCOUNT = "123456789012"


@dataclass
class FakeStack:
    """One stack. Its resources have physical ids made of its name and their logical ids."""

    status: str
    template: dict[str, Any] = field(default_factory=lambda: {"Resources": {}})
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FakeCloudFormation:
    """Stands in for the boto3 client. broken: stacks whose next deployments fail. executed: stacks, in their order."""

    stacks: dict[str, FakeStack] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    executed: list[str] = field(default_factory=list)
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
        assert request["ChangeSetType"] == ("UPDATE" if name in self.stacks else "CREATE")
        parameters = {given["ParameterKey"]: given["ParameterValue"] for given in request["Parameters"]}
        change_set = f"{name}/{len(self._change_sets)}"
        self._change_sets[change_set] = (name, FakeStack("", json.loads(request["TemplateBody"]), parameters))
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
        wanted.status = "UPDATE_COMPLETE" if current else "CREATE_COMPLETE"
        self.stacks[name] = wanted

    def delete_stack(self, *, StackName: str) -> None:
        self.stacks.pop(StackName, None)

    def get_paginator(self, operation: str) -> "_Pages":
        return _Pages(self, operation)

    def pages(self, operation: str, stack_name: str) -> Iterator[dict[str, Any]]:
        """What a paginator answers."""
        resources = self._stack(stack_name).template["Resources"]
        if operation == "describe_stack_events":
            yield {"StackEvents": []}
            return
        yield {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": name,
                    "ResourceType": resource["Type"],
                    "PhysicalResourceId": f"{stack_name}-{name}",
                }
                for name, resource in resources.items()
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
