"""Working on a queue: what becomes of a message that is handled, fails, or can never be handled."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from library_common.consumers import (
    MAX_RECEIVES,
    RETRY_DELAYS,
    BatchConsumer,
    Consumer,
    Delivery,
    ParsedMessage,
    PoisonMessage,
    Queue,
    data_of,
    read_delivery,
)
from library_common.context import current
from tests.fakes.sqs import DEAD_LETTERS_URL, QUEUE_URL, SqsInMemory, batch, failed, in_place_of_sqs, message, queue
from tests.support.operator_log import OperatorLog

pytestmark = pytest.mark.unit

SECRET = "ann.lee@example.org"
EVENT_ID = "01JD8Z1A2B3C4D5E6F7G8H9J0K"


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> SqsInMemory:
    return in_place_of_sqs(monkeypatch)


class Note(BaseModel):
    """What the tests' messages say."""

    model_config = ConfigDict(extra="forbid")

    text: str
    correlation_id: str | None = None


def read_note(body: str) -> ParsedMessage[Note]:
    note = Note.model_validate_json(body)
    return ParsedMessage(note, note.correlation_id, {"note_id": "N"})


def working(handle: Callable[[Note], str]) -> Consumer[Note]:
    return Consumer("notes", service="gateway", queue=queue(), read=read_note, handle=handle)


def handled(_: Note) -> str:
    return "noted"


def raising(failure: Exception) -> Callable[[Note], str]:
    def handle(_: Note) -> str:
        raise failure

    return handle


# -- one at a time --------------------------------------------------------------------------------


def test_a_handled_message_is_done_and_leaves_one_line(sqs: SqsInMemory, log: OperatorLog) -> None:
    seen: list[tuple[str, str, str]] = []

    def handle(note: Note) -> str:
        seen.append((note.text, current().actor, current().correlation_id))
        return "noted"

    answer = working(handle)(batch(message({"text": "hello", "correlation_id": "desk-1"})), None)

    assert failed(answer) == []
    assert seen == [("hello", "service:gateway", "desk-1")]
    (line,) = log.lines
    assert {name: line[name] for name in ("route", "status", "correlation_id", "note_id", "actor")} == {
        "route": "notes",
        "status": "noted",
        "correlation_id": "desk-1",
        "note_id": "N",
        "actor": "service:gateway",
    }
    assert (sqs.pauses, sqs.set_aside) == ([], [])


def test_what_fails_comes_again_alone(sqs: SqsInMemory, log: OperatorLog) -> None:
    def handle(note: Note) -> str:
        if note.text == "bad":
            raise ConnectionError(SECRET)
        return "noted"

    texts = ("good", "bad", "good")
    answer = working(handle)(batch(*(message({"text": text}, n) for n, text in enumerate(texts))), None)

    assert failed(answer) == ["m1"]
    assert [paused for paused, _ in sqs.pauses] == ["m1"]
    assert sqs.set_aside == []
    assert [line["status"] for line in log.invocations] == ["noted", "failed", "noted"]
    (error,) = [line for line in log.lines if line["level"] == "ERROR"]
    assert (error["message"], error["reason"]) == ("message failed", "ConnectionError")
    assert "test_consumers.py" in error["where"]


def test_a_batch_in_which_everything_fails_is_no_exception(sqs: SqsInMemory) -> None:
    consumer = working(raising(ConnectionError("down")))

    assert failed(consumer(batch(message({"text": "a"}, 1), message({"text": "b"}, 2)), None)) == ["m1", "m2"]
    assert len(sqs.pauses) == 2


def test_pauses_grow_with_every_receive(sqs: SqsInMemory) -> None:
    consumer = working(raising(ConnectionError("down")))
    for received in range(1, MAX_RECEIVES):
        consumer(batch(message({"text": "a"}, received=received)), None)

    pauses = [seconds for _, seconds in sqs.pauses]
    assert pauses == [int(pause) for pause in RETRY_DELAYS]
    assert pauses == sorted(set(pauses))


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, (7, 15, 15)), (1.0, (12, 25, 25))])
def test_pauses_are_the_queues_own_and_a_quarter_off_at_most(
    sqs: SqsInMemory, jitter: float, seconds: tuple[int, ...]
) -> None:
    own = Queue(QUEUE_URL, DEAD_LETTERS_URL, retry_delays=(10.0, 20.0), jitter=lambda: jitter)
    consumer = Consumer("n", service="s", queue=own, read=read_note, handle=raising(ConnectionError()))
    for received in (1, 2, 3):
        consumer(batch(message({"text": "a"}, received=received)), None)

    assert tuple(pause for _, pause in sqs.pauses) == seconds


def test_the_last_receive_gives_it_up_with_its_reason(sqs: SqsInMemory, log: OperatorLog) -> None:
    refused = ClientError({"Error": {"Code": "ThrottlingException", "Message": SECRET}}, "PutItem")
    body = json.dumps({"text": "a", "correlation_id": "desk-2"})

    answer = working(raising(refused))(batch(message(body, received=MAX_RECEIVES)), None)

    assert failed(answer) == [], "it is in the dead-letter queue, so it is done here"
    (letter,) = sqs.set_aside
    assert letter.body == body, "as it came"
    said = letter.said
    assert said.pop("set_aside_at").endswith("Z")
    assert said == {
        "reason": "ClientError: ThrottlingException",
        "consumer": "notes",
        "correlation_id": "desk-2",
        "received": "5",
    }
    assert sqs.pauses == []
    assert [(line["route"], line["status"]) for line in log.invocations] == [("notes", "set aside")]


def test_poison_is_given_up_at_once(sqs: SqsInMemory) -> None:
    answer = working(raising(PoisonMessage("there is no such thing")))(batch(message({"text": "a"})), None)

    assert failed(answer) == []
    assert sqs.reasons == ["there is no such thing"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", None),
        ("not JSON", None),
        ("[]", "unreadable: ValidationError: message (model_type)"),
        ("[" * 100_000, None),
        ("{}", "unreadable: ValidationError: text (missing)"),
        (f'{{"text": ["{SECRET}"]}}', "unreadable: ValidationError: text (string_type)"),
        (
            f'{{"text": "a", "{SECRET}": 1, "extra": 2}}',
            "unreadable: ValidationError: … (extra_forbidden), extra (extra_forbidden)",
        ),
    ],
)
def test_what_cannot_be_read_is_poison_and_the_others_are_fine(
    sqs: SqsInMemory, log: OperatorLog, body: str, reason: str | None
) -> None:
    bad = message(body or " ", 1)

    assert failed(working(handled)(batch(bad, message({"text": "good"}, 2)), None)) == []

    assert [line["status"] for line in log.invocations] == ["set aside", "noted"]
    (given,) = sqs.reasons
    assert given.startswith("unreadable: ")
    if reason is not None:
        assert given == reason
    assert SECRET not in log.text
    assert SECRET not in given


@pytest.mark.parametrize(
    "failure", [ValueError, TypeError, KeyError, IndexError, AttributeError, json.JSONDecodeError(SECRET, SECRET, 0)]
)
def test_whatever_reading_raises_is_poison_and_says_nothing_of_the_message(
    sqs: SqsInMemory, log: OperatorLog, failure: Any
) -> None:
    def read(_: str) -> ParsedMessage[Note]:
        raise failure(SECRET) if isinstance(failure, type) else failure

    consumer = Consumer("n", service="s", queue=queue(), read=read, handle=handled)

    assert failed(consumer(batch(message(SECRET)), None)) == []
    assert len(sqs.set_aside) == 1
    assert SECRET not in log.text
    assert SECRET not in "".join(sqs.set_aside[0].said.values())


def test_what_cannot_be_set_aside_comes_again(sqs: SqsInMemory, log: OperatorLog) -> None:
    sqs.down.add("send_message")
    consumer = working(raising(PoisonMessage("bad")))

    assert failed(consumer(batch(message({"text": "a"}), message({"text": "b"}, 2, received=5)), None)) == ["m1", "m2"]
    assert [line["message"] for line in log.lines if line["level"] == "ERROR"] == ["queue failed", "queue failed"]
    assert [line["status"] for line in log.invocations] == ["failed", "failed"]

    sqs.down.clear()
    assert failed(consumer(batch(message({"text": "a"}, received=2)), None)) == []
    assert sqs.reasons == ["bad"]


def test_what_cannot_be_given_a_pause_comes_again_all_the_same(sqs: SqsInMemory) -> None:
    sqs.down.add("change_message_visibility")

    assert failed(working(raising(ConnectionError()))(batch(message({"text": "a"})), None)) == ["m1"]


def test_a_reason_is_no_longer_than_it_may_be(sqs: SqsInMemory) -> None:
    working(raising(PoisonMessage("x" * 10_000)))(batch(message({"text": "a"})), None)

    assert len(sqs.reasons[0]) == 500


@pytest.mark.parametrize("event", [{}, {"Records": []}, {"Records": None}])
def test_an_empty_batch_is_no_trouble(sqs: SqsInMemory, event: dict[str, Any]) -> None:
    assert working(handled)(event, None) == {"batchItemFailures": []}
    assert batch_of(lambda notes: ["noted"] * len(notes))(event, None) == {"batchItemFailures": []}


def test_a_message_made_by_hand_counts_as_received_once(sqs: SqsInMemory) -> None:
    bare = {"messageId": "m", "receiptHandle": "m/1", "body": '{"text": "a"}'}

    assert failed(working(raising(ConnectionError()))(batch(bare), None)) == ["m"]
    assert sqs.pauses == [("m", int(RETRY_DELAYS[0]))]


@pytest.mark.parametrize("offered", ["two words", "", "x" * 65, "new\nline"])
def test_an_unsafe_correlation_id_is_not_taken_over(sqs: SqsInMemory, log: OperatorLog, offered: str) -> None:
    working(handled)(batch(message({"text": "a", "correlation_id": offered})), None)

    assert log.invocations[0]["correlation_id"] != offered


# -- a whole batch --------------------------------------------------------------------------------


def batch_of(handle: Callable[[Sequence[Note]], Sequence[str | Exception]]) -> BatchConsumer[Note]:
    return BatchConsumer("notes", service="gateway", queue=queue(), read=read_note, handle=handle)


def test_a_batch_has_an_outcome_for_each_message(sqs: SqsInMemory, log: OperatorLog) -> None:
    outcomes: dict[str, str | Exception] = {
        "a": "noted",
        "b": ConnectionError("down"),
        "c": "known already",
        "d": PoisonMessage("no such thing"),
        "e": "noted",
    }
    seen: list[list[str]] = []

    def handle(notes: Sequence[Note]) -> list[str | Exception]:
        seen.append([note.text for note in notes])
        return [outcomes[note.text] for note in notes]

    records = [message({"text": text, "correlation_id": f"desk-{text}"}, n) for n, text in enumerate(outcomes)]
    answer = batch_of(handle)(batch(*records, message("not JSON", 9)), None)

    assert failed(answer) == ["m1"]
    assert seen == [["a", "b", "c", "d", "e"]]
    assert sqs.reasons == ["no such thing", "unreadable: ValidationError: message (json_invalid)"]
    assert sqs.set_aside[0].said["correlation_id"] == "desk-d", "its own, not the batch's"
    (line,) = log.invocations
    assert (line["status"], line["messages_noted"], line["messages_failed"], line["messages_set_aside"]) == (
        "failed",
        "2",
        "1",
        "2",
    )
    assert line["correlation_ids"] == [f"desk-{text}" for text in outcomes], "what is found by them is this line"
    assert line["correlation_id"] not in line["correlation_ids"]


def test_the_line_of_a_batch_has_each_id_once_and_a_hundred_at_most(sqs: SqsInMemory, log: OperatorLog) -> None:
    several = [message({"text": "a", "correlation_id": "x" * 64}, n) for n in range(3)]
    many = [message({"text": "a", "correlation_id": f"{n:x<64}"}, n) for n in range(120)]

    batch_of(lambda notes: ["noted"] * len(notes))(batch(*several), None)
    batch_of(lambda notes: ["noted"] * len(notes))(batch(*many), None)

    one, hundred = log.invocations
    assert one["correlation_ids"] == ["x" * 64]
    assert len(hundred["correlation_ids"]) == 100
    assert max(len(line) for line in log.text.splitlines()) < 8 * 1024


def test_the_line_of_a_batch_has_no_id_that_is_not_safe_to_log(sqs: SqsInMemory, log: OperatorLog) -> None:
    records = [message({"text": "a", "correlation_id": "two words"}, 1), message("bad", 2)]

    batch_of(lambda notes: ["noted"] * len(notes))(batch(*records), None)

    (line,) = log.invocations
    assert "correlation_ids" not in line


@pytest.mark.parametrize(
    "failure",
    [ConnectionError("down"), PoisonMessage("one of them is bad")],
    ids=["failure", "poison of who knows which"],
)
def test_a_batch_whose_handling_raises_comes_again_as_a_whole(sqs: SqsInMemory, failure: Exception) -> None:
    def handle(_: Sequence[Note]) -> list[str | Exception]:
        raise failure

    records = [message({"text": "a"}, 1), message("bad", 2), message({"text": "b"}, 3)]

    assert failed(batch_of(handle)(batch(*records), None)) == ["m1", "m3"]
    assert len(sqs.set_aside) == 1, "the unreadable one, and no other"
    assert [paused for paused, _ in sqs.pauses] == ["m1", "m3"]


def test_outcomes_that_do_not_fit_the_messages_count_for_none(sqs: SqsInMemory) -> None:
    answer = batch_of(lambda _: ["noted"])(batch(message({"text": "a"}, 1), message({"text": "b"}, 2)), None)

    assert failed(answer) == ["m1", "m2"]


def test_a_batch_of_unreadable_messages_asks_the_handler_nothing(sqs: SqsInMemory) -> None:
    def handle(_: Sequence[Note]) -> list[str | Exception]:
        pytest.fail("nothing to handle")

    assert failed(batch_of(handle)(batch(message("bad", 1), message("bad", 2)), None)) == []
    assert len(sqs.set_aside) == 2


def test_the_line_of_a_batch_says_that_some_were_set_aside(sqs: SqsInMemory, log: OperatorLog) -> None:
    outcomes: dict[str, str | Exception] = {"a": "noted", "b": PoisonMessage("bad")}
    records = [message({"text": text}, n) for n, text in enumerate(outcomes)]

    batch_of(lambda notes: [outcomes[note.text] for note in notes])(batch(*records), None)
    batch_of(lambda _: ["noted"])(batch(records[0]), None)

    told = [(line["status"], line["messages_noted"], line.get("messages_set_aside")) for line in log.invocations]
    assert told == [("set aside some", "1", "1"), ("ok", "1", None)]


# -- what rules deliver ---------------------------------------------------------------------------


def delivered(**changes: Any) -> str:
    envelope = {
        "id": EVENT_ID,
        "type": "NoteWritten",
        "version": 1,
        "occurred_at": "2026-11-21T12:00:00Z",
        "correlation_id": "desk-1",
        "actor": "user:L",
        "subject": "note:N",
        "data": {"text": "hello"},
        **changes,
    }
    return json.dumps({"version": "0", "source": "library.notes", "detail-type": "NoteWritten", "detail": envelope})


def test_a_delivery_is_read_with_its_ids() -> None:
    found = read_delivery(delivered())

    assert found.message.envelope.data == {"text": "hello"}
    assert found.message.replay is None
    assert found.correlation_id == "desk-1"
    assert found.log_fields == {"event_id": EVENT_ID, "event_type": "NoteWritten"}


def test_an_envelope_of_another_type_than_the_rule_looked_at_is_refused() -> None:
    with pytest.raises(ValueError, match="different types"):
        read_delivery(delivered(type="MemberErased"))


def test_a_delivery_says_who_put_it_on_the_bus() -> None:
    assert read_delivery(delivered()).message.source == "library.notes"


def test_a_replayed_event_says_so() -> None:
    body = json.loads(delivered()) | {"replay-name": "after-the-fix"}

    assert read_delivery(json.dumps(body)).message.replay == "after-the-fix"


def test_data_that_is_not_what_a_consumer_needs_is_poison_with_the_events_own_ids(
    sqs: SqsInMemory, log: OperatorLog
) -> None:
    def handle(delivery: Delivery) -> str:
        data_of(delivery, Note)
        return "noted"

    consumer = Consumer("notes", service="gateway", queue=queue(), read=read_delivery, handle=handle)

    assert failed(consumer(batch(message(delivered(data={"text": 7}))), None)) == []

    (letter,) = sqs.set_aside
    assert letter.said["reason"] == "unreadable: ValidationError: text (string_type)"
    assert letter.said["correlation_id"] == "desk-1"
    assert (letter.said["event_id"], letter.said["event_type"]) == (EVENT_ID, "NoteWritten")
    assert log.invocations[0]["event_id"] == EVENT_ID


@pytest.mark.parametrize("whole", [False, True], ids=["one at a time", "a batch"])
def test_an_event_that_cannot_be_read_is_found_by_its_own_ids(sqs: SqsInMemory, log: OperatorLog, whole: bool) -> None:
    if whole:
        consumer: Any = BatchConsumer("n", service="s", queue=queue(), read=read_delivery, handle=lambda _: [])
    else:
        consumer = Consumer("n", service="s", queue=queue(), read=read_delivery, handle=lambda _: "noted")

    assert failed(consumer(batch(message(delivered(version="first"))), None)) == []

    own = {"correlation_id": "desk-1", "event_id": EVENT_ID, "event_type": "NoteWritten"}
    (letter,) = sqs.set_aside
    assert own.items() <= letter.said.items()
    (line,) = [line for line in log.lines if line["message"] == "message set aside"]
    assert own.items() <= line.items()


@pytest.mark.parametrize(
    "detail",
    [{"id": SECRET, "type": SECRET, "correlation_id": SECRET}, {"id": 1, "type": None, "correlation_id": []}, [SECRET]],
)
def test_ids_that_are_none_are_not_repeated(sqs: SqsInMemory, log: OperatorLog, detail: Any) -> None:
    consumer = Consumer("n", service="s", queue=queue(), read=read_delivery, handle=lambda _: "noted")

    assert failed(consumer(batch(message({"detail": detail})), None)) == []

    (letter,) = sqs.set_aside
    assert letter.said.keys() == {"reason", "consumer", "correlation_id", "set_aside_at", "received"}
    assert letter.said["correlation_id"] == log.invocations[0]["correlation_id"]
    assert SECRET not in log.text + "".join(letter.said.values())
