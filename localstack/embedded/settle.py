"""What an emulator's CloudFormation leaves out of the templates, put in place after a deployment.

On AWS none of this is needed, and nothing here is known to the services: gateway responses, answers to preflight
requests and item expiry are in the templates there, the API's address comes from its domain name, and the sender of
e-mails is verified once by whoever runs the library (docs say how).
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from localstack.embedded import composition, template
from localstack.embedded.aws import Aws
from localstack.embedded.deploy import Deployment, archive_name, inner_api_address
from localstack.embedded.engine import Engine

if TYPE_CHECKING:
    from mypy_boto3_apigateway.literals import GatewayResponseTypeType

API_STACK = "api"


def settle(aws: Aws, engine: Engine, deployment: Deployment, root: Path) -> None:
    """Completes the stacks that were deployed just now; doing it again changes nothing."""
    sources = {stack.name: template.load(stack.template_file) for stack in composition.stacks(root)}
    for name in deployment.changed:
        _enable_expiry(aws, deployment, template.expiry_attributes(sources[name]))
    if API_STACK in deployment.changed:
        _complete_api(aws, deployment, template.api_definition(sources[API_STACK]))
        _put_parameter(aws, deployment.output("ServicesUrlParameter"), inner_api_address(aws, engine, deployment))
    if engine.name == "ministack":
        for name in deployment.changed:
            archive = template.archive_of_events(sources[name])
            if archive is not None:
                _make_archive(aws, deployment, archive)
    # SES sends from what it has verified only; on AWS somebody with the mailbox confirms that once.
    if deployment.changed and "MailFrom" in deployment.outputs:
        aws.ses.verify_email_identity(EmailAddress=deployment.output("MailFrom"))


def _complete_api(aws: Aws, deployment: Deployment, definition: Mapping[str, Any]) -> None:
    """Gateway responses and the answers to preflight requests, which an import of the definition loses."""
    api = deployment.only("AWS::ApiGateway::RestApi")
    parameters = _parameters(aws, f"{deployment.system}-{API_STACK}")
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
    # All of it belongs to a deployment of the API: what was put now holds from the next one on.
    aws.apigateway.create_deployment(restApiId=api, stageName=deployment.only("AWS::ApiGateway::Stage"))


def _parameters(aws: Aws, stack_name: str) -> dict[str, str]:
    stack = aws.cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    return {item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", [])}


def _resolved(values: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, str]:
    """The values, with the stack's parameters put into those that are a Fn::Sub."""
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
        # Enabling what is enabled already is an error in DynamoDB.
        if current.get("TimeToLiveStatus") != "ENABLED":
            aws.dynamodb.update_time_to_live(
                TableName=name,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": attribute},
            )


def _make_archive(aws: Aws, deployment: Deployment, archive: Mapping[str, Any]) -> None:
    """The archive statistics are rebuilt from: MiniStack has archives, but its CloudFormation does not know them."""
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
