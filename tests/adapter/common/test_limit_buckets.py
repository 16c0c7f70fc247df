"""Token buckets, in memory and on the gateway's table: one suite, and what only the table has."""

from typing import TYPE_CHECKING

import pytest

from library_common.context import invocation
from library_common.limit_buckets import MICROSECONDS, Buckets, Draw, DynamoBuckets, Exhausted, bucket_name
from tests.fakes.buckets import FakeBuckets
from tests.support.tables import create_table, dynamodb_in_moto, properties

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.adapter

TABLE = "gateway"
NOW = 1_763_726_400 * MICROSECONDS
WINDOW = 60 * MICROSECONDS
TOKEN = MICROSECONDS  # a capacity of sixty
BUCKET = bucket_name("member", "01ARZ3NDEKTSV4RRFFQ69G5FAV")


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> "Iterator[DynamoDBClient]":
    with dynamodb_in_moto(monkeypatch) as client:
        create_table(client, "GatewayTable", TABLE)
        yield client


@pytest.fixture(params=["in memory", "on DynamoDB"])
def buckets(request: pytest.FixtureRequest) -> Buckets:
    if request.param == "in memory":
        return FakeBuckets()
    client = request.getfixturevalue("gateway")
    return DynamoBuckets(TABLE, lambda: client)


def draw(tokens: int, *, at: int = NOW, owed: int = 0) -> Draw:
    return Draw(now=at, window=WINDOW, need=tokens * TOKEN, cost=(tokens + owed) * TOKEN)


def test_nobody_has_written_a_full_bucket(buckets: Buckets) -> None:
    assert buckets.read(BUCKET) is None


def test_taking_moves_the_arrival_time(buckets: Buckets) -> None:
    first = buckets.take(BUCKET, draw(10), None)
    second = buckets.take(BUCKET, draw(20), first)

    assert (first, second) == (NOW + 10 * TOKEN, NOW + 30 * TOKEN)
    assert buckets.read(BUCKET) == second


def test_a_bucket_holds_its_capacity_and_no_more(buckets: Buckets) -> None:
    arrival = buckets.take(BUCKET, draw(50), None)

    with pytest.raises(Exhausted) as short:
        buckets.take(BUCKET, draw(11), arrival)
    assert short.value.arrival == arrival
    assert buckets.take(BUCKET, draw(10), arrival) == NOW + WINDOW
    with pytest.raises(Exhausted):
        buckets.take(BUCKET, draw(1), NOW + WINDOW)


def test_tokens_come_back_with_time_up_to_the_capacity(buckets: Buckets) -> None:
    arrival = buckets.take(BUCKET, draw(60), None)

    assert buckets.take(BUCKET, draw(5, at=NOW + 5 * TOKEN), arrival) == arrival + 5 * TOKEN
    later = NOW + 100 * WINDOW
    assert buckets.take(BUCKET, draw(60, at=later), arrival) == later + WINDOW


@pytest.mark.parametrize("known", [None, NOW - 1, NOW + 3 * TOKEN])
def test_what_a_worker_believes_does_not_change_what_it_gets(buckets: Buckets, known: int | None) -> None:
    buckets.take(BUCKET, draw(10), None)

    assert buckets.take(BUCKET, draw(10), known) == NOW + 20 * TOKEN


def test_a_worker_that_missed_that_the_bucket_is_empty_is_told(buckets: Buckets) -> None:
    arrival = buckets.take(BUCKET, draw(60), None)

    with pytest.raises(Exhausted) as short:
        buckets.take(BUCKET, draw(1), None)
    assert short.value.arrival == arrival


def test_what_is_owed_is_taken_though_it_is_not_there(buckets: Buckets) -> None:
    arrival = buckets.take(BUCKET, draw(50), None)

    assert buckets.take(BUCKET, draw(10, owed=10), arrival) == NOW + WINDOW + 10 * TOKEN


def test_a_bucket_from_a_clock_far_ahead_is_a_full_one(buckets: Buckets) -> None:
    ahead = buckets.take(BUCKET, draw(60, at=NOW + 3600 * MICROSECONDS), None)

    assert buckets.take(BUCKET, draw(10), ahead) == NOW + 10 * TOKEN
    assert buckets.read(BUCKET) == NOW + 10 * TOKEN


def test_buckets_are_apart(buckets: Buckets) -> None:
    buckets.take(BUCKET, draw(60), None)

    for other in (bucket_name("staff", "01ARZ3NDEKTSV4RRFFQ69G5FAV"), bucket_name("member", "somebody else")):
        assert buckets.read(other) is None


def test_the_items_are_small_expire_and_name_nobody(gateway: "DynamoDBClient") -> None:
    key = "a" * 5000 + "@example.org \ud800"
    DynamoBuckets(TABLE, lambda: gateway).take(bucket_name("login_account", key), draw(1), None)

    (item,) = gateway.scan(TableName=TABLE)["Items"]
    attribute = properties("GatewayTable")["TimeToLiveSpecification"]["AttributeName"]
    assert item["pk"]["S"].startswith("LIMIT#login_account#")
    assert "example" not in str(item)
    assert len(str(item)) < 400
    seconds_left = int(item[attribute]["N"]) - NOW // MICROSECONDS
    assert 60 < seconds_left < 600


def test_what_it_costs_is_counted_apart(gateway: "DynamoDBClient") -> None:
    buckets = DynamoBuckets(TABLE, lambda: gateway)
    with invocation() as record:
        buckets.read(BUCKET)
        buckets.take(BUCKET, draw(60), None)
    # How much moto says it was is not what DynamoDB would say; where it is counted is the point.
    assert record.limit_calls == 2
    assert record.limit_writes > 0
    assert (record.read_units, record.write_units) == (0.0, 0.0)

    # A condition that fails is charged for, too.
    with invocation() as record, pytest.raises(Exhausted):
        buckets.take(BUCKET, draw(1), None)
    assert (record.limit_calls, record.limit_writes) == (1, 1.0)
