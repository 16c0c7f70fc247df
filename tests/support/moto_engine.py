"""moto, at a price that thousands of tests can pay: it does the same, but copies and reads less.

Before a transaction moto copies every table it names, once for every operation in it and down to the last attribute.
Here a table is copied once per transaction, and only the partitions that the transaction touches. For a query moto
sorts the whole table; here keys that are strings are compared as strings. In each attribute value of an answer moto
looks for all ten types under many names; here an attribute value has one type. Each walk through an expression asks of
every node whether the walk concerns it; here this is asked once for each kind of node. An expression is read once per
process; whoever changes its tree gets a copy, made with `pickle`. botocore's models and the operations of a service are
read once per process, instead of once per test or call. Requests carry no real signature: moto reads only whom and
which service they name. Only requests of botocore are answered, not those of `requests`.
"""

import copy
import pickle
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any
from unittest.mock import patch

import botocore.session
from botocore.auth import SigV4Auth
from botocore.hooks import BaseEventHooks, EventAliaser
from botocore.loaders import create_loader
from botocore.useragent import UserAgentString
from moto import mock_aws
from moto.core import models as mocks
from moto.core import responses
from moto.core.model import StructureShape
from moto.core.serialize import ResponseSerializer
from moto.core.utils import method_names_from_class
from moto.dynamodb import models
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing import ast_nodes, expressions, validators
from moto.dynamodb.parsing.validators import ActionCountValidator

type Operations = Sequence[Mapping[str, Mapping[str, Any]]]


@contextmanager
def aws_in_moto() -> Iterator[None]:
    """`mock_aws`, quicker."""
    with (
        patch.object(botocore.session, "create_loader", _one_loader),
        patch.object(mocks, "RESPONSES_METHODS", []),
        patch.object(BaseEventHooks, "_verify_accept_kwargs", lambda *_: None),
        patch.object(UserAgentString, "to_string", lambda _: "tests"),
        patch.object(responses, "method_names_from_class", cache(method_names_from_class)),
        patch.object(models, "copy", _Copying),
        patch.object(DynamoDBBackend, "transact_write_items", _transact_write_items),
        patch.object(Table, "all_items", _all_items),
        patch.object(DynamoType, "__eq__", _is_equal),
        patch.object(ResponseSerializer, "_serialize_type_structure", _serialize_structure),
        patch.object(_Traverser, "traverse_node_recursively", _traverse),
        patch.object(vars(expressions)["UpdateExpressionParser"], "make", _parse),
        patch.object(validators, "deepcopy", _copy),
        patch.object(ActionCountValidator, "traverse", lambda _, tree: tree),
        patch.object(ConditionExpressionParser, "_lex_condition_expression", _lex),
        patch.object(EventAliaser, "_alias_event_name", _alias),
        patch.object(SigV4Auth, "canonical_request", lambda *_: ""),
        patch.object(SigV4Auth, "signature", lambda *_: "none"),
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


_serialize_structure_as_moto_does = ResponseSerializer._serialize_type_structure


def _serialize_structure(
    serializer: ResponseSerializer, serialized: dict[str, Any], value: Any, shape: StructureShape, key: str
) -> None:
    if not (key and shape.name == "AttributeValue" and type(value) is dict and len(value) == 1):
        _serialize_structure_as_moto_does(serializer, serialized, value, shape, key)
        return
    ((kind, inner),) = value.items()
    wrapper: dict[str, Any] = {}
    serializer._serialize(wrapper, inner, shape.members[kind], kind)
    serialized[key] = wrapper


_Node, _Traverser = vars(ast_nodes)["Node"], vars(ast_nodes)["DepthFirstTraverser"]
"""The module is not typed."""


def _traverse(traverser: Any, node: Any, child_id: int = -1) -> Any:
    if not _is_node(type(node)):
        return node
    parent = node.parent
    for number, child in enumerate(node.children or ()):
        traverser.pre_processing_of_child(node, number)
        _traverse(traverser, child, number)
    if _concerns(type(traverser), type(node), traverser.nodes_to_be_processed):
        node = traverser.process(node)
        node.parent = parent
        if parent:
            parent.children[child_id] = node
    return node


_parse = cache(vars(expressions)["UpdateExpressionParser"].make)
"""Whoever changes a tree changes a copy of it."""


def _copy(original: Any) -> Any:
    return pickle.loads(_pickled(original)) if isinstance(original, _Node) else copy.deepcopy(original)


@cache
def _pickled(tree: Any) -> bytes:
    """Counts the clauses as well: that is what moto does first with a copy."""
    _traverse(ActionCountValidator(), tree)
    return pickle.dumps(tree)


_lex_as_moto_does = ConditionExpressionParser._lex_condition_expression
_lexed: dict[str | None, list[ConditionExpressionParser.Node]] = {}


def _lex(parser: ConditionExpressionParser) -> deque[ConditionExpressionParser.Node]:
    text = parser.condition_expression
    if text not in _lexed:
        _lexed[text] = list(_lex_as_moto_does(parser))
    return deque(_lexed[text])


_nodes: dict[type, bool] = {}
_concerned: dict[tuple[type, type], bool] = {}


def _is_node(kind: type) -> bool:
    """As isinstance, which is slow for an abstract class."""
    if kind not in _nodes:
        _nodes[kind] = issubclass(kind, _Node)
    return _nodes[kind]


def _concerns(traverser: type, node: type, kinds: Callable[[], tuple[type, ...]]) -> bool:
    if (traverser, node) not in _concerned:
        _concerned[traverser, node] = issubclass(node, kinds())
    return _concerned[traverser, node]


_alias_as_botocore_does: Callable[[EventAliaser, str], str] = vars(EventAliaser)["_alias_event_name"]
_aliases: dict[str, str] = {}


def _alias(aliaser: EventAliaser, name: str) -> str:
    """The same for every session; there are as many sessions as tests."""
    if name not in _aliases:
        _aliases[name] = _alias_as_botocore_does(aliaser, name)
    return _aliases[name]
