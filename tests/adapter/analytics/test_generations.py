"""Generations on a table: who sees a change when, and what deleting one leaves of the others."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from analytics_service import bootstrap, rebuild
from analytics_service.adapters.aliases import DynamoAliases
from analytics_service.adapters.dynamodb import DynamoLedger
from analytics_service.adapters.generations import VIEW_SECONDS, CachedGenerations, DynamoGenerations
from analytics_service.application.apply_events import COUNTED, ApplyEvents, HotCounters
from analytics_service.application.ports import Generations
from analytics_service.application.rebuild import SETTLED, Rebuild
from analytics_service.consumer import consumer
from library_common import aws
from library_common.consumers import Delivery, Queue
from library_common.dynamodb import Table
from library_common.versions import VersionConflict
from tests.fakes.analytics import NAIROBI, created
from tests.support.clock import NOON, FixedClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.adapter

ISSUED, DUE = "2026-11-03T09:00:00Z", "2026-11-17T20:59:59Z"


def counting_on(table: Table, view: CachedGenerations, clock: FixedClock) -> ApplyEvents:
    hot = HotCounters(clock.monotonic)
    return ApplyEvents(DynamoLedger(table, clock), DynamoAliases(table), view, NAIROBI, clock.sleep, hot)


def test_they_are_read_as_written_and_written_on_what_was_read(table: Table) -> None:
    store = DynamoGenerations(table)
    assert store.read() == Generations()
    written = Generations(3, 4, 4, (1, 2), {"pk": "G1#DUE", "sk": "x"}, NOON, 2, 1)

    store.write(written)

    assert store.read() == written
    for stale in (Generations(version=1), Generations(version=3)):
        with pytest.raises(VersionConflict):
            store.write(stale)


def test_the_view_is_some_seconds_old_at_most(table: Table) -> None:
    clock, store = FixedClock(), DynamoGenerations(table)
    view = CachedGenerations(store, clock.monotonic)
    assert view.current().building is None

    store.write(Generations(building=2, last=2, version=1))
    clock.sleep(VIEW_SECONDS - 0.1)
    assert view.current().building is None
    clock.sleep(0.1)
    assert view.current().building == 2


def test_a_rebuild_ends_with_the_same_counters_and_nothing_of_the_old_ones(
    table: Table, dynamodb: "DynamoDBClient"
) -> None:
    clock, store = FixedClock(), DynamoGenerations(table)
    view = CachedGenerations(store, clock.monotonic)
    apply_events = ApplyEvents(
        DynamoLedger(table, clock), DynamoAliases(table), view, NAIROBI, clock.sleep, HotCounters(clock.monotonic)
    )
    rebuild = Rebuild(store, clock, lambda: 60.0)
    events = [created(f"L{n}", ISSUED, DUE, user=f"U{n % 2}", book=f"B{n % 3}") for n in range(6)]
    apply_events.apply(events[:4])
    rebuild.begin()
    clock.advance(SETTLED)
    assert apply_events.apply(events[4:]) == [COUNTED, COUNTED]

    apply_events.apply([Delivery(event.envelope, "everything") for event in reversed(events)])

    before = everything(dynamodb)
    assert of_generation(before, 1) == of_generation(before, 2) != {}
    assert store.totals(1, 2027) == store.totals(2, 2027) == {"loans": 6, "titles": 0}
    assert store.totals(3, 2027) == {"loans": 0, "titles": 0}
    rebuild.finish()
    clock.sleep(VIEW_SECONDS)
    apply_events.apply([created("L7", ISSUED, DUE)])
    assert store.totals(1, 2027) == store.totals(2, 2027) == {"loans": 7, "titles": 0}
    before = everything(dynamodb)
    rebuild.clean()
    clock.advance(SETTLED)
    assert rebuild.clean()["deleted"] == len(of_generation(before, 1))
    after = everything(dynamodb)
    assert of_generation(after, 1) == {}
    assert of_generation(after, 2) == of_generation(before, 2)
    assert {pk for pk, _ in after if not pk.startswith("G")} == {"META", "PERSON#U0", "PERSON#U1"}


def everything(client: "DynamoDBClient") -> dict[tuple[str, str], Any]:
    items = client.scan(TableName="analytics")["Items"]
    return {(item["pk"]["S"], item["sk"]["S"]): json.dumps(item, sort_keys=True) for item in items}


def of_generation(items: dict[tuple[str, str], Any], number: int) -> dict[tuple[str, str], Any]:
    prefix = f"G{number}#"
    return {
        (pk.removeprefix(prefix), sk): {
            name: value
            for name, value in json.loads(item).items()
            if name not in {"pk", "sk", "fact_version"} and value != {"N": "0"}
        }
        for (pk, sk), item in items.items()
        if pk.startswith(prefix)
    }


def test_the_function_answers_what_became_of_a_command(
    dynamodb: "DynamoDBClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABLE_NAME", "analytics")
    for cached in (bootstrap.settings, bootstrap._table, aws._client):
        cached.cache_clear()
    try:
        assert rebuild.handler({"action": "begin"}, None)["building"] == 2  # type: ignore[arg-type]
        assert "already" in rebuild.handler({"action": "begin"}, None)["refused"]  # type: ignore[arg-type]
        nightly = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
        assert rebuild.handler(nightly, None)["deleted"] == 0  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="action"):
            rebuild.handler({"action": "explode"}, None)  # type: ignore[arg-type]
    finally:
        for cached in (bootstrap.settings, bootstrap._table, aws._client):
            cached.cache_clear()


def test_the_consumer_sets_nonsense_aside_and_counts_the_rest(table: Table) -> None:
    clock = FixedClock()
    view = CachedGenerations(DynamoGenerations(table), clock.monotonic)
    apply_events = ApplyEvents(
        DynamoLedger(table, clock), DynamoAliases(table), view, NAIROBI, clock.sleep, HotCounters(clock.monotonic)
    )
    queue = _Aside("https://queue", "https://dead")
    good = created("L1", ISSUED, DUE).envelope.model_dump()
    bodies = ["no JSON", json.dumps({"detail": {**good, "data": {"loan_id": "L2"}}}), json.dumps({"detail": good})]

    records = [{"messageId": str(n), "body": body, "attributes": {}} for n, body in enumerate(bodies)]
    answer = consumer(apply_events, queue)({"Records": records}, None)

    assert answer == {"batchItemFailures": []}
    assert [why.split(":")[0] for why in queue.why] == ["unreadable", "LoanCreated"]
    assert "L2" not in "".join(queue.why)
    assert table.get({"pk": "G1#LOAN#L1", "sk": "FACT"})


class _Aside(Queue):
    """Remembers why messages were set aside."""

    def __init__(self, url: str, dead_letters_url: str) -> None:
        super().__init__(url, dead_letters_url)
        self.why: list[str] = []

    def move_to_dead_letters(self, record: Any, why: Any) -> None:
        self.why.append(why["reason"])
