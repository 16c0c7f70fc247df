"""What tests of consumers stand on: a consumer that counts each event once comes out right whatever is done to it here,
and one that does not is found out."""

import json
from collections import Counter
from collections.abc import Callable

import pytest

from library_common.consumers import MAX_RECEIVES, Consumer, Delivery, PoisonMessage, read_delivery
from library_common.events import Envelope
from tests.fakes.sqs import DEAD_LETTERS_URL as DEAD
from tests.fakes.sqs import QUEUE_URL as QUEUE
from tests.fakes.sqs import NoSuchReceipt, SqsInMemory, in_place_of_sqs, queue
from tests.support.bus_deliveries import delivery, doubled_and_shuffled, put_on_queue, sqs_event, work_off
from tests.support.flaky import Failures, Flaky, InjectedFailure
from tests.support.mortality import ProcessDied

pytestmark = pytest.mark.unit

SEED = 7


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> SqsInMemory:
    return in_place_of_sqs(monkeypatch, SEED)


def event(number: int) -> Envelope:
    return Envelope(
        id=f"E{number}",
        type="LoanCreated",
        version=1,
        occurred_at="2026-11-21T12:00:00Z",
        correlation_id=f"request-{number}",
        actor="user:L",
        subject=f"loan:{number}",
        data={"loan_id": str(number)},
    )


def events(number: int) -> list[str]:
    return [delivery(event(each), "library.loans") for each in range(number)]


def counting(handle: Callable[[Delivery], str]) -> Consumer[Delivery]:
    return Consumer("counter", service="analytics", queue=queue(), read=read_delivery, handle=handle)


def test_a_delivery_is_read_as_the_bus_brings_it() -> None:
    found = read_delivery(delivery(event(1), "library.loans", replay="again")).message

    assert (found.envelope, found.replay) == (event(1), "again")
    assert read_delivery(delivery(event(1).model_dump(), "library.loans")).message.replay is None
    body = json.loads(delivery(event(1), "library.loans"))
    assert (body["source"], body["detail-type"]) == ("library.loans", "LoanCreated")


def test_each_comes_twice_in_an_order_of_the_seeds() -> None:
    mixed = doubled_and_shuffled(range(50), SEED)

    assert Counter(mixed) == dict.fromkeys(range(50), 2)
    assert mixed != sorted(mixed)
    assert mixed == doubled_and_shuffled(range(50), SEED)
    assert mixed != doubled_and_shuffled(range(50), SEED + 1)


def test_a_consumer_that_fails_now_and_then_counts_every_event_once(sqs: SqsInMemory) -> None:
    """As it must be built: what it does is done once for each event id, however often it is told."""
    counted: set[str] = set()
    failures = Failures(0.2, SEED)

    def count(found: Delivery) -> str:
        failures.around("add", lambda: counted.add(found.envelope.id))
        return "counted"

    put_on_queue(sqs, QUEUE, doubled_and_shuffled(events(1_000), SEED))
    work = work_off(counting(count), sqs, QUEUE)
    while sqs.redrive(QUEUE):
        work_off(counting(count), sqs, QUEUE)

    assert counted == {f"E{number}" for number in range(1_000)}
    assert sqs.waiting(QUEUE) == sqs.waiting(DEAD) == []
    assert 300 < len(failures.injected) < 900
    assert {line.split()[1] for line in failures.injected} == {"before", "after"}
    assert work.died > 0
    assert work.again > 0


def test_a_consumer_that_trusts_in_one_delivery_is_found_out(sqs: SqsInMemory) -> None:
    counted: Counter[str] = Counter()
    failures = Failures(0.2, SEED)

    def count(found: Delivery) -> str:
        failures.around("add", lambda: counted.update([found.envelope.id]))
        return "counted"

    put_on_queue(sqs, QUEUE, events(200))
    work_off(counting(count), sqs, QUEUE)

    assert counted.total() > 200


def test_a_message_is_tried_so_often_and_set_aside_with_the_reason(sqs: SqsInMemory) -> None:
    tried: Counter[str] = Counter()

    def never(found: Delivery) -> str:
        tried[found.envelope.id] += 1
        raise InjectedFailure

    put_on_queue(sqs, QUEUE, events(3))
    before = sqs.now
    work_off(counting(never), sqs, QUEUE)

    assert set(tried.values()) == {MAX_RECEIVES}
    assert [message.reason for message in sqs.waiting(DEAD)] == ["InjectedFailure"] * 3
    assert sqs.now - before > 5 * 0.75 * (1 + 2 + 4 + 8), "the pauses of the consumer have passed"


def test_a_message_that_kills_is_set_aside_by_the_queue_and_takes_nobody_along(sqs: SqsInMemory) -> None:
    done: set[str] = set()

    def deadly(found: Delivery) -> str:
        if found.envelope.id == "E3":
            raise ProcessDied
        done.add(found.envelope.id)
        return "done"

    put_on_queue(sqs, QUEUE, events(6))
    work = work_off(counting(deadly), sqs, QUEUE, batch_size=1)

    assert done == {"E0", "E1", "E2", "E4", "E5"}
    assert work.died == MAX_RECEIVES
    (left,) = sqs.waiting(DEAD)
    assert (json.loads(left.body)["detail"]["id"], left.reason) == ("E3", None)


def test_poison_goes_at_once_and_a_redriven_message_has_all_its_tries_again(sqs: SqsInMemory) -> None:
    def refuse(_: Delivery) -> str:
        raise PoisonMessage("not for us")

    put_on_queue(sqs, QUEUE, ["no event", *events(1)])
    assert work_off(counting(refuse), sqs, QUEUE).again == 0
    assert len(sqs.waiting(DEAD)) == 2

    assert sqs.redrive(QUEUE) == 2
    assert sqs.waiting(DEAD) == []
    assert {(message.received, message.reason) for message in sqs.waiting(QUEUE)} == {(0, None)}


def test_nobody_deletes_what_somebody_else_has_received_since(sqs: SqsInMemory) -> None:
    put_on_queue(sqs, QUEUE, events(1))
    (first,) = sqs.receive_message(QueueUrl=QUEUE)["Messages"]
    (second,) = sqs.receive_message(QueueUrl=QUEUE)["Messages"]
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"

    with pytest.raises(NoSuchReceipt):
        sqs.delete_message(QueueUrl=QUEUE, ReceiptHandle=first["ReceiptHandle"])
    sqs.delete_message(QueueUrl=QUEUE, ReceiptHandle=second["ReceiptHandle"])
    assert sqs.waiting(QUEUE) == []


def test_a_delayed_message_comes_when_its_time_is_there(sqs: SqsInMemory) -> None:
    sqs.send_message(QueueUrl=QUEUE, MessageBody="later", DelaySeconds=900)
    sqs.send_message(QueueUrl=QUEUE, MessageBody="now")

    received = [sqs.receive_message(QueueUrl=QUEUE)["Messages"][0]["Body"] for _ in range(2)]

    # What was received first is hidden for three minutes and comes again before the other's time.
    assert received == ["now", "now"]
    assert sqs.now == 180.0


def test_an_event_of_mere_bodies_is_what_a_function_gets() -> None:
    heard: list[str] = []

    def handle(found: Delivery) -> str:
        heard.append(found.envelope.id)
        return "heard"

    assert counting(handle)(sqs_event(events(2)), None) == {"batchItemFailures": []}
    assert heard == ["E0", "E1"]


def test_a_flaky_port_fails_in_the_chosen_methods_only() -> None:
    class Port:
        limit = 3

        def __init__(self) -> None:
            self.written = 0

        def write(self) -> int:
            self.written += 1
            return self.written

        def read(self) -> int:
            return self.written

    port = Port()
    failures = Failures(1.0, SEED, deaths=0.0)
    flaky = Flaky(port, failures, only={"write"})

    for _ in range(20):
        with pytest.raises(InjectedFailure):
            flaky.write()

    assert flaky.limit == 3
    assert 0 < flaky.read() < 20, "some writes had their effect"
    assert len(failures.injected) == 20
    with pytest.raises(InjectedFailure):
        failures.over(port.read)()
