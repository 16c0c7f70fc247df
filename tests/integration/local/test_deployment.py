"""The deployer against a real emulator: a small stack of its own, deployed, changed and broken on purpose."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from localstack.embedded import cloudformation, complete_deployment, deploy, engine
from localstack.embedded.aws import Aws
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import COMMON_LAYER, WorkDir
from localstack.embedded.ports import pick_free
from localstack.embedded.processes import StartedProcess

pytestmark = pytest.mark.integration

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  CommonLayer:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: common, CompatibleRuntimes: [python3.13]}
  EchoTable:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      TimeToLiveSpecification: {Enabled: true, AttributeName: expires_at_epoch}
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: v1
      GatewayResponses:
        MISSING_AUTHENTICATION_TOKEN:
          StatusCode: 404
          ResponseParameters: {Headers: {Content-Type: "'application/problem+json'"}}
          ResponseTemplates: {application/json: '{"code":"no_such_route"}'}
  Key: {Type: AWS::SecretsManager::Secret, Properties: {SecretString: "{}"}}
  Jwks: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: "{}"}}
  Url: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: unset}}
  EchoFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: echo
      Handler: echo.handler
      Runtime: python3.13
      Layers: [!Ref CommonLayer]
      Events:
        Get: {Type: Api, Properties: {RestApiId: !Ref Api, Path: "/echo", Method: get}}
Outputs:
  MailFrom: {Value: library@example.org}
  ServicesUrlParameter: {Value: !Ref Url}
  TokenVerificationKeysParameter: {Value: !Ref Jwks}
"""

ECHO = """
import json
import shared
def handler(event, context):
    print("called")
    return {"statusCode": 200, "body": json.dumps({"version": 1, "shared": shared.NAME})}
"""

STACK = "deployer-test"


@pytest.fixture
def work(tmp_path: Path) -> WorkDir:
    return WorkDir(tmp_path / "work")


@pytest.fixture
def aws(work: WorkDir) -> Iterator[Aws]:
    port = pick_free()
    process: StartedProcess = engine.start_ministack(work, port, persist=False)
    try:
        yield Aws(f"http://127.0.0.1:{port}")
    finally:
        engine.stop_ministack(process, work)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    for name, text in {"template.yaml": TEMPLATE, "echo/echo.py": ECHO, "common/shared.py": "NAME = 'layer'\n"}.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "source" / "template.yaml"


def _deploy(aws: Aws, work: WorkDir, template: Path) -> deploy.Deployment:
    return deploy.deploy(aws, engine.identify(aws.endpoint_url), template, work.build, STACK, {})


def _get(aws: Aws, deployed: deploy.Deployment, path: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", deploy.api_address(aws, deployed) + path, retries=False, timeout=30)


def test_a_stack_from_its_first_deployment_to_its_removal(aws: Aws, work: WorkDir, template: Path) -> None:
    first = _deploy(aws, work, template)
    assert first.changed
    assert list(first.tables) == ["echo"]
    assert list(first.functions) == ["EchoFunction"]
    assert _get(aws, first, "/echo").json() == {"version": 1, "shared": "layer"}

    assert not _deploy(aws, work, template).changed

    echo = template.parent / "echo" / "echo.py"
    echo.write_text(ECHO.replace('"version": 1', '"version": 2'))
    (template.parent / "common" / "shared.py").write_text("NAME = 'newer layer'\n")
    assert _deploy(aws, work, template).changed
    assert _get(aws, first, "/echo").json() == {"version": 2, "shared": "newer layer"}

    deploy.remove(aws, STACK)
    assert aws.dynamodb.list_tables()["TableNames"] == []
    assert aws.s3.list_buckets()["Buckets"] == []


def test_a_template_too_long_for_a_request_is_deployed_all_the_same(
    aws: Aws, work: WorkDir, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloudformation, "LONGEST_BODY_BYTES", 100)

    assert _get(aws, _deploy(aws, work, template), "/echo").status == 200


def test_what_the_emulator_leaves_out_is_put_in_place_once(aws: Aws, work: WorkDir, template: Path) -> None:
    deployed = _deploy(aws, work, template)
    found = engine.identify(aws.endpoint_url)

    for _ in range(2):
        complete_deployment.complete(aws, found, deployed, template)
    assert aws.ses.list_identities()["Identities"] == ["library@example.org"]

    missing = _get(aws, deployed, "/nowhere")
    assert (missing.status, missing.headers["Content-Type"]) == (404, "application/problem+json")
    assert missing.json() == {"code": "no_such_route"}
    expiry = aws.dynamodb.describe_time_to_live(TableName=deployed.tables["echo"])["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at_epoch"}
    address = aws.ssm.get_parameter(Name=deployed.output("ServicesUrlParameter"))["Parameter"]["Value"]
    assert address == deploy.api_address(aws, deployed)


def test_published_keys_that_are_missing_are_asked_for(aws: Aws, work: WorkDir, template: Path) -> None:
    """As after an update of a stack in which they were a resource of the template."""
    asked = "  TokenVerificationKeysParameter: {Value: /nowhere}\n  RotationFunction: {Value: !Ref EchoFunction}\n"
    template.write_text(TEMPLATE.replace("  TokenVerificationKeysParameter: {Value: !Ref Jwks}\n", asked))
    deployed = _deploy(aws, work, template)

    complete_deployment.complete(aws, engine.identify(aws.endpoint_url), deployed, template)

    logs = aws.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{deployed.functions['EchoFunction']}")
    assert "called" in [event["message"].strip() for event in logs["events"]]


URL = "  Url: {Type: AWS::SSM::Parameter, Properties: {Type: String"


def test_the_failing_resource_is_named_and_the_next_try_succeeds(aws: Aws, work: WorkDir, template: Path) -> None:
    """Also when there were failures before: on a stack that never came up, and on one that runs."""
    broken = template.with_name("broken.yaml")
    broken.write_text(TEMPLATE.replace(URL, URL.replace("String", "Wrong")))
    with pytest.raises(Refusal, match=rf"^Deploying {STACK} ended in ROLLBACK_COMPLETE: Url \(.*Wrong"):
        _deploy(aws, work, broken)

    assert _get(aws, _deploy(aws, work, template), "/echo").status == 200

    for name in ("First", "Second"):
        taken = f"  {name}: {{Type: AWS::S3::Bucket, Properties: {{BucketName: {STACK}-artifacts}}}}\n"
        broken.write_text(TEMPLATE.replace(URL, taken + URL))
        with pytest.raises(Refusal, match=rf"ended in UPDATE_ROLLBACK_COMPLETE: {name} \(AWS::S3::Bucket\)"):
            _deploy(aws, work, broken)

    assert not _deploy(aws, work, template).changed


def test_a_template_the_emulator_refuses_is_refused_with_its_reason(aws: Aws, work: WorkDir, template: Path) -> None:
    template.write_text(TEMPLATE.replace("AWS::SecretsManager::Secret", "AWS::No::Such"))

    with pytest.raises(Refusal, match=r"^The template was refused: .*AWS::No::Such"):
        _deploy(aws, work, template)


def test_a_template_without_an_output_the_deployer_needs_is_refused(aws: Aws, work: WorkDir, template: Path) -> None:
    template.write_text(TEMPLATE.replace("  ServicesUrlParameter: {Value: !Ref Url}\n", ""))
    deployed = _deploy(aws, work, template)

    with pytest.raises(Refusal, match="no output ServicesUrlParameter"):
        complete_deployment.complete(aws, engine.identify(aws.endpoint_url), deployed, template)


def test_the_emulator_gets_the_common_layer_as_it_is_on_disk(aws: Aws, work: WorkDir, template: Path) -> None:
    template.write_text(TEMPLATE.replace("ContentUri: common", f"ContentUri: {COMMON_LAYER}"))
    _deploy(aws, work, template)

    (made,) = work.build.glob("*common*.zip")
    with zipfile.ZipFile(made) as archive:
        assert "python/library_common/tokens.py" in archive.namelist()
        assert not [name for name in archive.namelist() if "__pycache__" in name]
