"""What really goes out to the bus, against the committed schemas and the consumers: every type, all the way.

The use cases write through the real storage adapters; the table's stream is what moto makes of it; the publisher of the
template reads that, and its requests to the bus are what is looked at.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from library_common import aws, context
from library_common.dynamodb import Table
from loans_service.adapters.dynamodb import DynamoLoans
from loans_service.domain.loan import Condition
from tests.architecture.deployment import functions, referred
from tests.contract import filled_services
from tests.contract.consumers import misunderstandings
from tests.contract.event_schemas import complaints, newest_only, schema_files
from tests.contract.in_process import InProcess
from tests.fakes.lending import Library
from tests.fakes.users import LIBRARIAN
from tools import services

pytestmark = pytest.mark.contract


@dataclass
class Bus:
    """In place of the EventBridge client: the entries it was given."""

    entries: list[dict[str, Any]] = field(default_factory=list)

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        self.entries += Entries
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in Entries]}


@pytest.fixture(autouse=True)
def running_invocation() -> Iterator[None]:
    """Who acts and under which correlation id, as the HTTP edge sets it."""
    with context.invocation("desk-1:42", actor=LIBRARIAN.actor):
        yield


@pytest.fixture
def stack() -> Iterator[InProcess]:
    with InProcess().running() as stack:
        aws._client.cache_clear()
        yield stack


def published(stack: InProcess, monkeypatch: pytest.MonkeyPatch, service: str) -> list[dict[str, Any]]:
    """What the publisher of the service makes of its table's whole stream."""
    bus = Bus()
    monkeypatch.setattr(aws, "events", lambda: bus)
    ((publisher, source),) = [
        (function, source)
        for function in functions()
        if function.module == f"{service}_service.publisher"
        for source in function.sources()
    ]
    records = stack.stream(referred(source["EventSourceArn"]))
    with stack.function(publisher.logical_id) as handler:
        assert handler({"Records": records}, None)["set_aside"] == 0
    return bus.entries


def data_of(entries: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The data of the events of a type."""
    return [json.loads(entry["Detail"])["data"] for entry in entries if entry["DetailType"] == kind]


def assert_as_promised(source: str, entries: list[dict[str, Any]]) -> None:
    """All types of the service went out, each as its schema says and as its consumers understand it."""
    emitted = [json.loads(entry["Detail"]) for entry in entries]
    assert {entry["Source"] for entry in entries} == {f"library.{source}"}
    assert [entry["DetailType"] for entry in entries] == [envelope["type"] for envelope in emitted]
    assert {e["type"]: found for e in emitted if (found := complaints(source, e))} == {}
    assert {e["type"]: unused for e in emitted if (unused := misunderstandings(source, e))} == {}
    today = {path.stem for path in newest_only(schema_files()) if path.parent.name == source}
    assert {f"{e['type']}.v{e['version']}" for e in emitted} == today
    assert len({e["id"] for e in emitted}) == len(emitted), "every event once"


@pytest.mark.parametrize("service", services.with_module("publisher"))
def test_a_service_emits_what_its_schemas_say(stack: InProcess, monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    filled_services.brought_by(service).emit_every_event(stack)

    entries = published(stack, monkeypatch, service)
    assert_as_promised(service, entries)
    if service == "loans":
        assert [data.get("genre") for data in data_of(entries, "LoanCreated")] == [None, "g" * 60]
    if service == "books":
        (updated,) = data_of(entries, "BookUpdated")
        assert (updated["title"], updated["author"], updated["genre"]) == ("T" * 119 + "…", "A. Writer", "novel")


def test_anonymising_loans_tells_nobody_anything(stack: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """So analytics and notifications, who live on events, are after it what they were before."""
    library = Library(loans=cast("Any", DynamoLoans(Table(stack.refs["LoansTable"], aws.dynamodb))))
    member = library.member()
    loans = [library.lend(member, library.title(), key) for key in (None, "k")]
    for loan in loans:
        library.returns.return_copy(loan, condition=Condition.GOOD)
    told = published(stack, monkeypatch, "loans")
    images = len(stack.stream("LoansTable"))

    for loan in loans:
        assert library.anonymisation.anonymise(library.history.one(loan.id))

    assert len(stack.stream("LoansTable")) == images + len(loans), "the stream does see it"
    assert published(stack, monkeypatch, "loans") == told
    last = stack.stream("LoansTable")[images:]
    assert member.id not in json.dumps([record["dynamodb"]["NewImage"] for record in last])
