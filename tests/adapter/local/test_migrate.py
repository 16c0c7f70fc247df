"""A library in one stack moves to a stack per service and keeps its tables, bus and archive."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from localstack.embedded import deploy
from localstack.embedded.aws import Aws
from localstack.embedded.engine import Engine
from localstack.embedded.errors import Refusal
from tests.fakes.cloudformation import FakeCloudFormation, FakeStack
from tools.migrate import Migration, importable_by

pytestmark = pytest.mark.adapter

ROOT = """
Resources:
  Platform: {Type: AWS::Serverless::Application, Properties: {Location: platform.yaml}}
  Loans: {Type: AWS::Serverless::Application, DependsOn: [Platform], Properties: {Location: loans.yaml}}
  Api: {Type: AWS::Serverless::Application, DependsOn: [Loans], Properties: {Location: api.yaml}}
"""
SYSTEM = 'Parameters: {System: {Type: String, AllowedPattern: "^[a-z]+$"}'
TABLE = "{Type: AWS::DynamoDB::Table, DeletionPolicy: RetainExceptOnCreate, Properties: {BillingMode: PAY_PER_REQUEST}}"
FILES = {
    "template.yaml": ROOT,
    "platform.yaml": f"""
AWSTemplateFormatVersion: "2010-09-09"
{SYSTEM}}}
Resources:
  EventBus: {{Type: AWS::Events::EventBus, Properties: {{Name: !Sub "library-${{System}}"}}}}
  GatewayTable: {{Type: AWS::DynamoDB::Table, DeletionPolicy: Delete}}
  Queue: {{Type: AWS::SQS::Queue}}
""",
    "loans.yaml": f"""
AWSTemplateFormatVersion: "2010-09-09"
{SYSTEM}, LoanPolicy: {{Type: String, Default: "{{}}"}}, Days: {{Type: Number, Default: 30}}}}
Resources:
  LoansTable: {TABLE}
  EventsArchive: {{Type: AWS::Events::Archive, Condition: HasArchive}}
  LoansQueue: {{Type: AWS::SQS::Queue}}
""",
    "api.yaml": f"""
AWSTemplateFormatVersion: "2010-09-09"
{SYSTEM}}}
Resources: {{Api: {{Type: AWS::SQS::Queue}}}}
""",
}
KEPT = {"EventBus": "town-EventBus", "LoansTable": "town-LoansTable", "EventsArchive": "town-EventsArchive"}


def old_stack() -> FakeStack:
    resources: dict[str, Any] = {
        "EventBus": {"Type": "AWS::Events::EventBus"},
        "GatewayTable": {"Type": "AWS::DynamoDB::Table", "DeletionPolicy": "Delete"},
        "LoansTable": {"Type": "AWS::DynamoDB::Table", "DeletionPolicy": "RetainExceptOnCreate"},
        "EventsArchive": {"Type": "AWS::Events::Archive", "Condition": "HasArchive"},
        "OldQueue": {"Type": "AWS::SQS::Queue"},
    }
    return FakeStack("UPDATE_COMPLETE", {"Resources": resources}, {"LoanPolicy": '{"a": 1}', "Days": "30", "Gone": "x"})


@pytest.fixture
def queue(aws: Aws, cloudformation: FakeCloudFormation) -> str:
    """The address of the old stack's queue."""
    cloudformation.stacks["town"] = old_stack()
    address: str = aws.client("sqs").create_queue(QueueName="town-OldQueue")["QueueUrl"]
    return address


@pytest.fixture
def migrate(tmp_path: Path, aws: Aws, queue: str) -> Callable[..., list[str]]:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)

    def run(*, confirmed: bool = True, only: frozenset[str] | None = None) -> list[str]:
        importable = importable_by(None) if only is None else only
        return list(Migration(aws, tmp_path / "template.yaml", "town", importable).run(confirmed=confirmed))

    return run


def require_imported(cloudformation: FakeCloudFormation) -> None:
    found = {name: (stack.status, stack.imported) for name, stack in cloudformation.stacks.items()}
    assert found == {
        "town-platform": ("IMPORT_COMPLETE", {"EventBus": KEPT["EventBus"]}),
        "town-loans": ("IMPORT_COMPLETE", {name: KEPT[name] for name in ("LoansTable", "EventsArchive")}),
    }


def test_the_new_stacks_import_what_the_old_one_leaves(
    migrate: Callable[..., list[str]], cloudformation: FakeCloudFormation
) -> None:
    migrate()

    require_imported(cloudformation)
    assert cloudformation.kept == set(KEPT.values()), "the gateway's table is not among them"
    resources = cloudformation.stacks["town-loans"].template["Resources"]
    assert resources["LoansTable"]["Properties"] == {"BillingMode": "PAY_PER_REQUEST"}
    assert resources["EventsArchive"] == {"Type": "AWS::Events::Archive", "DeletionPolicy": "Retain"}


def test_without_confirmation_it_only_says_what_it_would_do(
    migrate: Callable[..., list[str]], cloudformation: FakeCloudFormation, aws: Aws
) -> None:
    lines = migrate(confirmed=False)

    assert lines[-1].startswith("Nothing was done.")
    assert "Create the stack town-platform with EventBus (town-EventBus)." in lines
    assert cloudformation.stacks == {"town": old_stack()}
    assert deploy.read_migration(aws, "town") is None


def test_an_import_that_failed_is_no_import(
    migrate: Callable[..., list[str]], cloudformation: FakeCloudFormation
) -> None:
    """Otherwise the deployment would make empty tables, and nobody would look for the old ones."""
    cloudformation.broken = {"town-loans"}
    with pytest.raises(Refusal, match="town-loans ended in ROLLBACK_COMPLETE"):
        migrate()
    cloudformation.broken = set()
    cloudformation.stacks["town-loans"] = FakeStack("IMPORT_ROLLBACK_COMPLETE")

    with pytest.raises(Refusal, match=r"town-loans is IMPORT_ROLLBACK_COMPLETE without town-LoansTable"):
        migrate()


def test_new_stacks_beside_the_old_one_have_tables_of_their_own(
    migrate: Callable[..., list[str]], cloudformation: FakeCloudFormation
) -> None:
    cloudformation.stacks["town-loans"] = FakeStack("CREATE_COMPLETE")

    with pytest.raises(Refusal, match=r"town-loans exist already, beside town"):
        migrate()

    assert cloudformation.stacks["town"] == old_stack()


class Died(Exception):
    """The process ended."""


@pytest.mark.parametrize("survives", range(12))
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_it_continues_after_an_interruption_at_any_call(
    migrate: Callable[..., list[str]],
    cloudformation: FakeCloudFormation,
    aws: Aws,
    monkeypatch: pytest.MonkeyPatch,
    survives: int,
    before: bool,
) -> None:
    left = survives

    def mortal(call: Callable[..., Any]) -> Callable[..., Any]:
        def once(**given: Any) -> Any:
            nonlocal left
            left -= 1
            if left == -1 and before:
                raise Died
            answer = call(**given)
            if left == -1:
                raise Died
            return answer

        return once

    with monkeypatch.context() as patched:
        for name in ("create_change_set", "execute_change_set", "delete_stack"):
            patched.setattr(cloudformation, name, mortal(getattr(cloudformation, name)))
        ssm = aws.ssm
        patched.setattr(ssm, "put_parameter", mortal(ssm.put_parameter))
        patched.setattr(type(aws), "ssm", ssm)
        with suppress(Died):
            migrate()
    if "town-loans" not in cloudformation.stacks:
        with pytest.raises(Refusal, match="make migrate"):
            deploy.require_no_single_stack(aws, "town")

    migrate()

    require_imported(cloudformation)
    deploy.require_no_single_stack(aws, "town")


def test_full_queues_are_named_and_nothing_is_done(
    migrate: Callable[..., list[str]], cloudformation: FakeCloudFormation, aws: Aws, queue: str
) -> None:
    aws.client("sqs").send_message(QueueUrl=queue, MessageBody="{}")

    with pytest.raises(Refusal, match=r"OldQueue \(1\)"):
        migrate()

    assert cloudformation.stacks == {"town": old_stack()}


def test_what_an_emulator_cannot_import_is_left_to_the_deployment(
    migrate: Callable[..., list[str]], cloudformation: FakeCloudFormation
) -> None:
    migrate(only=importable_by(Engine("ministack", "1")))

    assert set(cloudformation.stacks) == {"town-loans"}
    assert cloudformation.kept == {"town-LoansTable"}
    with pytest.raises(Refusal, match="localstack cannot import"):
        importable_by(Engine("localstack", "4"))


def test_the_next_command_has_the_parameters_that_differ_from_the_defaults(
    migrate: Callable[..., list[str]], aws: Aws
) -> None:
    aws.endpoint_url = ""

    assert migrate(confirmed=False)[-2].endswith(
        """make deploy PARAMETERS='System=town LoanPolicy='"'"'{"a": 1}'"'"''"""
    )


def test_a_finished_migration_is_forgotten(
    migrate: Callable[..., list[str]], cloudformation: FakeCloudFormation, aws: Aws
) -> None:
    migrate()
    cloudformation.stacks["town-api"] = FakeStack("CREATE_COMPLETE")

    assert migrate() == ["town is migrated: each service has its own stack."]
    assert deploy.read_migration(aws, "town") is None


def test_a_stack_that_is_no_library_is_refused(
    migrate: Callable[..., list[str]], cloudformation: FakeCloudFormation
) -> None:
    del cloudformation.stacks["town"].template["Resources"]["LoansTable"]
    with pytest.raises(Refusal, match="no LoansTable"):
        migrate()

    cloudformation.delete_stack(StackName="town")
    with pytest.raises(Refusal, match="nothing to migrate"):
        migrate()
