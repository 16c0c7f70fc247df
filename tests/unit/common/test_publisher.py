"""From the stream to the bus: everything once at least, in order, and one bad record holds up nobody."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from botocore.exceptions import EndpointConnectionError
from pydantic import BaseModel

from library_common import aws, publisher
from library_common.context import invocation
from library_common.dynamodb import Item, to_wire
from library_common.events import OUTBOX_ATTRIBUTE, Envelope, envelope_for, from_outbox, to_outbox
from library_common.publisher import MAX_ENTRY_BYTES, PublishFailed, StreamPublisher, redrivable_record
from tests.support.clock import NOON
from tests.support.operator_log import OperatorLog

pytestmark = pytest.mark.unit


class Bus:
    """Records what it takes. `refuses`: ids of events it does not; `down`: takes nothing."""

    def __init__(self) -> None:
        self.requests: list[list[dict[str, Any]]] = []
        self.refuses: set[str] = set()
        self.down = False

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        if self.down:
            raise EndpointConnectionError(endpoint_url="https://events.test")
        self.requests.append(Entries)
        answers = [
            {"ErrorCode": "ThrottlingException"}
            if json.loads(entry["Detail"])["id"] in self.refuses
            else {"EventId": "x"}
            for entry in Entries
        ]
        return {"FailedEntryCount": sum("ErrorCode" in answer for answer in answers), "Entries": answers}

    @property
    def ids(self) -> list[str]:
        return [json.loads(entry["Detail"])["id"] for request in self.requests for entry in request]


class DeadLetters:
    """Records what is set aside."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.queues: set[str] = set()
        self.reasons: list[str] = []
        self.asked_for: list[str] = []

    def get_queue_url(self, *, QueueName: str) -> dict[str, str]:
        self.asked_for.append(QueueName)
        return {"QueueUrl": f"https://sqs.test/{QueueName}"}

    def send_message(self, *, QueueUrl: str, MessageBody: str, MessageAttributes: dict[str, Any]) -> None:
        assert len(MessageBody.encode()) + len(json.dumps(MessageAttributes)) <= 256 * 1024
        self.queues.add(QueueUrl)
        self.messages.append(json.loads(MessageBody))
        self.reasons.append(MessageAttributes["reason"]["StringValue"])


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Bus:
    bus = Bus()
    monkeypatch.setattr(aws, "events", lambda: bus)
    return bus


@pytest.fixture
def dead_letters(monkeypatch: pytest.MonkeyPatch) -> DeadLetters:
    letters = DeadLetters()
    monkeypatch.setattr(aws, "sqs", lambda: letters)
    return letters


@pytest.fixture
def images() -> list[Item]:
    """What the publisher hands on besides."""
    return []


@pytest.fixture
def publish(bus: Bus, dead_letters: DeadLetters, images: list[Item]) -> Callable[..., dict[str, Any]]:
    def on_images(handed: Sequence[Item]) -> None:
        images.extend(handed)

    working = StreamPublisher(source="loans", bus="library", dead_letters="dlq", on_images=on_images)
    return lambda *records: working({"Records": list(records)}, None)


def event(event_id: str, data: dict[str, Any] | None = None) -> Envelope:
    return Envelope(
        id=event_id,
        type="LoanCreated",
        version=1,
        occurred_at="2026-11-21T12:00:00Z",
        correlation_id="c",
        actor="user:U",
        subject="loan:L",
        data=data or {"loan_id": "L"},
    )


def record(*events: Envelope, pk: str = "LOAN#1", kind: str = "INSERT", **attributes: Any) -> dict[str, Any]:
    image = {"pk": pk, "sk": "LOAN", OUTBOX_ATTRIBUTE: to_outbox(events), **attributes}
    return {
        "eventID": f"stream-{pk}",
        "eventName": kind,
        "dynamodb": {"Keys": to_wire({"pk": pk, "sk": "LOAN"}), "NewImage": to_wire(image)},
    }


def broken(outbox: object, pk: str = "LOAN#0", **more: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = {OUTBOX_ATTRIBUTE: outbox, **more}
    return record(pk=pk, **attributes)


# -- what is published ----------------------------------------------------------------------------


def test_an_event_reaches_the_bus_as_it_was_written(publish: Callable[..., Any], bus: Bus) -> None:
    written = event("E1", {"title": "Ünïcode", "n": 3})

    assert publish(record(written)) == {"published": 1, "set_aside": 0}

    ((entry,),) = bus.requests
    assert (entry["Source"], entry["DetailType"], entry["EventBusName"]) == ("library.loans", "LoanCreated", "library")
    assert Envelope.model_validate_json(entry["Detail"]) == written


def test_the_address_of_the_dead_letters_is_asked_for_only_when_it_is_needed(
    publish: Callable[..., dict[str, Any]], dead_letters: DeadLetters
) -> None:
    publish(record(event("a"), event("b")))

    assert dead_letters.asked_for == []


def test_order_is_kept_over_records_and_requests(publish: Callable[..., Any], bus: Bus) -> None:
    names = [f"E{n:02}" for n in range(24)]

    publish(*(record(event(one), event(other)) for one, other in zip(names[::2], names[1::2], strict=True)))

    assert bus.ids == names
    assert [len(request) for request in bus.requests] == [10, 10, 4]


def test_a_request_is_never_larger_than_the_bus_takes(publish: Callable[..., Any], bus: Bus) -> None:
    # Characters of two bytes each: it is bytes that count.
    large = [event(f"E{n}", {"text": "é" * 50_000}) for n in range(5)]

    assert publish(*(record(one) for one in large))["published"] == 5

    assert bus.ids == ["E0", "E1", "E2", "E3", "E4"]
    sizes = [sum(len(entry["Detail"].encode()) for entry in request) for request in bus.requests]
    assert max(sizes) <= MAX_ENTRY_BYTES
    assert len(sizes) == 3


def test_images_without_events_and_deletions_publish_nothing(
    publish: Callable[..., Any], bus: Bus, images: list[Item]
) -> None:
    deletion = {"eventName": "REMOVE", "dynamodb": {"Keys": {}, "OldImage": to_wire({"pk": "x", "events": "[]"})}}

    assert publish(record(), deletion, {"eventName": "REMOVE"}) == {"published": 0, "set_aside": 0}

    assert bus.requests == []
    assert [image["pk"] for image in images] == ["LOAN#1"]


def test_nothing_is_nothing(publish: Callable[..., Any]) -> None:
    assert publish() == {"published": 0, "set_aside": 0}


def test_every_new_image_is_handed_on_in_order(publish: Callable[..., Any], images: list[Item]) -> None:
    publish(
        record(pk="LOAN#1", status="PENDING"), record(event("E"), pk="LOAN#1", status="ACTIVE"), record(pk="LOAN#2")
    )

    assert [(image["pk"], image.get("status")) for image in images] == [
        ("LOAN#1", "PENDING"),
        ("LOAN#1", "ACTIVE"),
        ("LOAN#2", None),
    ]


# -- what fails -----------------------------------------------------------------------------------


def test_an_entry_the_bus_refuses_brings_the_batch_again(publish: Callable[..., Any], bus: Bus) -> None:
    records = [record(event("E1")), record(event("E2")), record(event("E3"))]
    bus.refuses = {"E2"}
    with pytest.raises(PublishFailed, match="ThrottlingException"):
        publish(*records)

    bus.refuses, bus.requests = set(), []
    publish(*records)

    assert bus.ids == ["E1", "E2", "E3"]


def test_a_bus_that_is_down_brings_the_batch_again(publish: Callable[..., Any], bus: Bus) -> None:
    bus.down = True

    with pytest.raises(EndpointConnectionError):
        publish(record(event("E1")))


def test_what_hangs_on_the_stream_failing_brings_the_batch_again(bus: Bus, dead_letters: DeadLetters) -> None:
    def refuse(_: Sequence[Item]) -> None:
        raise ConnectionError("queue down")

    failing = StreamPublisher(source="loans", bus="library", dead_letters="q", on_images=refuse)

    with pytest.raises(ConnectionError):
        failing({"Records": [record(event("E1"))]}, None)


POISON = [
    "not json",
    "{",
    "7",
    '"text"',
    "null",
    '{"a": 1}',
    "[1]",
    "[null]",
    "[{}]",
    json.dumps([{**event("E").model_dump(), "version": "one"}]),
    json.dumps([{**event("E").model_dump(), "data": []}]),
    7,
    True,
    ["list"],
    {"map": "a"},
]


@pytest.mark.parametrize("outbox", POISON)
def test_poison_is_set_aside_and_the_rest_goes_on(
    publish: Callable[..., Any], bus: Bus, dead_letters: DeadLetters, outbox: object
) -> None:
    poison = broken(outbox)

    outcome = publish(record(event("E1")), poison, record(event("E2")))

    assert outcome == {"published": 2, "set_aside": 1}
    assert bus.ids == ["E1", "E2"]
    (letter,) = dead_letters.messages
    image = poison["dynamodb"]["NewImage"]
    assert letter == {
        "source": "library.loans",
        "stream_event_id": poison.get("eventID"),
        "keys": poison["dynamodb"]["Keys"],
        "outbox": image["events"],
    }
    assert dead_letters.reasons[0].startswith("unreadable outbox: ")
    assert dead_letters.queues == {"https://sqs.test/dlq"}
    assert dead_letters.asked_for == ["dlq"] * len(dead_letters.messages)


def test_a_record_of_unknown_shape_is_set_aside(publish: Callable[..., Any], dead_letters: DeadLetters) -> None:
    strange = {"eventID": "1", "dynamodb": {"NewImage": {"pk": {"B": "AAAA"}}}}

    assert publish(strange)["set_aside"] == 1
    assert dead_letters.messages == [{"source": "library.loans", "stream_event_id": "1", "keys": None, "outbox": None}]


def test_nothing_else_of_an_image_is_kept(publish: Callable[..., Any], dead_letters: DeadLetters) -> None:
    publish(broken("not json", name="Ann Lee", password_hash="$2b$12$abc"))

    assert "Ann Lee" not in json.dumps(dead_letters.messages)
    assert "$2b$" not in json.dumps(dead_letters.messages)


def test_what_was_set_aside_can_be_published_once_its_publisher_understands_it(
    publish: Callable[..., Any],
    bus: Bus,
    dead_letters: DeadLetters,
    images: list[Item],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def not_yet(_: Item) -> list[Envelope]:
        raise ValueError("a version of tomorrow")

    with monkeypatch.context() as older:
        older.setattr(publisher, "from_outbox", not_yet)
        assert publish(record(event("E1"), event("E2")))["set_aside"] == 1

    again = redrivable_record(dead_letters.messages[0])

    assert publish(again) == {"published": 2, "set_aside": 0}
    assert bus.ids == ["E1", "E2"]
    assert images[-1].keys() == {"pk", "sk", "events"}


@pytest.mark.parametrize("letter", [{}, {"keys": {"pk": {"S": "a"}}}, {"keys": None, "outbox": {"S": "[]"}}])
def test_what_was_not_kept_cannot_be_published_again(letter: dict[str, Any]) -> None:
    assert redrivable_record(letter) is None


def test_an_outbox_too_large_for_a_message_is_not_kept(publish: Callable[..., Any], dead_letters: DeadLetters) -> None:
    publish(broken("x" * MAX_ENTRY_BYTES))

    assert dead_letters.messages[0]["outbox"] is None
    assert dead_letters.messages[0]["keys"] is not None


def test_poison_in_the_outbox_does_not_hide_the_image(
    publish: Callable[..., Any], images: list[Item], bus: Bus
) -> None:
    # A return whose event cannot be read still has a copy to give back.
    publish(broken("not json", pk="LOAN#7"))

    assert [image["pk"] for image in images] == ["LOAN#7"]


def test_an_event_too_large_for_the_bus_is_set_aside_and_the_others_of_its_item_are_not(
    publish: Callable[..., Any], bus: Bus, dead_letters: DeadLetters
) -> None:
    too_large = event("E2", {"text": "x" * (MAX_ENTRY_BYTES + 1)})

    assert publish(record(event("E1"), too_large, event("E3"))) == {"published": 2, "set_aside": 1}

    assert bus.ids == ["E1", "E3"]
    (letter,) = dead_letters.messages
    # It would not fit into a message either: where to find it must do.
    assert letter == {
        "source": "library.loans",
        "stream_event_id": "stream-LOAN#1",
        "keys": to_wire({"pk": "LOAN#1", "sk": "LOAN"}),
        "outbox": None,
    }
    assert dead_letters.reasons == ["too large for the bus: LoanCreated E2"]


def test_what_cannot_even_be_set_aside_brings_the_batch_again(
    publish: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def down() -> None:
        raise EndpointConnectionError(endpoint_url="https://sqs.test")

    monkeypatch.setattr(aws, "sqs", down)

    with pytest.raises(EndpointConnectionError):
        publish(broken("not json"))


# -- the log --------------------------------------------------------------------------------------


def test_a_batch_leaves_one_line(publish: Callable[..., Any], log: OperatorLog) -> None:
    publish(record(event("E1")), record(event("E2")))

    (line,) = log.invocations
    assert (line["route"], line["status"], line["published"]) == ("stream library.loans", "ok", "2")


def test_the_line_of_a_batch_has_the_correlation_ids_of_its_events(
    publish: Callable[..., Any], bus: Bus, log: OperatorLog
) -> None:
    ids = {"E1": "desk-1", "E2": "desk-2", "E3": "desk-1", "E4": "not an id"}
    events = [event(event_id).model_copy(update={"correlation_id": said}) for event_id, said in ids.items()]
    bus.down = True
    with pytest.raises(EndpointConnectionError):
        publish(record(*events), broken("not json"))
    bus.down = False
    publish(record(*events))
    publish(broken("not json"))

    told = [line.get("correlation_ids") for line in log.invocations]
    assert told == [["desk-1", "desk-2"], ["desk-1", "desk-2"], None]


def test_a_failed_batch_leaves_one_line_too(publish: Callable[..., Any], bus: Bus, log: OperatorLog) -> None:
    bus.down = True
    with pytest.raises(EndpointConnectionError):
        publish(record(event("E1")))

    assert [line["status"] for line in log.invocations] == ["failed"]


# -- the outbox itself ----------------------------------------------------------------------------


def test_events_come_out_of_an_item_as_they_went_in() -> None:
    events = [event("E1"), event("E2", {"title": "Ünïcode 🚀"})]

    assert from_outbox({OUTBOX_ATTRIBUTE: to_outbox(events)}) == events


def test_an_item_nothing_happened_to_has_no_outbox() -> None:
    assert to_outbox([]) is None
    assert from_outbox({}) == []


def test_an_envelope_names_who_did_it_and_in_which_request() -> None:
    class Happened(BaseModel):
        type: ClassVar[str] = "Happened"
        version: ClassVar[int] = 2
        a: int
        b: int | None = None

    with invocation("order-7", actor="user:U"):
        envelope = envelope_for(Happened(a=1), subject="thing:1", at=NOON + timedelta(milliseconds=900))

    assert (envelope.type, envelope.version, envelope.data) == ("Happened", 2, {"a": 1})
    assert (envelope.correlation_id, envelope.actor, envelope.subject) == ("order-7", "user:U", "thing:1")
    assert envelope.occurred_at == "2026-11-21T12:00:00Z"
