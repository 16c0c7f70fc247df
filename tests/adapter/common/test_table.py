"""Access to a DynamoDB table: conditions, transactions, conflicts, pages, and what it all costs."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from library_common.context import invocation
from library_common.dynamodb import (
    ABSENT,
    MAX_BATCH_KEYS,
    MAX_TRANSACTION_ITEMS,
    PRESENT,
    Check,
    ConditionFailed,
    Delete,
    Expression,
    Item,
    Key,
    Put,
    Table,
    TransactionBusy,
    Update,
    Write,
    from_wire,
    to_wire,
)
from tests.adapter.common.conftest import TABLE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.adapter

ATTEMPTS = 8


def key(number: int) -> Key:
    return {"pk": f"THING#{number}", "sk": "THING"}


def thing(number: int, **attributes: Any) -> Item:
    return {**key(number), "n": number, **attributes}


def is_n(value: int) -> Expression:
    return Expression("#n = :is_n", {"n": "n"}, {"is_n": value})


def set_n(value: int) -> Expression:
    return Expression("SET #n = :n", {"n": "n"}, {"n": value})


def failure(call: Callable[[], object]) -> tuple[int, Item | None]:
    with pytest.raises(ConditionFailed) as failed:
        call()
    return failed.value.index, failed.value.item


# -- single writes --------------------------------------------------------------------------------


def test_what_is_put_can_be_got(table: Table) -> None:
    assert table.get(key(1)) is None

    table.put(thing(1, words=["a"], flag=False, nothing=None), ABSENT)

    for consistent in (True, False):
        assert table.get(key(1), consistent=consistent) == thing(1, words=["a"], flag=False)


def test_a_put_that_may_not_replace_says_what_is_there(table: Table) -> None:
    table.put(thing(1), ABSENT)

    assert failure(lambda: table.put(thing(1, other=True), ABSENT)) == (0, thing(1))
    assert table.get(key(1)) == thing(1)
    assert failure(lambda: table.put(thing(2), PRESENT)) == (0, None)
    table.put(thing(1, other=True), PRESENT)
    assert table.get(key(1)) == thing(1, other=True)


def test_an_update_answers_the_whole_new_item(table: Table) -> None:
    table.put(thing(1, other="kept"), ABSENT)

    assert table.update(key(1), set_n(5), is_n(1)) == {**thing(1, other="kept"), "n": 5}
    assert failure(lambda: table.update(key(1), set_n(6), is_n(1))) == (0, {**thing(1, other="kept"), "n": 5})
    assert failure(lambda: table.update(key(2), set_n(6), PRESENT)) == (0, None)


def test_a_delete_is_conditional_too(table: Table) -> None:
    table.put(thing(1), ABSENT)

    assert failure(lambda: table.delete(key(1), is_n(2))) == (0, thing(1))
    table.delete(key(1), is_n(1))
    assert failure(lambda: table.delete(key(1), PRESENT)) == (0, None)


# -- transactions ---------------------------------------------------------------------------------


def test_a_transaction_does_all_of_it(table: Table) -> None:
    for number in (1, 2, 3):
        table.put(thing(number), ABSENT)

    table.transact(
        [
            Put(thing(4), ABSENT),
            Update(key(1), set_n(10), is_n(1)),
            Delete(key(2), is_n(2)),
            Check(key(3), is_n(3)),
        ]
    )

    assert [table.get(key(number)) for number in (1, 2, 3, 4)] == [{**key(1), "n": 10}, None, thing(3), thing(4)]


@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_a_transaction_does_nothing_when_one_condition_fails_and_says_which_and_what_was_there(
    table: Table, position: int
) -> None:
    for number in (0, 1, 2, 3):
        table.put(thing(number), ABSENT)

    def on(number: int) -> Expression:
        return is_n(99) if number == position else is_n(number)

    writes: list[Write] = [
        Put(thing(0, new=True), on(0)),
        Update(key(1), set_n(10), on(1)),
        Delete(key(2), on(2)),
        Check(key(3), on(3)),
    ]

    assert failure(lambda: table.transact(writes)) == (position, thing(position))
    assert [table.get(key(number)) for number in range(4)] == [thing(number) for number in range(4)]


def test_of_several_failed_conditions_the_first_is_told(table: Table) -> None:
    table.put(thing(2), ABSENT)

    writes: list[Write] = [Put(thing(1), ABSENT), Update(key(2), set_n(0), is_n(99)), Delete(key(3), PRESENT)]

    assert failure(lambda: table.transact(writes)) == (1, thing(2))
    assert failure(lambda: table.transact(writes[::-1])) == (0, None)


def test_a_transaction_of_too_many_operations_is_a_mistake_of_ours(table: Table) -> None:
    with pytest.raises(ValueError, match="101 operations"):
        table.transact([Put(thing(n), ABSENT) for n in range(MAX_TRANSACTION_ITEMS + 1)])


# -- what only the real thing does: conflicts, throttling, half-answered batches -------------------


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """Answers that no engine here gives; the exceptions are the client's own."""
    client = boto3.client("dynamodb", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def stubbed(stub: Stubber, pauses: list[float]) -> Table:
    client: Any = stub.client
    return Table(TABLE, lambda: client, sleep=pauses.append, jitter=lambda: 1.0)


def cancelled(stub: Stubber, *codes: str, item: Item | None = None) -> None:
    reasons: list[dict[str, Any]] = [{"Code": code} for code in codes]
    if item is not None:
        reasons[codes.index("ConditionalCheckFailed")]["Item"] = to_wire(item)
    stub.add_client_error(
        "transact_write_items",
        "TransactionCanceledException",
        modeled_fields={"CancellationReasons": reasons},
    )


WRITES = [Put(thing(1), ABSENT), Put(thing(2), ABSENT)]


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_transaction_that_met_another_is_tried_again(
    stub: Stubber, stubbed: Table, pauses: list[float], code: str
) -> None:
    cancelled(stub, "None", code)
    cancelled(stub, code, "None")
    stub.add_response("transact_write_items", {})

    stubbed.transact(WRITES)

    assert len(pauses) == 2


def test_a_transaction_that_keeps_meeting_others_gives_up(stub: Stubber, stubbed: Table, pauses: list[float]) -> None:
    for _ in range(ATTEMPTS):
        cancelled(stub, "TransactionConflict", "None")

    with pytest.raises(TransactionBusy):
        stubbed.transact(WRITES)

    assert pauses == sorted(pauses)
    assert max(pauses) <= 0.4
    assert sum(pauses) < 3, "no longer than anybody waits"


def test_a_failed_condition_beside_a_conflict_is_final(stub: Stubber, stubbed: Table, pauses: list[float]) -> None:
    cancelled(stub, "TransactionConflict", "ConditionalCheckFailed", item=thing(2))

    assert failure(lambda: stubbed.transact(WRITES)) == (1, thing(2))
    assert pauses == []


def test_a_transaction_cancelled_for_another_reason_is_a_mistake_of_ours(stub: Stubber, stubbed: Table) -> None:
    cancelled(stub, "ValidationError", "None")

    with pytest.raises(ClientError, match="TransactionCanceledException"):
        stubbed.transact(WRITES)


WRITERS: dict[str, Callable[[Table], object]] = {
    "put_item": lambda table: table.put(thing(1), ABSENT),
    "update_item": lambda table: table.update(key(1), set_n(2), PRESENT),
    "delete_item": lambda table: table.delete(key(1), PRESENT),
}


@pytest.mark.parametrize("operation", list(WRITERS))
def test_a_single_write_that_met_a_transaction_is_tried_again(
    stub: Stubber, stubbed: Table, pauses: list[float], operation: str
) -> None:
    for _ in range(ATTEMPTS - 1):
        stub.add_client_error(operation, "TransactionConflictException")
    stub.add_response(operation, {"Attributes": to_wire(thing(1))})

    WRITERS[operation](stubbed)

    assert len(pauses) == ATTEMPTS - 1


@pytest.mark.parametrize("operation", list(WRITERS))
def test_a_single_write_that_keeps_meeting_transactions_gives_up(stub: Stubber, stubbed: Table, operation: str) -> None:
    for _ in range(ATTEMPTS):
        stub.add_client_error(operation, "TransactionConflictException")

    with pytest.raises(TransactionBusy, match=operation):
        WRITERS[operation](stubbed)


@pytest.mark.parametrize("operation", list(WRITERS))
def test_any_other_failure_of_a_write_is_raised_as_it_is(stub: Stubber, stubbed: Table, operation: str) -> None:
    stub.add_client_error(operation, "ValidationException")

    with pytest.raises(ClientError, match="ValidationException"):
        WRITERS[operation](stubbed)


def batch(stub: Stubber, asked: list[int], answered: list[int], left: list[int] | None = None) -> None:
    wire = [to_wire(dict(key(number))) for number in asked]
    unprocessed = [to_wire(dict(key(number))) for number in left or []]
    stub.add_response(
        "batch_get_item",
        {
            "Responses": {TABLE: [to_wire(thing(number)) for number in answered]},
            "UnprocessedKeys": {TABLE: {"Keys": unprocessed}} if unprocessed else {},
        },
        {"RequestItems": {TABLE: {"Keys": wire, "ConsistentRead": True}}, "ReturnConsumedCapacity": "TOTAL"},
    )


def test_more_keys_than_a_batch_takes_are_got_in_several(stub: Stubber, stubbed: Table) -> None:
    numbers = list(range(250))
    for start in (0, 100, 200):
        batch(stub, numbers[start : start + MAX_BATCH_KEYS], numbers[start : start + MAX_BATCH_KEYS])

    assert [item["n"] for item in stubbed.get_many([key(number) for number in numbers])] == numbers


def test_what_a_batch_left_out_is_asked_for_again(stub: Stubber, stubbed: Table, pauses: list[float]) -> None:
    numbers = list(range(120))
    batch(stub, numbers[:100], numbers[:90], left=numbers[90:100])
    batch(stub, numbers[90:], [], left=numbers[90:])
    batch(stub, numbers[90:], numbers[95:])

    found = stubbed.get_many([key(number) for number in numbers])

    # Five of them do not exist; that is no reason to ask for ever.
    assert [item["n"] for item in found] == numbers[:90] + numbers[95:]
    assert len(pauses) == 2


def test_a_batch_that_is_never_answered_gives_up(stub: Stubber, stubbed: Table) -> None:
    for _ in range(ATTEMPTS + 1):
        batch(stub, [1], [], left=[1])

    with pytest.raises(TransactionBusy):
        stubbed.get_many([key(1)])


def test_nothing_is_asked_for_no_keys(stub: Stubber, stubbed: Table) -> None:
    assert stubbed.get_many([]) == []


def test_an_invocation_knows_what_the_storage_cost(stub: Stubber, stubbed: Table) -> None:
    def units(number: float) -> dict[str, Any]:
        return {"TableName": TABLE, "CapacityUnits": number}

    stub.add_response("get_item", {"ConsumedCapacity": units(0.5)})
    stub.add_response("query", {"Items": [], "ConsumedCapacity": units(1.5)})
    stub.add_response("batch_get_item", {"Responses": {}, "ConsumedCapacity": [units(2), units(1)]})
    stub.add_response("put_item", {"ConsumedCapacity": units(1)})
    stub.add_response("transact_write_items", {"ConsumedCapacity": [units(4), units(2)]})

    with invocation() as record:
        stubbed.get(key(1))
        stubbed.query(Expression("#pk = :pk", {"pk": "pk"}, {"pk": "x"}))
        stubbed.get_many([key(1)])
        stubbed.put(thing(1), ABSENT)
        stubbed.transact(WRITES)

    assert (record.read_units, record.write_units) == (5.0, 7.0)


# -- queries --------------------------------------------------------------------------------------


@pytest.fixture
def shelf(dynamodb: "DynamoDBClient", table: Table) -> Table:
    """Seven entries of one partition, and one of another."""
    for number in range(7):
        dynamodb.put_item(TableName=TABLE, Item=to_wire({"pk": "SHELF", "sk": f"{number}", "n": number}))
    dynamodb.put_item(TableName=TABLE, Item=to_wire({"pk": "OTHER", "sk": "0", "n": 0}))
    return table


ON_SHELF = Expression("#pk = :pk", {"pk": "pk"}, {"pk": "SHELF"})


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
@pytest.mark.parametrize("forward", [True, False])
def test_a_partition_is_read_in_pages(shelf: Table, limit: int, forward: bool) -> None:
    read: list[int] = []
    position: Item | None = None
    while True:
        items, position = shelf.query(ON_SHELF, limit=limit, forward=forward, start=position, consistent=True)
        assert len(items) <= limit
        read += [item["n"] for item in items]
        if position is None:
            break

    assert read == (list(range(7)) if forward else list(range(6, -1, -1)))


def test_all_of_a_partition_is_read_over_its_pages(shelf: Table) -> None:
    assert [item["n"] for item in shelf.query_all(ON_SHELF, limit=2)] == list(range(7))


def test_a_filter_may_use_the_names_of_the_condition(shelf: Table) -> None:
    some = Expression("#pk <> :other AND #n >= :least", {"pk": "pk", "n": "n"}, {"other": "x", "least": 4})
    condition = Expression("#pk = :pk AND #sk < :end", {"pk": "pk", "sk": "sk"}, {"pk": "SHELF", "end": "6"})

    items, position = shelf.query(condition, only_if=some)

    assert ([item["n"] for item in items], position) == ([4, 5], None)


def test_an_index_is_read_like_a_table(table: Table) -> None:
    for number in range(3):
        table.put(thing(number, open_copy="C-1"), ABSENT)
    condition = Expression("#copy = :copy", {"copy": "open_copy"}, {"copy": "C-1"})

    first, position = table.query(condition, index="by_open_copy", limit=2)
    rest, end = table.query(condition, index="by_open_copy", start=position)

    assert {item["pk"] for item in first + rest} == {"THING#0", "THING#1", "THING#2"}
    assert end is None


# -- values ---------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**37), 10**37) | st.text() | st.sets(st.text(), min_size=1),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def without_absent(value: Any) -> Any:
    """Absent and null are one and the same in a map; in a list a null keeps its place."""
    match value:
        case dict():
            return {name: without_absent(inner) for name, inner in value.items() if inner is not None}
        case list():
            return [without_absent(inner) for inner in value]
    return value


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_values_come_back_as_they_went(item: Item) -> None:
    assert from_wire(to_wire(item)) == without_absent(item)


@pytest.mark.parametrize("value", [1.5, Decimal("1.5"), object(), float("nan")])
@pytest.mark.parametrize("around", [lambda value: value, lambda value: [value], lambda value: {"a": value}])
def test_nothing_that_is_not_exact_is_stored(value: object, around: Callable[[object], object]) -> None:
    with pytest.raises(TypeError):
        to_wire({"amount": around(value)})
