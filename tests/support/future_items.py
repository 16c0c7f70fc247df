"""Stored items as a newer version of a service would have written them, and whether they keep what it added."""

from collections.abc import Iterator
from inspect import isfunction
from typing import TYPE_CHECKING, Any

from library_common.dynamodb import Item, from_wire, to_wire

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NEWER = "from_a_newer_version"
"""An attribute that no version of any service knows."""

ADDED = {"list": [1, "two"], "flag": True}

type Place = tuple[str, str]


def everything(client: "DynamoDBClient", table: str) -> dict[Place, Item]:
    """All items of a table by their key."""
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    items = (from_wire(wire) for page in pages for wire in page["Items"])
    return {(item["pk"], item["sk"]): item for item in items}


def overwrite(client: "DynamoDBClient", table: str, item: Item) -> None:
    """Puts an item as it is, without any rule."""
    client.put_item(TableName=table, Item=to_wire(item))


def add_to_all(client: "DynamoDBClient", table: str) -> dict[Place, Item]:
    """Gives every item the attribute NEWER; the items as they are then."""
    items = everything(client, table)
    for item in items.values():
        item[NEWER] = ADDED
        overwrite(client, table, item)
    return items


def lost(before: dict[Place, Item], after: dict[Place, Item]) -> Iterator[Place]:
    """The items that are still there without what the newer version added."""
    return (place for place in before if place in after and after[place].get(NEWER) != ADDED)


def public_methods(owner: type[Any]) -> set[str]:
    """What others may call on an instance of the class."""
    return {name for name in vars(owner) if not name.startswith("_") and isfunction(getattr(owner, name))}
