"""The rotation's Lambda entry on moto: as a custom resource of a deployment, daily, on command."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from pydantic import ValidationError

from gateway_service import rotation
from library_common import aws
from library_common.key_rings import secret_ring, signing_ring
from tests.support.operator_log import reading_the_log
from tests.support.scripted_service import Does, ScriptedService

pytestmark = [pytest.mark.adapter, pytest.mark.usefixtures("dynamodb")]

NAME = "/library/token-verification-keys"


class Stack:
    """What CloudFormation has made before it asks for keys."""

    def __init__(self) -> None:
        client = boto3.client("secretsmanager")
        self.signing = client.create_secret(Name="signing", SecretString="{}")["ARN"]
        self.loans = client.create_secret(Name="loans", SecretString='{"current": "made by CloudFormation"}')["ARN"]

    def stored(self) -> tuple[str, str]:
        client = boto3.client("secretsmanager")
        signing, loans = (client.get_secret_value(SecretId=arn)["SecretString"] for arn in (self.signing, self.loans))
        return signing, loans

    def published(self) -> list[str]:
        value = boto3.client("ssm").get_parameter(Name=NAME)["Parameter"]["Value"]
        return [key["kid"] for key in json.loads(value)["keys"]]


@pytest.fixture
def stack(dynamodb: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    stack = Stack()
    for name, value in {
        "TABLE_NAME": "gateway",
        "SIGNING_KEY_SECRET_ARN": stack.signing,
        "VERIFICATION_KEYS_PARAMETER": NAME,
        "SERVICE_IDENTITIES": json.dumps({"loans": {"secret_arn": stack.loans, "scopes": "users:read"}}),
        "KEY_DAYS": "30",
    }.items():
        monkeypatch.setenv(name, value)
    rotation._keeping.cache_clear()
    aws._client.cache_clear()
    yield stack
    rotation._keeping.cache_clear()


def deployment(kind: str, url: str) -> dict[str, Any]:
    return {
        "RequestType": kind,
        "ResponseURL": f"{url}/answer",
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "TokenKeys",
        "ResourceType": "Custom::TokenKeys",
        "ResourceProperties": {"ServiceIdentities": "{}"},
    }


@pytest.fixture
def cloudformation() -> Iterator[ScriptedService]:
    """Takes the reports."""
    other_service = ScriptedService()
    other_service.script = [Does(200)]
    with other_service.running():
        yield other_service


def test_a_deployment_makes_and_publishes_keys_and_an_update_leaves_them(
    stack: Stack, cloudformation: ScriptedService
) -> None:
    rotation.handler(deployment("Create", cloudformation.url), None)
    made = stack.stored()
    signing, loans = signing_ring(made[0]), secret_ring(made[1])
    assert signing is not None
    assert loans is not None
    assert stack.published() == [key.kid for key in signing.keys]
    assert (len(signing.keys), len(loans.keys)) == (2, 2)
    assert loans.current == "made by CloudFormation", "processes may be signing with it already"

    for kind in ("Update", "Delete"):
        rotation.handler(deployment(kind, cloudformation.url), None)

    assert stack.stored() == made
    assert [report.body["Status"] for report in cloudformation.asked] == ["SUCCESS"] * 3


def test_a_deployment_that_cannot_make_keys_is_told_so(stack: Stack, cloudformation: ScriptedService) -> None:
    boto3.client("secretsmanager").delete_secret(SecretId=stack.signing, ForceDeleteWithoutRecovery=True)

    with reading_the_log() as log:
        rotation.handler(deployment("Create", cloudformation.url), None)

    assert [line["error_code"] for line in log.invocations] == ["keeping_failed"]
    (report,) = cloudformation.asked
    assert report.body["Status"] == "FAILED"
    loans = boto3.client("secretsmanager").get_secret_value(SecretId=stack.loans)["SecretString"]
    assert "next" in json.loads(loans), "the others have theirs all the same"


def test_published_keys_that_were_lost_are_back_after_the_daily_run(stack: Stack) -> None:
    rotation.handler({}, None)
    before = stack.published()
    boto3.client("ssm").put_parameter(Name=NAME, Value='{"keys": []}', Type="String", Overwrite=True)

    answer = rotation.handler({}, None)

    assert [outcome["result"] for outcome in answer["outcomes"]] == ["kept", "kept"]
    assert stack.published() == before


@pytest.mark.parametrize("event", [{"rotate": []}, {"rotate": "signing-key"}, {"rotate": ["x"], "forced": True}])
def test_a_command_that_is_none_is_refused_before_anything_happens(stack: Stack, event: dict[str, Any]) -> None:
    before = stack.stored()

    with pytest.raises(ValidationError):
        rotation.handler(event, None)

    assert stack.stored() == before


def test_nothing_secret_is_answered_or_logged(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    with reading_the_log() as log:
        answers = [
            rotation.handler(event, None)
            for event in ({}, {"rotate": ["signing-key", "service:loans"], "force": True}, {"rotate": ["signing-key"]})
        ]
    said = json.dumps(answers) + log.text + capsys.readouterr().out
    signing, loans = (json.loads(text) for text in stack.stored())
    secrets = [loans["current"], loans["next"], signing["current"]["d"], signing["next"]["d"]]
    assert not [secret for secret in secrets if secret in said]
