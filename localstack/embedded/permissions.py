"""Permissions of the API to call functions, put back when they are missing.

The `api` stack holds them, beside functions of other stacks. A function that is deleted and made again has lost its
permission, and CloudFormation does not notice: for it the permission is still there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from localstack.embedded import cloudformation
from localstack.embedded.aws import Aws
from localstack.embedded.template import Template, resources_of

PERMISSION = "AWS::Lambda::Permission"


@dataclass(frozen=True, slots=True)
class Permission:
    """One `AWS::Lambda::Permission`. statement_id: its id in CloudFormation and in the function's policy."""

    statement_id: str
    function: str
    alias: str
    action: str
    principal: str
    source_arn: str

    def is_in(self, policy: Mapping[str, Any]) -> bool:
        """Whether a statement of the policy permits the same."""
        return any(
            statement["Effect"] == "Allow"
            and statement["Action"] == self.action
            and statement["Principal"] == {"Service": self.principal}
            and statement.get("Condition", {}).get("ArnLike", {}).get("AWS:SourceArn") == self.source_arn
            for statement in policy["Statement"]
        )


def restore(aws: Aws, stack_name: str, source: Template) -> list[str]:
    """Adds the permissions of a deployed stack that its functions do not have. Returns these functions' names.

    A function that does not exist is skipped: its stack was deleted.
    """
    restored = []
    for permission in _declared(aws, stack_name, source):
        if permission.is_in(_policy(aws, permission)):
            continue
        try:
            aws.lambda_.add_permission(
                FunctionName=permission.function,
                Qualifier=permission.alias,
                StatementId=permission.statement_id,
                Action=permission.action,
                Principal=permission.principal,
                SourceArn=permission.source_arn,
            )
        except aws.lambda_.exceptions.ResourceNotFoundException:
            continue
        restored.append(permission.function)
    return restored


def _policy(aws: Aws, permission: Permission) -> Mapping[str, Any]:
    """The policy of the function's alias; one without statements when it has none or does not exist."""
    try:
        answer = aws.lambda_.get_policy(FunctionName=permission.function, Qualifier=permission.alias)
    except aws.lambda_.exceptions.ResourceNotFoundException:
        return {"Statement": []}
    policy: Mapping[str, Any] = json.loads(answer["Policy"])
    return policy


def _declared(aws: Aws, stack_name: str, source: Template) -> Iterator[Permission]:
    """The permissions of the template, with the values they have in the deployed stack."""
    declared = resources_of(source, PERMISSION)
    if not declared or cloudformation.status_of(aws, stack_name) is None:
        return
    stack = aws.cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    _, partition, _, region, account, _ = stack["StackId"].split(":", 5)
    known = {"AWS::Partition": partition, "AWS::Region": region, "AWS::AccountId": account}
    known |= {item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", [])}
    pages = aws.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_name)
    for page in pages:
        for item in page["StackResourceSummaries"]:
            known[item["LogicalResourceId"]] = item.get("PhysicalResourceId", "")

    def resolved(value: Any) -> str:
        text = value["Fn::Sub"] if isinstance(value, Mapping) else value
        return re.sub(r"\$\{([\w:]+)\}", lambda name: known[name[1]], text)

    for logical_id, properties in declared.items():
        function, _, alias = resolved(properties["FunctionName"]).rpartition(":function:")[2].partition(":")
        yield Permission(
            statement_id=known[logical_id],
            function=function,
            alias=alias,
            action=properties["Action"],
            principal=properties["Principal"],
            source_arn=resolved(properties["SourceArn"]),
        )
