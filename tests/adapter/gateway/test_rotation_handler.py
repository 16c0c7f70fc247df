"""The rotation's Lambda entry on moto: as a custom resource of a deployment, daily, on command."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from pydantic import ValidationError

from gateway_service import rotation
from gateway_service.keyring import Keyring
from gateway_service.settings import GatewaySettings
from library_common.clock import SystemClock
from library_common.key_rings import current_secret, granted_scopes, secret_ring, signing_ring
from library_common.tokens import TokenRefused, mint_service_token
from tests.support.operator_log import reading_the_log
from tests.support.scripted_service import Does, ScriptedService

pytestmark = [pytest.mark.adapter, pytest.mark.usefixtures("dynamodb")]

PUBLISHED = "/library/token-verification-keys"
SIGNING = "/library/keys/token-signing"
SERVICES = "/library/keys/services"


class Parameters:
    """The parameter store the function works on."""

    def __init__(self) -> None:
        self._client = boto3.client("ssm")

    def stored(self) -> dict[str, str]:
        """Name -> value of every key ring."""
        pages = self._client.get_paginator("get_parameters_by_path").paginate(
            Path="/library/keys", Recursive=True, WithDecryption=True
        )
        return {found["Name"]: found["Value"] for page in pages for found in page["Parameters"]}

    def service(self, name: str) -> str:
        return self.stored()[f"{SERVICES}/{name}"]

    def write(self, name: str, value: str) -> None:
        self._client.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)

    def published(self) -> list[str]:
        value = self._client.get_parameter(Name=PUBLISHED)["Parameter"]["Value"]
        return [key["kid"] for key in json.loads(value)["keys"]]


@pytest.fixture
def parameters(dynamodb: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parameters]:
    for name, value in {
        "TABLE_NAME": "gateway",
        "SIGNING_KEY_PARAMETER": SIGNING,
        "VERIFICATION_KEYS_PARAMETER": PUBLISHED,
        "SERVICE_KEYS_PATH": SERVICES,
        "KEY_DAYS": "30",
    }.items():
        monkeypatch.setenv(name, value)
    rotation._settings.cache_clear()
    yield Parameters()
    rotation._settings.cache_clear()


class CloudFormation:
    """Asks the function as a deployment does, and takes its reports."""

    def __init__(self, reports: ScriptedService) -> None:
        self._reports = reports

    def ask(self, kind: str, **properties: str) -> dict[str, Any]:
        """The report of one request. properties: of a `Custom::ServiceIdentity`; none: of `Custom::TokenKeys`."""
        event = {
            "RequestType": kind,
            "ResponseURL": f"{self._reports.url}/answer",
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "ServiceIdentity" if properties else "TokenKeys",
            "ResourceType": "Custom::ServiceIdentity" if properties else "Custom::TokenKeys",
            "ResourceProperties": {"ServiceToken": "arn:of:the:function", **properties},
        }
        rotation.handler(event, None)
        report: dict[str, Any] = self._reports.asked[-1].body
        return report


@pytest.fixture
def cloudformation() -> Iterator[CloudFormation]:
    other_service = ScriptedService()
    other_service.script = [Does(200)]
    with other_service.running():
        yield CloudFormation(other_service)


def accepts(token: str) -> bool:
    """Whether an authorizer that starts now lets a service with this token in."""
    try:
        Keyring.from_settings(GatewaySettings()).verify(token, SystemClock().now())
    except TokenRefused:
        return False
    return True


def signed_by(parameter: str, scope: str = "users:read") -> str:
    return mint_service_token(
        current_secret(parameter), service="loans", scopes=frozenset({scope}), now=SystemClock().now()
    )


# -- the library's own keys -----------------------------------------------------------------------


def test_a_deployment_makes_and_publishes_keys_and_an_update_leaves_them(
    parameters: Parameters, cloudformation: CloudFormation
) -> None:
    reports = [cloudformation.ask("Create")]
    made = parameters.stored()
    assert list(made) == [SIGNING]
    signing = signing_ring(made[SIGNING])
    assert signing is not None
    assert len(signing.keys) == 2
    assert parameters.published() == [key.kid for key in signing.keys]

    reports += [cloudformation.ask(kind) for kind in ("Update", "Delete")]

    assert parameters.stored() == made
    assert [report["Status"] for report in reports] == ["SUCCESS"] * 3


def test_a_deployment_that_cannot_make_keys_is_told_so(parameters: Parameters, cloudformation: CloudFormation) -> None:
    parameters.write(SIGNING, "hunter2")

    with reading_the_log() as log:
        report = cloudformation.ask("Create")

    assert [line["error_code"] for line in log.invocations] == ["rotation_failed"]
    assert report["Status"] == "FAILED"
    assert parameters.stored() == {SIGNING: "hunter2"}


# -- the keys of services -------------------------------------------------------------------------


def test_a_stack_with_an_identity_gets_a_ring_with_its_scopes(
    parameters: Parameters, cloudformation: CloudFormation
) -> None:
    report = cloudformation.ask("Create", Service="loans", Scopes="users:read inventory:write")

    stored = parameters.service("loans")
    ring = secret_ring(stored)
    assert report["Status"] == "SUCCESS"
    assert ring is not None
    assert [len(key) for key in ring.keys] == [64, 64]
    assert granted_scopes(stored) == {"users:read", "inventory:write"}
    assert list(parameters.stored()) == [f"{SERVICES}/loans"], "the library's own keys come with the platform"
    assert accepts(signed_by(stored))


def test_an_update_changes_the_scopes_and_keeps_the_ring(
    parameters: Parameters, cloudformation: CloudFormation
) -> None:
    cloudformation.ask("Create", Service="loans", Scopes="users:read")
    before = parameters.service("loans")

    report = cloudformation.ask("Update", Service="loans", Scopes="users:read inventory:write")

    after = parameters.service("loans")
    assert report["Status"] == "SUCCESS"
    assert secret_ring(after) == secret_ring(before)
    assert granted_scopes(after) == {"users:read", "inventory:write"}
    assert accepts(signed_by(before, "inventory:write"))


def test_tokens_of_a_service_whose_stack_is_deleted_are_refused(
    parameters: Parameters, cloudformation: CloudFormation
) -> None:
    for service in ("loans", "users"):
        cloudformation.ask("Create", Service=service, Scopes="users:read")
    token = signed_by(parameters.service("loans"))
    assert accepts(token)

    reports = [cloudformation.ask("Delete", Service="loans", Scopes="users:read") for _ in range(2)]

    assert [report["Status"] for report in reports] == ["SUCCESS", "SUCCESS"]
    assert not accepts(token)
    assert list(parameters.stored()) == [f"{SERVICES}/users"]


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({"Service": "loans"}, "Scopes"),
        ({"Service": "loans", "Scopes": ""}, "Scopes"),
        ({"Service": "loans", "Scopes": "everything"}, "Scopes"),
        ({"Service": "loans", "Scopes": "users:read\nusers:write"}, "Scopes"),
        ({"Service": "../token-signing", "Scopes": "users:read"}, "Service"),
        ({"Service": "loans/x", "Scopes": "users:read"}, "Service"),
        ({"Service": "Loans\n", "Scopes": "hunter2"}, "Service, Scopes"),
    ],
)
def test_an_invalid_identity_is_refused_in_a_sentence_and_can_be_rolled_back(
    parameters: Parameters, cloudformation: CloudFormation, properties: dict[str, str], named: str
) -> None:
    with reading_the_log() as log:
        report = cloudformation.ask("Create", **properties)

    assert report["Status"] == "FAILED"
    assert report["Reason"] == f"Custom::ServiceIdentity has missing or invalid properties: {named}."
    assert "hunter2" not in json.dumps(report) + log.text
    assert parameters.stored() == {}
    assert cloudformation.ask("Delete", **properties)["Status"] == "SUCCESS"


def test_a_ring_that_cannot_be_read_fails_its_deployment_and_no_other(
    parameters: Parameters, cloudformation: CloudFormation
) -> None:
    broken = json.dumps({"scopes": "users:read", "current": "s" * 64, "rotated_at": "hunter2"})
    parameters.write(f"{SERVICES}/loans", broken)

    reports = [cloudformation.ask("Create", Service=name, Scopes="users:read") for name in ("loans", "users")]

    assert [report["Status"] for report in reports] == ["FAILED", "SUCCESS"]
    assert "hunter2" not in json.dumps(reports)


# -- daily and on command -------------------------------------------------------------------------


@pytest.fixture
def deployed(parameters: Parameters, cloudformation: CloudFormation) -> Parameters:
    cloudformation.ask("Create")
    cloudformation.ask("Create", Service="loans", Scopes="users:read")
    return parameters


def test_published_keys_that_were_lost_are_back_after_the_daily_run(deployed: Parameters) -> None:
    before = deployed.published()
    boto3.client("ssm").put_parameter(Name=PUBLISHED, Value='{"keys": []}', Type="String", Overwrite=True)

    answer = rotation.handler({}, None)

    assert answer["outcomes"] == [
        {"ring": "signing-key", "result": "kept"},
        {"ring": "service:loans", "result": "kept"},
    ]
    assert deployed.published() == before


def test_a_service_is_rotated_with_its_scopes(deployed: Parameters) -> None:
    before = secret_ring(deployed.service("loans"))

    answer = rotation.handler({"rotate": ["service:loans", "service:fines"], "force": True}, None)

    assert [outcome["result"] for outcome in answer["outcomes"]] == ["rotated", "refused"]
    assert "signing-key, service:loans" in answer["outcomes"][1]["detail"]
    after = deployed.service("loans")
    assert granted_scopes(after) == {"users:read"}
    assert before is not None
    assert current_secret(after) not in before.keys
    assert accepts(signed_by(after))


def test_a_malformed_ring_is_replaced_by_force_with_the_scopes_it_had(deployed: Parameters) -> None:
    deployed.write(f"{SERVICES}/loans", "hunter2")
    (failed,) = rotation.handler({"rotate": ["service:loans"]}, None)["outcomes"]
    assert (failed["result"], failed["code"]) == ("failed", "unreadable")

    rotation.handler({"rotate": ["service:loans"], "force": True}, None)

    assert granted_scopes(deployed.service("loans")) == {"users:read"}
    assert accepts(signed_by(deployed.service("loans")))


@pytest.mark.parametrize("event", [{"rotate": []}, {"rotate": "signing-key"}, {"rotate": ["x"], "forced": True}])
def test_a_malformed_command_is_refused_before_anything_happens(deployed: Parameters, event: dict[str, Any]) -> None:
    before = deployed.stored()

    with pytest.raises(ValidationError):
        rotation.handler(event, None)

    assert deployed.stored() == before


def test_nothing_secret_is_answered_or_logged(deployed: Parameters, capsys: pytest.CaptureFixture[str]) -> None:
    with reading_the_log() as log:
        answers = [
            rotation.handler(event, None)
            for event in ({}, {"rotate": ["signing-key", "service:loans"], "force": True}, {"rotate": ["signing-key"]})
        ]
    said = json.dumps(answers) + log.text + capsys.readouterr().out
    signing, loans = json.loads(deployed.stored()[SIGNING]), json.loads(deployed.service("loans"))
    secrets = [loans["current"], loans["next"], signing["current"]["d"], signing["next"]["d"]]
    assert not [secret for secret in secrets if secret in said]
