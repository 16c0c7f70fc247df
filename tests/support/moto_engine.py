"""moto, at a price that thousands of tests can pay: it does the same, but copies and reads less.

Before a transaction moto copies every table it names, once for every operation in it and down to the last attribute.
Here a table is copied once per transaction, and only the partitions that the transaction touches. For a query moto
sorts the whole table; here keys that are strings are compared as strings. In each attribute value of an answer moto
looks for all ten types under many names; here an attribute value has one type. botocore's models and the operations of
a service are read once per process, instead of once per test or call.
"""

import copy
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any
from unittest.mock import patch

import botocore.session
from botocore.loaders import create_loader
from botocore.useragent import UserAgentString
from moto import mock_aws
from moto.core import responses
from moto.core.serialize import AttributePicker, AttributePickerContext
from moto.core.utils import method_names_from_class
from moto.dynamodb import models
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

type Operations = Sequence[Mapping[str, Mapping[str, Any]]]


@contextmanager
def aws_in_moto() -> Iterator[None]:
    """`mock_aws`, quicker."""
    with (
        patch.object(botocore.session, "create_loader", _one_loader),
        patch.object(UserAgentString, "to_string", lambda _: "tests"),
        patch.object(responses, "method_names_from_class", cache(method_names_from_class)),
        patch.object(models, "copy", _Copying),
        patch.object(DynamoDBBackend, "transact_write_items", _transact_write_items),
        patch.object(Table, "all_items", _all_items),
        patch.object(DynamoType, "__eq__", _is_equal),
        patch.object(AttributePicker, "__call__", _pick),
        mock_aws(),
    ):
        yield


_one_loader = cache(create_loader)
"""A loader remembers what it has read; sessions and their clients are made for sharing one."""

_as_moto_has_it = DynamoDBBackend.transact_write_items
_transaction: ContextVar[dict[str, Table]] = ContextVar("transaction")
"""Table -> what it is put back to if the transaction fails."""


def _transact_write_items(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    named = {str(body.get("TableName")) for entry in transact_items for body in entry.values()}
    before = {name: _kept(backend.tables[name], transact_items) for name in named if name in backend.tables}
    token = _transaction.set(before)
    try:
        _as_moto_has_it(backend, transact_items)
    finally:
        _transaction.reset(token)


class _Copying:
    """Stands in for the module `copy` where moto runs transactions and updates."""

    @staticmethod
    def deepcopy(original: Any) -> Any:
        return _transaction.get()[original.name] if isinstance(original, Table) else copy.deepcopy(original)


def _kept(table: Table, operations: Operations) -> Table:
    """A table that stays as it is while the operations change the one it is taken from."""
    assert table.range_key_attr is not None, "every table of the template has a sort key"
    kept = copy.copy(table)
    items: dict[DynamoType, Any] = table.items
    kept.items = defaultdict(dict, items)
    if table.stream_shard is not None:
        kept.stream_shard = copy.copy(table.stream_shard)
        kept.stream_shard.table = kept
        kept.stream_shard.items = list(table.stream_shard.items)
    for kind, body in (only for entry in operations for only in entry.items()):
        if body.get("TableName") != table.name:
            continue
        key = body.get("Key") or body.get("Item") or {}
        if table.hash_key_attr not in key or table.range_key_attr not in key:
            continue  # moto refuses the whole transaction
        partition, place = DynamoType(key[table.hash_key_attr]), DynamoType(key[table.range_key_attr])
        if partition not in items:
            continue
        if kept.items[partition] is items[partition]:
            kept.items[partition] = dict(items[partition])
        if kind == "Update" and place in items[partition]:
            # An update is the only operation that changes an item in place: it gets one of its own.
            items[partition][place] = copy.deepcopy(kept.items[partition][place])
    return kept


def _all_items(table: Table) -> list[Item]:
    items = [item for partition in table.items.values() for item in partition.values()]
    return sorted(items, key=lambda item: (_comparable(item.hash_key), _comparable(item.range_key)))


def _comparable(key: DynamoType | None) -> Any:
    assert key is not None, "every table of the template has a sort key"
    return key.value if key.type == "S" else key.cast_value


def _is_equal(one: DynamoType, other: DynamoType) -> bool:
    return one.type == other.type and _comparable(one) == _comparable(other)


_TYPES = frozenset({"S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL"})
_pick_as_moto_does = AttributePicker.__call__


def _pick(picker: AttributePicker, context: AttributePickerContext) -> Any:
    found = context.obj
    if type(found) is dict and len(found) == 1 and context.key in _TYPES and not _TYPES.isdisjoint(found):
        return found.get(context.key)
    return _pick_as_moto_does(picker, context)
