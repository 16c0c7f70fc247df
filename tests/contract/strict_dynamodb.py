"""Rules of the real DynamoDB that moto lets pass: on AWS each of these is a ValidationException, so a 500.

Limits from the developer guide, "Quotas" and "Naming rules": key sizes, item size, operations per transaction.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from library_common import aws

MAX_PARTITION_KEY_BYTES = 2048
MAX_SORT_KEY_BYTES = 1024
MAX_ITEM_BYTES = 400 * 1024
MAX_TRANSACTION_OPERATIONS = 100
MAX_BATCH_KEYS = 100
MAX_DIGITS = 38

type Wire = Mapping[str, Mapping[str, Any]]


class Refused(Exception):
    """The real one would not take this request."""


def enforce(indexes: Mapping[str, Mapping[str, tuple[str, ...]]]) -> None:
    """From now on, until clients are made anew, every request of the services' client is checked.

    indexes: table -> index -> its key attributes. The tables' own keys are `pk` and `sk`.
    """

    def check(params: dict[str, Any], model: Any, **_: object) -> None:
        for complaint in complaints(str(model.name), params, indexes):
            raise Refused(f"{model.name}: {complaint}")

    aws.dynamodb().meta.events.register("provide-client-params.dynamodb", check)


def complaints(
    operation: str, request: Mapping[str, Any], indexes: Mapping[str, Mapping[str, tuple[str, ...]]]
) -> Iterator[str]:
    """What is wrong with a request."""
    if operation == "TransactWriteItems":
        yield from _transaction(request, indexes)
    elif operation == "BatchGetItem":
        for asked in request["RequestItems"].values():
            keys = [json.dumps(key, sort_keys=True) for key in asked["Keys"]]
            if not 1 <= len(keys) <= MAX_BATCH_KEYS:
                yield f"{len(keys)} keys in a batch"
            if len(set(keys)) < len(keys):
                yield "a key twice in a batch"
            for key in asked["Keys"]:
                yield from _key(key)
    elif operation == "Query":
        yield from _query(request, indexes)
    else:
        yield from _single(request, indexes)


def _single(request: Mapping[str, Any], indexes: Mapping[str, Mapping[str, tuple[str, ...]]]) -> Iterator[str]:
    if "Item" in request:
        yield from _item(request["Item"], indexes.get(request["TableName"], {}))
    if "Key" in request:
        yield from _key(request["Key"])
    yield from _values(request)


def _transaction(request: Mapping[str, Any], indexes: Mapping[str, Mapping[str, tuple[str, ...]]]) -> Iterator[str]:
    operations = [body for entry in request["TransactItems"] for body in entry.values()]
    if not 1 <= len(operations) <= MAX_TRANSACTION_OPERATIONS:
        yield f"{len(operations)} operations in a transaction"
    touched = [
        (body["TableName"], *(str((body.get("Key") or body["Item"])[part]) for part in ("pk", "sk")))
        for body in operations
    ]
    if len(set(touched)) < len(touched):
        yield "a transaction touches an item twice"
    for body in operations:
        yield from _single(body, indexes)


def _query(request: Mapping[str, Any], indexes: Mapping[str, Mapping[str, tuple[str, ...]]]) -> Iterator[str]:
    index = request.get("IndexName")
    of_index = indexes.get(request["TableName"], {}).get(index, ()) if index else ()
    names = request.get("ExpressionAttributeNames", {})
    values = request.get("ExpressionAttributeValues", {})
    for place, value in re.findall(r"(#\w+)[^:#]*(:\w+)", request["KeyConditionExpression"]):
        attribute = names[place]
        is_partition = attribute == (of_index[0] if of_index else "pk")
        yield from _key_value(attribute, values[value], is_partition=is_partition)
    start = request.get("ExclusiveStartKey")
    if start is not None:
        wanted = {"pk", "sk", *of_index}
        if set(start) != wanted:
            yield f"starts at {sorted(start)} instead of {sorted(wanted)}"
        for attribute, value in start.items():
            yield from _key_value(attribute, value, is_partition=attribute in {"pk", *of_index[:1]})
    yield from _values(request)


def _item(item: Wire, indexes: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    yield from _key({name: item[name] for name in ("pk", "sk") if name in item})
    for keys in indexes.values():
        for place, attribute in enumerate(keys):
            if attribute in item:
                yield from _key_value(attribute, item[attribute], is_partition=place == 0)
    if (size := len(json.dumps(item, ensure_ascii=False).encode())) > MAX_ITEM_BYTES:
        yield f"an item of about {size} bytes"
    for value in item.values():
        yield from _numbers(value)


def _key(key: Wire) -> Iterator[str]:
    if set(key) != {"pk", "sk"}:
        yield f"a key of {sorted(key)}"
    for attribute, value in key.items():
        yield from _key_value(attribute, value, is_partition=attribute == "pk")


def _key_value(attribute: str, value: Mapping[str, Any], *, is_partition: bool) -> Iterator[str]:
    ((kind, text),) = value.items()
    if kind != "S":
        yield f"{attribute} is of type {kind}"
        return
    size = len(text.encode())
    if not 1 <= size <= (MAX_PARTITION_KEY_BYTES if is_partition else MAX_SORT_KEY_BYTES):
        yield f"{attribute} has {size} bytes"


def _values(request: Mapping[str, Any]) -> Iterator[str]:
    names, values = request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues")
    if names == {} or values == {}:
        yield "empty names or values"
    texts = " ".join(str(text) for name, text in request.items() if name.endswith("Expression"))
    for sigil, given in (("#", names), (":", values)):
        unused = [name for name in given or () if not re.search(rf"{re.escape(name)}\b", texts)]
        if unused:
            yield f"{sigil} not used in any expression: {unused}"
    for value in (values or {}).values():
        yield from _numbers(value)


def _numbers(value: Mapping[str, Any]) -> Iterator[str]:
    ((kind, inner),) = value.items()
    if kind == "N" and len(inner.strip("-").strip("0")) > MAX_DIGITS:
        yield f"a number of {len(inner)} digits"
    elif kind == "SS" and (not inner or len(set(inner)) < len(inner)):
        yield "an empty set, or one with doubles"
    elif kind == "M":
        for part in inner.values():
            yield from _numbers(part)
    elif kind == "L":
        for part in inner:
            yield from _numbers(part)
