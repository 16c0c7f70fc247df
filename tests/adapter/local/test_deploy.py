"""Stacks are deployed one after the other, and only those that are not deployed already."""

from pathlib import Path

import pytest

from localstack.embedded import complete_deployment, deploy
from localstack.embedded.aws import Aws
from localstack.embedded.engine import Engine
from localstack.embedded.errors import Refusal
from tests.fakes.cloudformation import FakeCloudFormation, FakeStack

pytestmark = pytest.mark.adapter

ENGINE = Engine("ministack", "1")

ROOT = """
Resources:
  Api: {Type: AWS::Serverless::Application, DependsOn: [Loans], Properties: {Location: api.yaml}}
  Loans: {Type: AWS::Serverless::Application, DependsOn: [Platform], Properties: {Location: loans/template.yaml}}
  Platform: {Type: AWS::Serverless::Application, Properties: {Location: platform.yaml}}
"""

PLATFORM = """
Parameters: {System: {Type: String}, EventArchive: {Type: String}}
Resources: {Bus: {Type: AWS::Events::EventBus}}
"""

LOANS = """
Globals: {Function: {CodeUri: src/}}
Parameters: {System: {Type: String}, LogLevel: {Type: String, Default: INFO}}
Resources:
  LoansFunction: {Type: AWS::Serverless::Function, Properties: {Handler: loans.handler}}
  LoansTable: {Type: AWS::DynamoDB::Table, Properties: {TimeToLiveSpecification: {Enabled: true, AttributeName: x}}}
"""

API = """
Parameters: {System: {Type: String}}
Outputs: {ApiId: {Value: a1}}
Resources:
  Queue: {Type: AWS::SQS::Queue}
"""


class System:
    """A small system in files, and the deployer on it."""

    def __init__(self, folder: Path, aws: Aws) -> None:
        self.folder = folder
        self.root = folder / "template.yaml"
        self._aws = aws
        self.write("template.yaml", ROOT)
        self.write("platform.yaml", PLATFORM)
        self.write("loans/template.yaml", LOANS)
        self.write("loans/src/loans.py", "def handler(event, context): pass\n")
        self.write("api.yaml", API)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(text)

    def deploy(self, service: str | None = None, *, finish: bool = True, **parameters: str) -> deploy.Deployment:
        """finish=False: as if the deployment were interrupted before it was completed."""
        build = self.folder / "build"
        deployed = deploy.deploy(self._aws, ENGINE, self.root, build, "library", parameters, service=service)
        if finish:
            for stack, digest in deployed.unfinished.items():
                deploy.note_finished(self._aws, "library", stack, digest)
        return deployed


@pytest.fixture
def system(tmp_path: Path, aws: Aws) -> System:
    return System(tmp_path, aws)


def test_every_stack_is_deployed_after_those_it_depends_on(system: System, cloudformation: FakeCloudFormation) -> None:
    deployed = system.deploy()

    assert cloudformation.executed == ["library-platform", "library-loans", "library-api"]
    assert deployed.changed == {"platform", "loans", "api"}
    assert deployed.tables == {"loans": "library-loans-LoansTable"}
    assert deployed.output("ApiId") == "a1"
    assert deployed.output("Bus") == "library-platform-Bus"


def test_a_stack_gets_the_parameters_it_declares(system: System, cloudformation: FakeCloudFormation) -> None:
    system.deploy(LogLevel="DEBUG")

    assert {name: stack.parameters for name, stack in cloudformation.stacks.items()} == {
        "library-platform": {"System": "library", "EventArchive": "None"},
        "library-loans": {"System": "library", "LogLevel": "DEBUG"},
        "library-api": {"System": "library"},
    }


def test_what_is_deployed_already_is_skipped(system: System, cloudformation: FakeCloudFormation) -> None:
    system.deploy()
    cloudformation.executed.clear()

    deployed = system.deploy()

    assert (deployed.changed, deployed.unfinished, cloudformation.executed) == (frozenset(), {}, [])
    assert deployed.output("ApiId") == "a1", "it is described all the same"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("loans/template.yaml", LOANS + "  Queue: {Type: AWS::SQS::Queue}\n"),
        ("loans/src/loans.py", "def handler(event, context): return 1\n"),
    ],
    ids=["template", "code"],
)
def test_only_the_stack_that_changed_is_deployed(
    system: System, cloudformation: FakeCloudFormation, file: str, text: str
) -> None:
    system.deploy()
    cloudformation.executed.clear()

    system.write(file, text)

    assert system.deploy().changed == {"loans"}
    assert cloudformation.executed == ["library-loans"]
    assert system.deploy().changed == frozenset()


def test_a_parameter_changes_the_stacks_that_declare_it(system: System) -> None:
    system.deploy()

    assert system.deploy(LogLevel="DEBUG").changed == {"loans"}


def test_a_stack_that_somebody_deleted_is_deployed_again(system: System, cloudformation: FakeCloudFormation) -> None:
    system.deploy()
    cloudformation.delete_stack(StackName="library-loans")

    assert system.deploy().changed == {"loans"}


def test_one_stack_is_deployed_alone(system: System, cloudformation: FakeCloudFormation) -> None:
    system.deploy()
    for file, text in {"api.yaml": API.replace("a1", "a2"), "loans/src/loans.py": "pass\n"}.items():
        system.write(file, text)
    cloudformation.executed.clear()

    assert system.deploy("loans").changed == {"loans"}
    assert cloudformation.executed == ["library-loans"]
    with pytest.raises(Refusal, match="There is no stack fines"):
        system.deploy("fines")
    assert system.deploy().changed == {"api"}


def test_a_stack_that_fails_leaves_those_before_it_and_is_tried_again(
    system: System, cloudformation: FakeCloudFormation
) -> None:
    cloudformation.broken.add("library-loans")
    with pytest.raises(Refusal, match=r"^Deploying library-loans ended in ROLLBACK_COMPLETE"):
        system.deploy()
    assert cloudformation.executed == ["library-platform", "library-loans"]

    cloudformation.broken.clear()
    deployed = system.deploy()

    assert deployed.changed == {"loans", "api"}
    assert set(deployed.unfinished) == {"platform", "loans", "api"}, "nothing was completed after the first one failed"


def test_an_update_that_was_rolled_back_is_tried_again(system: System, cloudformation: FakeCloudFormation) -> None:
    system.deploy()
    cloudformation.broken.add("library-loans")
    system.write("loans/src/loans.py", "pass\n")
    with pytest.raises(Refusal, match="UPDATE_ROLLBACK_COMPLETE"):
        system.deploy()

    cloudformation.broken.clear()

    assert system.deploy().changed == {"loans"}


def test_a_deployment_that_was_interrupted_is_completed_by_the_next(system: System) -> None:
    interrupted = system.deploy(finish=False)

    again = system.deploy()

    assert again.changed == frozenset(), "CloudFormation has nothing to do"
    assert again.unfinished == interrupted.unfinished
    assert system.deploy().unfinished == {}


def test_completing_enables_expiry_and_is_noted(system: System, aws: Aws) -> None:
    deployed = system.deploy(finish=False)
    aws.dynamodb.create_table(
        TableName=deployed.tables["loans"],
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    one = system.deploy("loans", finish=False)

    for _ in range(2):
        complete_deployment.complete(aws, ENGINE, one, system.root)

    expiry = aws.dynamodb.describe_time_to_live(TableName=deployed.tables["loans"])["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "x"}
    assert set(system.deploy(finish=False).unfinished) == {"platform", "api"}


def test_services_find_the_api_wherever_the_emulator_listens_now(system: System, aws: Aws) -> None:
    """A run on another port has nothing to deploy, and every address is another one."""
    types = {"Api": "ApiGateway::RestApi", "Stage": "ApiGateway::Stage", "ServicesUrlParameter": "SSM::Parameter"}
    system.write("api.yaml", API + "".join(f"  {name}: {{Type: AWS::{kind}}}\n" for name, kind in types.items()))
    system.deploy()
    for endpoint in ("http://127.0.0.1:4566", "http://127.0.0.1:4567"):
        aws.endpoint_url = endpoint

        complete_deployment.complete(aws, ENGINE, system.deploy(), system.root)

        stored = aws.ssm.get_parameter(Name="library-api-ServicesUrlParameter")["Parameter"]["Value"]
        assert stored == f"{endpoint}/_aws/execute-api/library-api-Api/library-api-Stage"


def test_a_system_that_is_still_one_stack_is_refused_before_anything_happens(
    system: System, aws: Aws, cloudformation: FakeCloudFormation
) -> None:
    """A .local folder of before: its tables belong to that stack."""
    cloudformation.stacks["library"] = FakeStack("UPDATE_COMPLETE")

    with pytest.raises(Refusal, match=r"^library was deployed as one stack, .* run `make reset`"):
        system.deploy()

    assert cloudformation.executed == []
    assert aws.s3.list_buckets()["Buckets"] == []


def test_nothing_of_a_system_is_left_when_it_is_removed(
    system: System, aws: Aws, cloudformation: FakeCloudFormation
) -> None:
    system.deploy()
    aws.dynamodb.create_table(
        TableName="library-loans-LoansTable",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )

    deploy.remove(aws, system.root, "library")

    assert cloudformation.stacks == {}
    assert aws.dynamodb.list_tables()["TableNames"] == []
    assert aws.s3.list_buckets()["Buckets"] == []
    assert aws.ssm.describe_parameters()["Parameters"] == []
