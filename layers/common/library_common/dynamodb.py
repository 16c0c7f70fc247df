"""Access to one DynamoDB table: plain Python items, typed errors, capacity counted per invocation.

Every write takes a condition. Conflicts between transactions are retried here with jitter. A failed
condition raises ConditionFailed with the stored item.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from library_common.context import current

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Item = dict[str, Any]
type Key = Mapping[str, str]

MAX_TRANSACTION_ITEMS = 100
MAX_BATCH_KEYS = 100
_CONFLICT_ATTEMPTS = 8


class ConditionFailed(Exception):
    """A condition did not hold. Nothing was written.

    index: the operation of the transaction; 0 for a single write. item: the stored item, or None.
    """

    def __init__(self, index: int, item: Item | None) -> None:
        super().__init__(f"condition of operation {index} failed")
        self.index = index
        self.item = item


class TransactionBusy(Exception):
    """Other transactions kept using the same items until the last attempt. Nothing was written.

    indexes: the operations of the transaction that had a conflict in the last attempt.
    """

    def __init__(self, detail: str, indexes: Sequence[int] = ()) -> None:
        super().__init__(detail)
        self.indexes = tuple(indexes)


@dataclass(frozen=True)
class Expression:
    """An update or condition expression with its names and values.

    The text refers to names as `#name` and to values as `:name`. The keys of `names` and `values` have no `#` or `:`.
    """

    text: str
    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Put:
    item: Item
    condition: Expression


@dataclass(frozen=True)
class Update:
    key: Key
    update: Expression
    condition: Expression


@dataclass(frozen=True)
class Delete:
    key: Key
    condition: Expression


@dataclass(frozen=True)
class Check:
    key: Key
    condition: Expression


type Write = Put | Update | Delete | Check

ABSENT = Expression("attribute_not_exists(#pk)", names={"pk": "pk"})
PRESENT = Expression("attribute_exists(#pk)", names={"pk": "pk"})


class Table:
    """One table with string keys `pk` and `sk`. `client` is called when first needed."""

    def __init__(
        self,
        name: str,
        client: "Callable[[], DynamoDBClient]",
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        meter: Callable[[float, float], None] | None = None,
    ) -> None:
        """meter: receives the read and write units of each call; by default they count for the running invocation."""
        self.name = name
        self._client = client
        self._sleep = sleep
        self._jitter = jitter
        self._meter = meter or _charge_invocation

    # -- reading ------------------------------------------------------------------------------

    def get(self, key: Key, *, consistent: bool = True) -> Item | None:
        """One item, or None."""
        answer = self._client().get_item(
            TableName=self.name, Key=to_wire(key), ConsistentRead=consistent, ReturnConsumedCapacity="TOTAL"
        )
        self._read(answer.get("ConsumedCapacity"))
        return _item(answer)

    def get_many(self, keys: Sequence[Key], *, consistent: bool = True) -> list[Item]:
        """The existing items among `keys`, in any order. Any number of keys. Raises TransactionBusy when throttled."""
        found: list[Item] = []
        pending: list[Mapping[str, Any]] = [to_wire(key) for key in keys]
        attempt = 0
        while pending:
            batch, rest = pending[:MAX_BATCH_KEYS], pending[MAX_BATCH_KEYS:]
            answer = self._client().batch_get_item(
                RequestItems={self.name: {"Keys": batch, "ConsistentRead": consistent}},
                ReturnConsumedCapacity="TOTAL",
            )
            for consumed in answer.get("ConsumedCapacity", []):
                self._read(consumed)
            found.extend(from_wire(item) for item in answer["Responses"].get(self.name, []))
            left_over = answer.get("UnprocessedKeys", {})
            unprocessed = left_over[self.name]["Keys"] if self.name in left_over else []
            if unprocessed:
                attempt += 1
                if attempt > _CONFLICT_ATTEMPTS:
                    raise TransactionBusy("reads kept being throttled")
                self._back_off(attempt)
            pending = [*unprocessed, *rest]
        return found

    def query(
        self,
        condition: Expression,
        *,
        index: str | None = None,
        limit: int | None = None,
        forward: bool = True,
        start: Mapping[str, Any] | None = None,
        consistent: bool = False,
        only_if: Expression | None = None,
    ) -> tuple[list[Item], Item | None]:
        """One page: its items, and the position to continue from or None at the end.

        only_if: a filter on the items read. It reduces what is returned, not what is paid for.
        """
        request: dict[str, Any] = {
            "KeyConditionExpression": condition.text,
            "ScanIndexForward": forward,
            "ConsistentRead": consistent,
        }
        if only_if is not None:
            request["FilterExpression"] = only_if.text
        if index is not None:
            request["IndexName"] = index
        if limit is not None:
            request["Limit"] = limit
        return self._page("query", request | _placeholders(condition, only_if), start)

    def query_all(self, condition: Expression, **options: Any) -> Iterator[Item]:
        """Every item of a query, for partitions that are known to be small."""
        start: Item | None = None
        while True:
            items, start = self.query(condition, start=start, **options)
            yield from items
            if start is None:
                return

    def walk(self, only_if: Expression, *, start: Mapping[str, Any] | None = None) -> tuple[list[Item], Item | None]:
        """One page of the keys of all items, and the position to continue from. For maintenance only.

        Reads and pays for the whole table, so never use it in a request.
        """
        request = {"FilterExpression": only_if.text, "ProjectionExpression": "#walked_pk, #walked_sk"}
        projection = Expression("", names={"walked_pk": "pk", "walked_sk": "sk"})
        return self._page("scan", request | _placeholders(only_if, projection), start)

    def _page(
        self, operation: str, request: dict[str, Any], start: Mapping[str, Any] | None
    ) -> tuple[list[Item], Item | None]:
        if start is not None:
            request["ExclusiveStartKey"] = to_wire(start)
        client = self._client()
        answer = getattr(client, operation)(TableName=self.name, ReturnConsumedCapacity="TOTAL", **request)
        self._read(answer.get("ConsumedCapacity"))
        return [from_wire(item) for item in answer["Items"]], _item(answer, "LastEvaluatedKey")

    # -- writing ------------------------------------------------------------------------------

    def put(self, item: Item, condition: Expression) -> None:
        """Raises ConditionFailed."""
        self._write("put_item", Put(item, condition))

    def update(self, key: Key, update: Expression, condition: Expression) -> Item:
        """Updates the item and returns all of it. Raises ConditionFailed with the old item."""
        answer = self._write("update_item", Update(key, update, condition), ReturnValues="ALL_NEW")
        return from_wire(answer["Attributes"])

    def delete(self, key: Key, condition: Expression) -> None:
        """Raises ConditionFailed."""
        self._write("delete_item", Delete(key, condition))

    def _write(self, operation: str, write: Write, **options: str) -> dict[str, Any]:
        client = self._client()
        request = self._request(write) | {"ReturnConsumedCapacity": "TOTAL", **options}
        for attempt in range(1, _CONFLICT_ATTEMPTS + 1):
            try:
                answer: dict[str, Any] = getattr(client, operation)(**request)
            except client.exceptions.ConditionalCheckFailedException as exc:
                raise ConditionFailed(0, _item(exc.response)) from exc
            except client.exceptions.TransactionConflictException:
                self._back_off(attempt)
                continue
            self._wrote(answer.get("ConsumedCapacity"))
            return answer
        raise TransactionBusy(operation)

    def transact(self, writes: Sequence[Write], *, attempts: int = _CONFLICT_ATTEMPTS) -> None:
        """Writes all or nothing. Raises ConditionFailed for the first operation whose condition failed.

        attempts: tries in case of conflicts with other transactions. Raises TransactionBusy after the last one.
        """
        if len(writes) > MAX_TRANSACTION_ITEMS:
            raise ValueError(f"{len(writes)} operations in one transaction; the limit is {MAX_TRANSACTION_ITEMS}")
        client = self._client()
        kinds = {Put: "Put", Update: "Update", Delete: "Delete", Check: "ConditionCheck"}
        items: list[Any] = [{kinds[type(write)]: self._request(write)} for write in writes]
        conflicts: list[int] = []
        for attempt in range(1, attempts + 1):
            try:
                answer = client.transact_write_items(TransactItems=items, ReturnConsumedCapacity="TOTAL")
            except client.exceptions.TransactionCanceledException as exc:
                response: Mapping[str, Any] = exc.response
                reasons: list[dict[str, Any]] = response.get("CancellationReasons", [])
                for index, reason in enumerate(reasons):
                    if reason.get("Code") == "ConditionalCheckFailed":
                        raise ConditionFailed(index, _item(reason)) from exc
                busy = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
                conflicts = [index for index, reason in enumerate(reasons) if reason.get("Code") in busy]
                if not conflicts:
                    raise
                if attempt < attempts:
                    self._back_off(attempt)
                continue
            for consumed in answer.get("ConsumedCapacity", []):
                self._wrote(consumed)
            return
        raise TransactionBusy("transaction", conflicts)

    def _request(self, write: Write) -> dict[str, Any]:
        """What a write needs, alone or in a transaction."""
        update = write.update if isinstance(write, Update) else None
        return {
            "TableName": self.name,
            **({"Item": to_wire(write.item)} if isinstance(write, Put) else {"Key": to_wire(write.key)}),
            **({"UpdateExpression": update.text} if update else {}),
            "ConditionExpression": write.condition.text,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **_placeholders(write.condition, update),
        }

    def _back_off(self, attempt: int) -> None:
        # Full jitter, so that competing writers do not collide again.
        self._sleep(self._jitter() * min(0.4, 0.02 * 2**attempt))

    def _read(self, consumed: Any) -> None:
        if consumed:
            self._meter(float(consumed["CapacityUnits"]), 0.0)

    def _wrote(self, consumed: Any) -> None:
        if consumed:
            self._meter(0.0, float(consumed["CapacityUnits"]))


def _placeholders(*expressions: Expression | None) -> dict[str, Any]:
    """The names and values of all expressions of one request. DynamoDB refuses empty maps."""
    used = [expression for expression in expressions if expression is not None]
    names = {f"#{name}": attribute for each in used for name, attribute in each.names.items()}
    values = {f":{name}": _to_attribute(value) for each in used for name, value in each.values.items()}
    maps = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
    return {parameter: entries for parameter, entries in maps.items() if entries}


def _item(answer: Mapping[str, Any], member: str = "Item") -> Item | None:
    item = answer.get(member)
    return from_wire(item) if item else None


def _charge_invocation(read_units: float, write_units: float) -> None:
    record = current()
    record.read_units += read_units
    record.write_units += write_units


# -- the wire format ------------------------------------------------------------------------------


def to_wire(item: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values to DynamoDB attributes. Leaves out None. Raises TypeError for floats and other unknown types."""
    return {name: _to_attribute(value) for name, value in item.items() if value is not None}


def from_wire(item: Mapping[str, Any]) -> Item:
    """DynamoDB attributes to plain values. Numbers become ints: the system stores no others."""
    return {name: _from_attribute(value) for name, value in item.items()}


def _to_attribute(value: Any) -> dict[str, Any]:  # noqa: PLR0911 - one line per kind of value
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case Mapping():
            return {"M": {str(k): _to_attribute(v) for k, v in value.items() if v is not None}}
        case set() | frozenset():
            return {"SS": sorted(value)}
        case Iterable():
            return {"L": [_to_attribute(v) for v in value]}
    raise TypeError(f"cannot be stored: {type(value).__name__}")


def _from_attribute(attribute: Mapping[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    match kind:
        case "S" | "BOOL":
            return value
        case "N":
            return int(Decimal(value))
        case "M":
            return {name: _from_attribute(inner) for name, inner in value.items()}
        case "L":
            return [_from_attribute(inner) for inner in value]
        case "SS":
            return set(value)
        case "NULL":
            return None
    raise TypeError(f"unexpected attribute kind {kind}")
