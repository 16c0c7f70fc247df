"""What an emulator's CloudFormation leaves out of the template, put in place after a deployment.

On AWS none of this is needed, and nothing here is known to the services: gateway responses and item
expiry are in the template there, the API's address comes from its domain name, and the sender of e-mails is
verified once by whoever runs the library (docs say how).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from localstack.embedded import template
from localstack.embedded.aws import Aws
from localstack.embedded.deploy import Deployment, archive_name, inner_api_address
from localstack.embedded.engine import Engine

if TYPE_CHECKING:
    from mypy_boto3_apigateway.literals import GatewayResponseTypeType


def settle(aws: Aws, engine: Engine, deployment: Deployment, template_file: Path) -> None:
    """Completes a deployment; doing it again changes nothing."""
    source = template.load(template_file)
    _put_gateway_responses(aws, deployment, template.gateway_responses(source))
    _enable_expiry(aws, deployment, template.expiry_attributes(source))
    _publish_keys(aws, deployment)
    archive = template.archive_of_events(source)
    if archive is not None and engine.name == "ministack":
        _make_archive(aws, deployment, archive)
    # SES sends from what it has verified only; on AWS somebody with the mailbox confirms that once.
    aws.ses.verify_email_identity(EmailAddress=deployment.output("MailFrom"))
    _put_parameter(aws, deployment.output("ServicesUrlParameter"), inner_api_address(aws, engine, deployment))


def _put_gateway_responses(aws: Aws, deployment: Deployment, responses: dict[str, dict[str, Any]]) -> None:
    if not responses:
        return
    api = deployment.only("AWS::ApiGateway::RestApi")
    for response_type, definition in responses.items():
        parameters = {
            f"gatewayresponse.{place}.{name}": value
            for section, place in (("Headers", "header"), ("Paths", "path"), ("QueryStrings", "querystring"))
            for name, value in definition.get("ResponseParameters", {}).get(section, {}).items()
        }
        status = {"statusCode": str(definition["StatusCode"])} if "StatusCode" in definition else {}
        aws.apigateway.put_gateway_response(
            restApiId=api,
            responseType=cast("GatewayResponseTypeType", response_type),
            responseParameters=parameters,
            responseTemplates=definition.get("ResponseTemplates", {}),
            **status,
        )
    # Gateway responses belong to a deployment of the API: those put now hold from the next one on.
    aws.apigateway.create_deployment(restApiId=api, stageName=deployment.only("AWS::ApiGateway::Stage"))


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


def _publish_keys(aws: Aws, deployment: Deployment) -> None:
    """Makes good what an update of a stack from before the keys were rotated takes away.

    The published keys were a resource of the template then, which CloudFormation removes when everything else is
    done, after the deployment has published the new ones under the same name.
    """
    try:
        aws.ssm.get_parameter(Name=deployment.output("TokenVerificationKeysParameter"))
    except aws.ssm.exceptions.ParameterNotFound:
        aws.client("lambda").invoke(FunctionName=deployment.output("RotationFunction"), Payload=b"{}")


def _make_archive(aws: Aws, deployment: Deployment, archive: Mapping[str, Any]) -> None:
    """The archive statistics are rebuilt from: MiniStack has archives, but its CloudFormation does not know them."""
    events = aws.client("events")
    with contextlib.suppress(events.exceptions.ResourceAlreadyExistsException):
        events.create_archive(
            ArchiveName=archive_name(deployment.stack_name),
            EventSourceArn=deployment.output("EventBusArn"),
            Description=archive["Description"],
            EventPattern=json.dumps(archive["EventPattern"]),
            RetentionDays=archive["RetentionDays"],
        )


def _put_parameter(aws: Aws, name: str, value: str) -> None:
    aws.ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
