"""Completes a deployment with what an emulator's CloudFormation leaves out of the templates.

AWS needs none of this, and the services know nothing of it. There, the templates set gateway responses, preflight
answers and item expiry, the API has its own address, and the sender of e-mails is verified once by hand (docs).
Permissions that were lost are put back, too (`permissions`); that can happen on AWS as well.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from localstack.embedded import cloudformation, composition, permissions, template
from localstack.embedded.aws import Aws
from localstack.embedded.deploy import Deployment, archive_name, inner_api_address, note_finished
from localstack.embedded.engine import Engine

if TYPE_CHECKING:
    from mypy_boto3_apigateway.literals import GatewayResponseTypeType

API_STACK = "api"


def complete(aws: Aws, engine: Engine, deployment: Deployment, root: Path) -> None:
    """Completes the stacks that are not finished and notes that they are. Doing it again changes nothing."""
    sources = {stack.name: template.load(stack.template_file) for stack in composition.stacks(root)}
    for name in deployment.unfinished:
        _enable_expiry(aws, deployment, template.expiry_attributes(sources[name]))
        archive = template.archive_of_events(sources[name])
        if archive is not None and engine.name == "ministack":
            _make_archive(aws, deployment, archive)
    if API_STACK in deployment.unfinished:
        _complete_api(aws, deployment, template.api_definition(sources[API_STACK]))
    if deployment.physical_ids("AWS::ApiGateway::RestApi"):
        # Always: the emulator may listen on another port than before.
        _put_parameter(aws, deployment.output("ServicesUrlParameter"), inner_api_address(aws, engine, deployment))
    if API_STACK in sources:
        permissions.restore(aws, f"{deployment.system}-{API_STACK}", sources[API_STACK])
    # SES sends only from verified addresses. On AWS the owner of the mailbox confirms it once.
    if deployment.unfinished and "MailFrom" in deployment.outputs:
        aws.ses.verify_email_identity(EmailAddress=deployment.output("MailFrom"))
    for name, digest in deployment.unfinished.items():
        note_finished(aws, deployment.system, name, digest)


def _complete_api(aws: Aws, deployment: Deployment, definition: Mapping[str, Any]) -> None:
    """Puts gateway responses and preflight answers, which are lost when the definition is imported."""
    api = deployment.only("AWS::ApiGateway::RestApi")
    parameters = cloudformation.parameters_of(aws, f"{deployment.system}-{API_STACK}")
    for response_type, response in definition.get("x-amazon-apigateway-gateway-responses", {}).items():
        aws.apigateway.put_gateway_response(
            restApiId=api,
            responseType=cast("GatewayResponseTypeType", response_type),
            statusCode=str(response["statusCode"]),
            responseParameters=_resolved(response["responseParameters"], parameters),
            responseTemplates=response["responseTemplates"],
        )
    resources = {
        resource["path"]: resource["id"]
        for page in aws.apigateway.get_paginator("get_resources").paginate(restApiId=api)
        for resource in page["items"]
    }
    for path, operations in definition["paths"].items():
        for method, operation in operations.items():
            integration = operation["x-amazon-apigateway-integration"]
            for answer in integration.get("responses", {}).values():
                where = {"restApiId": api, "resourceId": resources[path], "httpMethod": method.upper()}
                headers = _resolved(answer["responseParameters"], parameters)
                status = answer["statusCode"]
                with contextlib.suppress(aws.apigateway.exceptions.ConflictException):
                    aws.apigateway.put_method_response(
                        **where, statusCode=status, responseParameters=dict.fromkeys(headers, False)
                    )
                aws.apigateway.put_integration_response(**where, statusCode=status, responseParameters=headers)
    # The changes take effect with the next deployment of the API.
    aws.apigateway.create_deployment(restApiId=api, stageName=deployment.only("AWS::ApiGateway::Stage"))


def _resolved(values: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, str]:
    """The values; in a Fn::Sub the stack's parameters are filled in."""
    return {
        name: re.sub(r"\$\{(\w+)\}", lambda match: parameters[match[1]], value["Fn::Sub"])
        if isinstance(value, Mapping)
        else str(value)
        for name, value in values.items()
    }


def _enable_expiry(aws: Aws, deployment: Deployment, attributes: dict[str, str]) -> None:
    tables = deployment.physical_ids("AWS::DynamoDB::Table")
    for logical_id, attribute in attributes.items():
        name = tables[logical_id]
        current = aws.dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        # DynamoDB refuses to enable it twice.
        if current.get("TimeToLiveStatus") != "ENABLED":
            aws.dynamodb.update_time_to_live(
                TableName=name,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": attribute},
            )


def _make_archive(aws: Aws, deployment: Deployment, archive: Mapping[str, Any]) -> None:
    """Makes the archive that statistics are rebuilt from: MiniStack has archives, its CloudFormation does not."""
    events = aws.client("events")
    with contextlib.suppress(events.exceptions.ResourceAlreadyExistsException):
        events.create_archive(
            ArchiveName=archive_name(deployment.system),
            EventSourceArn=deployment.output("EventBusArn"),
            Description=archive["Description"],
            EventPattern=json.dumps(archive["EventPattern"]),
            RetentionDays=archive["RetentionDays"],
        )


def _put_parameter(aws: Aws, name: str, value: str) -> None:
    aws.ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
