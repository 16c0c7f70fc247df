"""The deployer against a real emulator: two small stacks of its own, deployed, changed and broken on purpose."""

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

ROOT_TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  Api: {Type: AWS::Serverless::Application, DependsOn: Echo, Properties: {Location: api.yaml}}
  Echo: {Type: AWS::Serverless::Application, Properties: {Location: echo.yaml}}
"""

ECHO_TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  System: {Type: String}
Globals:
  Function: {CodeUri: echo}
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
  Other: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: unset}}
  EchoFunction:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub ${System}-echo
      AutoPublishAlias: live
      Handler: echo.handler
      Runtime: python3.13
      Layers: [!Ref CommonLayer]
Outputs:
  MailFrom: {Value: library@example.org}
"""

API_TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  System: {Type: String}
  CorsAllowOrigin: {Type: String, Default: https://pages.example.org}
Resources:
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: v1
      DefinitionBody:
        openapi: 3.0.1
        info: {title: echo, version: "1"}
        paths:
          /echo:
            get:
              x-amazon-apigateway-integration:
                type: aws_proxy
                httpMethod: POST
                uri: !Sub INVOKE_ECHO
            options:
              responses: {"200": {description: preflight}}
              x-amazon-apigateway-integration:
                type: mock
                requestTemplates: {application/json: '{"statusCode": 200}'}
                responses:
                  default:
                    statusCode: "200"
                    responseParameters:
                      method.response.header.Access-Control-Allow-Origin: !Sub "'${CorsAllowOrigin}'"
        x-amazon-apigateway-gateway-responses:
          MISSING_AUTHENTICATION_TOKEN:
            statusCode: 404
            responseParameters: {gatewayresponse.header.Content-Type: "'application/problem+json'"}
            responseTemplates: {application/json: '{"code":"no_such_route"}'}
  ServicesUrlParameter: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: unset}}
""".replace(
    "INVOKE_ECHO",
    "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/"
    "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:${System}-echo:live/invocations",
)

ECHO = """
import json
import shared
def handler(event, context):
    print("called")
    return {"statusCode": 200, "body": json.dumps({"version": 1, "shared": shared.NAME})}
"""

SYSTEM = "deployer-test"


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
    """The root template; the two stacks and their code lie beside it."""
    texts = {
        "template.yaml": ROOT_TEMPLATE,
        "echo.yaml": ECHO_TEMPLATE,
        "api.yaml": API_TEMPLATE,
        "echo/echo.py": ECHO,
        "common/shared.py": "NAME = 'layer'\n",
    }
    for name, text in texts.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "source" / "template.yaml"


@pytest.fixture
def echo_template(template: Path) -> Path:
    return template.with_name("echo.yaml")


def _deploy(aws: Aws, work: WorkDir, template: Path, service: str | None = None) -> deploy.Deployment:
    return deploy.deploy(aws, engine.identify(aws.endpoint_url), template, work.build, SYSTEM, {}, service=service)


def _get(aws: Aws, deployed: deploy.Deployment, path: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", deploy.api_address(aws, deployed) + path, retries=False, timeout=30)


def test_stacks_from_their_first_deployment_to_their_removal(aws: Aws, work: WorkDir, template: Path) -> None:
    first = _deploy(aws, work, template)
    assert first.changed == {"api", "echo"}
    assert list(first.tables) == ["echo"]
    assert first.functions == {"EchoFunction": f"{SYSTEM}-echo"}
    assert _get(aws, first, "/echo").json() == {"version": 1, "shared": "layer"}

    assert not _deploy(aws, work, template).changed

    echo = template.parent / "echo" / "echo.py"
    echo.write_text(ECHO.replace('"version": 1', '"version": 2'))
    (template.parent / "common" / "shared.py").write_text("NAME = 'newer layer'\n")
    assert not _deploy(aws, work, template, "api").changed
    assert _deploy(aws, work, template).changed == {"echo"}
    assert _get(aws, first, "/echo").json() == {"version": 2, "shared": "newer layer"}

    deploy.remove(aws, template, SYSTEM)
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
    preflight = urllib3.request("OPTIONS", deploy.api_address(aws, deployed) + "/echo", retries=False, timeout=30)
    assert (preflight.status, preflight.headers["Access-Control-Allow-Origin"]) == (200, "https://pages.example.org")
    expiry = aws.dynamodb.describe_time_to_live(TableName=deployed.tables["echo"])["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at_epoch"}
    address = aws.ssm.get_parameter(Name=deployed.output("ServicesUrlParameter"))["Parameter"]["Value"]
    assert address == deploy.api_address(aws, deployed)


OTHER = "  Other: {Type: AWS::SSM::Parameter, Properties: {Type: String"


def test_the_failing_resource_is_named_and_the_next_try_succeeds(
    aws: Aws, work: WorkDir, template: Path, echo_template: Path
) -> None:
    """Also when there were failures before: on a stack that never came up, and on one that runs."""
    echo_template.write_text(ECHO_TEMPLATE.replace(OTHER, OTHER.replace("String", "Wrong")))
    with pytest.raises(Refusal, match=rf"^Deploying {SYSTEM}-echo ended in ROLLBACK_COMPLETE: Other \(.*Wrong"):
        _deploy(aws, work, template)

    echo_template.write_text(ECHO_TEMPLATE)
    assert _get(aws, _deploy(aws, work, template), "/echo").status == 200

    for name in ("First", "Second"):
        taken = f"  {name}: {{Type: AWS::S3::Bucket, Properties: {{BucketName: {SYSTEM}-artifacts}}}}\n"
        echo_template.write_text(ECHO_TEMPLATE.replace(OTHER, taken + OTHER))
        with pytest.raises(Refusal, match=rf"ended in UPDATE_ROLLBACK_COMPLETE: {name} \(AWS::S3::Bucket\)"):
            _deploy(aws, work, template)

    echo_template.write_text(ECHO_TEMPLATE)
    assert not _deploy(aws, work, template).changed


def test_a_template_the_emulator_refuses_is_refused_with_its_reason(
    aws: Aws, work: WorkDir, template: Path, echo_template: Path
) -> None:
    echo_template.write_text(ECHO_TEMPLATE.replace("AWS::SSM::Parameter", "AWS::No::Such"))

    with pytest.raises(Refusal, match=r"^The template was refused: .*AWS::No::Such"):
        _deploy(aws, work, template)


def test_a_system_that_is_still_one_stack_is_left_alone(aws: Aws, work: WorkDir, template: Path) -> None:
    """As it was before services had stacks of their own; a library on a laptop begins anew."""
    body = '{"Resources": {"Kept": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "1"}}}}'
    aws.cloudformation.create_stack(StackName=SYSTEM, TemplateBody=body)

    with pytest.raises(Refusal, match="make reset"):
        _deploy(aws, work, template)


def test_the_emulator_gets_the_common_layer_as_it_is_on_disk(
    aws: Aws, work: WorkDir, template: Path, echo_template: Path
) -> None:
    echo_template.write_text(ECHO_TEMPLATE.replace("ContentUri: common", f"ContentUri: {COMMON_LAYER}"))
    _deploy(aws, work, template)

    (made,) = work.build.glob("layers-common.zip")
    with zipfile.ZipFile(made) as archive:
        assert "python/library_common/tokens.py" in archive.namelist()
        assert not [name for name in archive.namelist() if "__pycache__" in name]
