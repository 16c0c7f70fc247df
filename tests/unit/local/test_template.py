"""Reading SAM templates and pointing them at uploaded packages."""

import json
from pathlib import Path
from typing import Any

import pytest

from localstack.embedded import composition, template
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import TEMPLATE

pytestmark = pytest.mark.unit

SMALL = """
AWSTemplateFormatVersion: 2010-09-09
Globals:
  Function:
    Layers: [!Ref CommonLayer]
Resources:
  CommonLayer:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layers/common}
  UsersFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/users
      Role: !GetAtt Role.Arn
      Layers: [!Ref ExtraLayer]
      Environment:
        Variables:
          NAME: !Sub "library-${AWS::StackName}"
          CHOICE: !If [IsProd, !Ref A, !Join ["-", [a, !Ref B]]]
  ElsewhereFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: "s3://bucket/key.zip"}
  InlineFunction:
    Type: AWS::Serverless::Function
    Properties: {InlineCode: "pass"}
  ExtraLayer:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layers/extra}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      TimeToLiveSpecification: {AttributeName: expires_at_epoch, Enabled: true}
  Keeps:
    Type: AWS::DynamoDB::Table
    Properties:
      TimeToLiveSpecification: {AttributeName: expires_at_epoch, Enabled: false}
"""


@pytest.fixture
def small(tmp_path: Path) -> template.Template:
    path = tmp_path / "template.yaml"
    path.write_text(SMALL)
    return template.load(path)


def test_short_forms_of_cloudformation_become_their_long_forms(small: template.Template) -> None:
    properties = json.loads(template.dump(small))["Resources"]["UsersFunction"]["Properties"]

    assert properties["Role"] == {"Fn::GetAtt": ["Role", "Arn"]}
    assert properties["Environment"]["Variables"] == {
        "NAME": {"Fn::Sub": "library-${AWS::StackName}"},
        "CHOICE": {"Fn::If": ["IsProd", {"Ref": "A"}, {"Fn::Join": ["-", ["a", {"Ref": "B"}]]}]},
    }


def test_an_unquoted_format_version_stays_text(small: template.Template) -> None:
    assert json.loads(template.dump(small))["AWSTemplateFormatVersion"] == "2010-09-09"


def test_local_code_is_uploaded_and_nothing_else_changes(small: template.Template) -> None:
    before = template.dump(small)
    asked = []

    def upload(logical_id: str, resource_type: str, folder: str) -> str:
        asked.append((logical_id, resource_type, folder))
        return f"s3://artifacts/{folder}"

    rewritten = template.with_uploaded_code(small, upload)

    assert sorted(asked) == [
        ("CommonLayer", template.LAYER, "layers/common"),
        ("ExtraLayer", template.LAYER, "layers/extra"),
        ("UsersFunction", template.FUNCTION, "functions/users"),
    ]
    resources = rewritten["Resources"]
    assert resources["UsersFunction"]["Properties"]["CodeUri"] == "s3://artifacts/functions/users"
    assert resources["CommonLayer"]["Properties"]["ContentUri"] == "s3://artifacts/layers/common"
    assert resources["ElsewhereFunction"]["Properties"] == {"CodeUri": "s3://bucket/key.zip"}
    assert resources["InlineFunction"]["Properties"] == {"InlineCode": "pass"}
    assert template.dump(small) == before


def test_a_function_has_the_layers_of_globals_and_its_own(small: template.Template) -> None:
    function = template.resources_of(small, template.FUNCTION)["UsersFunction"]

    assert template.layer_folders(small, function) == ["layers/common", "layers/extra"]


def test_only_tables_whose_items_expire_are_named(small: template.Template) -> None:
    assert template.expiry_attributes(small) == {"Table": "expires_at_epoch"}


def test_a_function_without_code_of_its_own_has_that_of_globals() -> None:
    globals_ = "Globals: {Function: {CodeUri: src/}}\nResources:\n"
    functions = "".join(
        f"  {name}: {{Type: AWS::Serverless::Function, Properties: {properties}}}\n"
        for name, properties in {
            "Common": "{Handler: a}",
            "Own": "{CodeUri: other/}",
            "Elsewhere": "{CodeUri: 's3://bucket/key'}",
            "Inline": "{InlineCode: pass}",
        }.items()
    )
    layer = "  Layer: {Type: AWS::Serverless::LayerVersion, Properties: {}}\n"
    source = template.parse(globals_ + functions + layer, "template.yaml")

    rewritten = template.with_uploaded_code(source, lambda _id, _type, folder: f"s3://artifacts/{folder}")

    assert "CodeUri" not in rewritten["Globals"]["Function"], "CloudFormation would look for a folder"
    assert {name: properties.get("CodeUri") for name, properties in _functions(rewritten).items()} == {
        "Common": "s3://artifacts/src/",
        "Own": "s3://artifacts/other/",
        "Elsewhere": "s3://bucket/key",
        "Inline": None,
    }
    assert rewritten["Resources"]["Layer"]["Properties"] == {}, "a layer has no code of functions"
    assert source["Globals"]["Function"] == {"CodeUri": "src/"}


def _functions(source: template.Template) -> dict[str, dict[str, Any]]:
    return template.resources_of(source, template.FUNCTION)


@pytest.mark.parametrize("stack", composition.stacks(TEMPLATE), ids=lambda stack: stack.name)
def test_the_systems_own_templates_name_folders_that_are_there(stack: composition.Stack) -> None:
    source = template.load(stack.template_file)
    folders = {}

    def upload(logical_id: str, _resource_type: str, folder: str) -> str:
        folders[logical_id] = folder
        return "s3://bucket/key"

    template.dump(template.with_uploaded_code(source, upload))

    assert set(folders) == {*_functions(source), *template.resources_of(source, template.LAYER)}
    assert [folder for folder in folders.values() if not (stack.template_file.parent / folder).is_dir()] == []


def test_a_missing_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="no template"):
        template.load(tmp_path / "template.yaml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("Resources:\n  A: {b: [}\n", "not valid YAML near line 2"), ("Description: x\n", "no Resources")],
)
def test_a_broken_template_is_refused_in_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(text)

    with pytest.raises(Refusal, match=sentence):
        template.load(path)
