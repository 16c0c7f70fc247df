"""The checks of `strict_dynamodb` notice what the real DynamoDB refuses, and let pass what it takes."""

from typing import Any

import pytest

from tests.contract.in_process import InProcess
from tests.contract.strict_dynamodb import Refused, complaints, enforce

pytestmark = pytest.mark.contract

INDEXES = {"t": {"by_member": ("member", "issued")}}


def s(text: str) -> dict[str, str]:
    return {"S": text}


KEY = {"pk": s("LOAN#1"), "sk": s("LOAN")}
GOOD: dict[str, Any] = {
    "TableName": "t",
    "KeyConditionExpression": "#pk = :pk AND #sk > :sk",
    "ExpressionAttributeNames": {"#pk": "pk", "#sk": "sk"},
    "ExpressionAttributeValues": {":pk": s("A"), ":sk": s("B")},
}
BY_MEMBER = {
    "TableName": "t",
    "IndexName": "by_member",
    "KeyConditionExpression": "#m = :m",
    "ExpressionAttributeNames": {"#m": "member"},
    "ExpressionAttributeValues": {":m": s("M")},
}


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("GetItem", {"TableName": "t", "Key": KEY}),
        ("PutItem", {"TableName": "t", "Item": {**KEY, "member": s("M"), "n": {"N": "9" * 38}}}),
        ("Query", GOOD),
        ("Query", {**BY_MEMBER, "ExclusiveStartKey": {**KEY, "member": s("M"), "issued": s("2026")}}),
        ("BatchGetItem", {"RequestItems": {"t": {"Keys": [KEY]}}}),
        ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "t", "Item": KEY}}]}),
    ],
)
def test_what_is_right_passes(operation: str, request_: dict[str, Any]) -> None:
    assert list(complaints(operation, request_, INDEXES)) == []


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("GetItem", {"TableName": "t", "Key": {"pk": s("A")}}),
        ("GetItem", {"TableName": "t", "Key": {**KEY, "pk": s("")}}),
        ("GetItem", {"TableName": "t", "Key": {**KEY, "pk": s("x" * 2049)}}),
        ("GetItem", {"TableName": "t", "Key": {**KEY, "sk": s("\u4e16" * 400)}}),
        ("GetItem", {"TableName": "t", "Key": {**KEY, "sk": {"N": "1"}}}),
        ("PutItem", {"TableName": "t", "Item": {**KEY, "member": s("")}}),
        ("PutItem", {"TableName": "t", "Item": {**KEY, "issued": {"NULL": True}}}),
        ("PutItem", {"TableName": "t", "Item": {**KEY, "n": {"N": "9" * 39}}}),
        ("PutItem", {"TableName": "t", "Item": {**KEY, "m": {"M": {"l": {"L": [{"SS": []}]}}}}}),
        ("PutItem", {"TableName": "t", "Item": {**KEY, "text": s("x" * 410_000)}}),
        ("UpdateItem", {"TableName": "t", "Key": KEY, "ExpressionAttributeValues": {}}),
        (
            "UpdateItem",
            {
                "TableName": "t",
                "Key": KEY,
                "UpdateExpression": "SET #a = :b",
                "ExpressionAttributeNames": {"#a": "a"},
                "ExpressionAttributeValues": {":b": s("x"), ":bb": s("y")},
            },
        ),
        ("Query", {**GOOD, "ExpressionAttributeValues": {":pk": s("A"), ":sk": s("x" * 1025)}}),
        ("Query", {**GOOD, "ExpressionAttributeValues": {":pk": s(""), ":sk": s("B")}}),
        ("Query", {**GOOD, "ExclusiveStartKey": {"pk": s("A")}}),
        ("Query", {**BY_MEMBER, "ExclusiveStartKey": {**KEY, "member": s("M")}}),
        ("Query", {**BY_MEMBER, "ExclusiveStartKey": {**KEY, "member": s("M"), "issued": {"N": "5"}}}),
        ("BatchGetItem", {"RequestItems": {"t": {"Keys": [KEY, dict(KEY)]}}}),
        ("BatchGetItem", {"RequestItems": {"t": {"Keys": []}}}),
        ("TransactWriteItems", {"TransactItems": []}),
        (
            "TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "t", "Item": KEY}}, {"Delete": {"TableName": "t", "Key": KEY}}]},
        ),
    ],
)
def test_what_is_wrong_is_noticed(operation: str, request_: dict[str, Any]) -> None:
    assert list(complaints(operation, request_, INDEXES))


def test_the_services_own_client_is_held_to_it() -> None:
    from library_common import aws  # noqa: PLC0415 - beside its use

    with InProcess().running() as stack:
        enforce(stack.indexes())
        with pytest.raises(Refused, match="pk has 0 bytes"):
            aws.dynamodb().get_item(TableName="LoansTable", Key={"pk": s(""), "sk": s("LOAN")})
        assert stack.indexes()["LoansTable"] == {
            "by_member": ("member", "issued"),
            "by_open_copy": ("open_copy",),
            "by_since": ("listed", "since"),
        }
