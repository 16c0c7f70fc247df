"""The real table definitions move from one stack to a stack per service, in a real emulator, with what is in them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localstack.embedded import cloudformation, composition, deploy, engine, template
from localstack.embedded.aws import Aws
from localstack.embedded.layout import TEMPLATE, WorkDir
from localstack.embedded.ports import pick_free
from tools.migrate import Migration, importable_by

pytestmark = pytest.mark.integration

SYSTEM = "town"
QUEUE = {"Type": "AWS::SQS::Queue"}
ITEM = {"pk": {"S": "LOAN#1"}, "sk": {"S": "LOAN"}, "v": {"N": "3"}}
TABLES = {
    (stack.name, logical_id): resource
    for stack in composition.stacks(TEMPLATE)
    for logical_id, resource in template.load(stack.template_file)["Resources"].items()
    if resource["Type"] == template.TABLE and resource.get("DeletionPolicy") != "Delete"
}


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    work, port = WorkDir(tmp_path / "work"), pick_free()
    process = engine.start_ministack(work, port, persist=False)
    try:
        yield Aws(f"http://127.0.0.1:{port}")
    finally:
        engine.stop_ministack(process, work)


def _apply(aws: Aws, stack_name: str, resources: dict[str, Any]) -> None:
    # As an emulator is deployed to: its tables may be deleted.
    conditions = {"TableIsProtected": {"Fn::Equals": ["false", "true"]}}
    body = template.dump({"Conditions": conditions, "Resources": resources})
    cloudformation.apply(aws, stack_name, "", body.encode(), {})


def _stream(aws: Aws, table: str) -> str | None:
    return aws.dynamodb.describe_table(TableName=table)["Table"].get("LatestStreamArn")


def test_tables_are_imported_with_their_items(aws: Aws) -> None:
    _apply(aws, SYSTEM, {"Queue": QUEUE} | {logical_id: resource for (_, logical_id), resource in TABLES.items()})
    names = {
        logical_id: physical_id
        for logical_id, (kind, physical_id) in deploy.resources_of(aws, SYSTEM).items()
        if kind == template.TABLE
    }
    streams = {
        name: aws.dynamodb.describe_table(TableName=name)["Table"].get("LatestStreamArn") for name in names.values()
    }
    for name in names.values():
        aws.dynamodb.put_item(TableName=name, Item=ITEM)

    list(Migration(aws, TEMPLATE, SYSTEM, importable_by(engine.identify(aws.endpoint_url))).run(confirmed=True))

    assert cloudformation.status_of(aws, SYSTEM) is None
    for (stack, logical_id), resource in TABLES.items():
        # A deployment that adds to the stack goes on with the same table.
        _apply(aws, f"{SYSTEM}-{stack}", {logical_id: resource, "Queue": QUEUE})
        assert deploy.resources_of(aws, f"{SYSTEM}-{stack}")[logical_id] == (template.TABLE, names[logical_id])
    for name, stream in streams.items():
        assert aws.dynamodb.scan(TableName=name)["Items"] == [ITEM]
        assert _stream(aws, name) == stream
