"""The API's permissions to call functions: put back when a function was made anew without them."""

import io
import json
import zipfile
from typing import Any

import pytest

from localstack.embedded import permissions, template
from localstack.embedded.aws import Aws
from localstack.embedded.layout import ROOT
from tests.fakes.cloudformation import ACCOUNT, FakeCloudFormation, FakeStack

pytestmark = pytest.mark.adapter

API = template.load(ROOT / "functions" / "gateway" / "api.yaml")
DECLARED = template.resources_of(API, permissions.PERMISSION)
FUNCTIONS = sorted(f"library-{name.removesuffix('Permission').lower()}" for name in DECLARED)


def make(aws: Aws, name: str) -> None:
    """A function with the alias that is called, and without any permission."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("a.py", "")
    roles = aws.client("iam")
    role = "arn:aws:iam::123456789012:role/lambda"
    if not roles.list_roles()["Roles"]:
        role = roles.create_role(RoleName="lambda", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    aws.lambda_.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="a.handler",
        Code={"ZipFile": code.getvalue()},
        Publish=True,
    )
    aws.lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="1")


@pytest.fixture
def deployed(aws: Aws, cloudformation: FakeCloudFormation) -> Aws:
    """The api stack, on functions that have lost their permissions."""
    cloudformation.stacks["library-api"] = FakeStack("CREATE_COMPLETE", API, {"System": "library"})
    for name in FUNCTIONS:
        make(aws, name)
    return aws


def statements(aws: Aws, function: str) -> list[dict[str, Any]]:
    policy = aws.lambda_.get_policy(FunctionName=function, Qualifier="live")["Policy"]
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found


def test_every_function_of_the_api_gets_its_permission_back(deployed: Aws) -> None:
    assert sorted(permissions.restore(deployed, "library-api", API)) == FUNCTIONS

    (statement,) = statements(deployed, "library-loans")
    assert statement == {
        "Sid": "library-api-LoansPermission",
        "Effect": "Allow",
        "Principal": {"Service": "apigateway.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:library-loans:live",
        "Condition": {"ArnLike": {"AWS:SourceArn": f"arn:aws:execute-api:us-east-1:{ACCOUNT}:library-api-Api/*"}},
    }
    (authorizer,) = statements(deployed, "library-authorizer")
    assert authorizer["Condition"]["ArnLike"]["AWS:SourceArn"].endswith(":library-api-Api/authorizers/*")


def test_what_is_there_stays_as_it_is(deployed: Aws) -> None:
    permissions.restore(deployed, "library-api", API)

    assert permissions.restore(deployed, "library-api", API) == []
    assert len(statements(deployed, "library-loans")) == 1


def test_only_what_is_missing_is_added(deployed: Aws) -> None:
    permissions.restore(deployed, "library-api", API)
    deployed.lambda_.delete_function(FunctionName="library-loans")
    make(deployed, "library-loans")

    assert permissions.restore(deployed, "library-api", API) == ["library-loans"]


def test_a_permission_for_another_api_is_not_this_one(deployed: Aws) -> None:
    deployed.lambda_.add_permission(
        FunctionName="library-loans",
        Qualifier="live",
        StatementId="another",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:us-east-1:{ACCOUNT}:another/*",
    )

    assert "library-loans" in permissions.restore(deployed, "library-api", API)
    assert len(statements(deployed, "library-loans")) == 2


def test_a_function_whose_stack_was_deleted_is_skipped(deployed: Aws) -> None:
    deployed.lambda_.delete_function(FunctionName="library-loans")

    assert sorted(permissions.restore(deployed, "library-api", API)) == [
        name for name in FUNCTIONS if name != "library-loans"
    ]


def test_before_there_is_an_api_there_is_nothing_to_restore(aws: Aws) -> None:
    assert permissions.restore(aws, "library-api", API) == []
