"""The queues of dead letters: what holds for those in memory holds for those of SQS."""

import json
from collections.abc import Callable, Iterator

import boto3
import pytest

from admin_service import bootstrap
from admin_service.adapters.sqs import SqsQueues, registered_queues
from admin_service.application.ports import Queues
from admin_service.domain.dead_letters import DeadLetterQueue, Kind
from library_common import aws
from tests.fakes.dead_letters import FakeQueues
from tests.support.tables import dynamodb_in_moto

pytestmark = pytest.mark.adapter

type Put = Callable[..., object]


@pytest.fixture(params=["in memory", "on SQS"])
def filled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Queues, str, Put]]:
    """Queues, the address of one, and how to put a message in."""
    if request.param == "in memory":
        fake = FakeQueues()
        yield fake, "dead", lambda body, **said: fake.put("dead", body, **said)
        return
    with dynamodb_in_moto(monkeypatch):
        aws._client.cache_clear()
        sqs = boto3.client("sqs")
        url = sqs.create_queue(QueueName="dead")["QueueUrl"]

        def put(body: str, **said: str) -> object:
            attributes = {name: {"DataType": "String", "StringValue": text} for name, text in said.items()}
            return sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)  # type: ignore[arg-type]  # plain dicts

        yield SqsQueues(wait_seconds=0), url, put
    aws._client.cache_clear()


def test_a_letter_comes_as_it_was_put(filled: tuple[Queues, str, Put]) -> None:
    queues, url, put = filled
    put("hello", reason="no such thing", consumer="notes")

    (letter,) = queues.receive(url, 10, hidden_seconds=15)

    assert (letter.body, dict(letter.attributes)) == ("hello", {"reason": "no such thing", "consumer": "notes"})
    assert letter.sent_at is not None
    assert letter.sent_at.tzinfo is not None


def test_what_is_received_is_hidden_until_it_is_given_back(filled: tuple[Queues, str, Put]) -> None:
    queues, url, put = filled
    for number in range(12):
        put(str(number))

    first = queues.receive(url, 10, hidden_seconds=15)
    second = queues.receive(url, 10, hidden_seconds=15)
    assert (len(first), len(second)) == (10, 2)
    assert queues.receive(url, 10, hidden_seconds=15) == []
    assert queues.waiting(url) == 12, "those being looked at are still there"

    queues.give_back(url, [*first, *second])
    assert len(queues.receive(url, 10, hidden_seconds=15)) == 10


def test_what_is_deleted_is_gone(filled: tuple[Queues, str, Put]) -> None:
    queues, url, put = filled
    put("a")
    (letter,) = queues.receive(url, 1, hidden_seconds=15)

    queues.delete(url, letter)

    assert queues.waiting(url) == 0


def test_what_is_sent_is_there_without_attributes(filled: tuple[Queues, str, Put]) -> None:
    queues, url, _ = filled
    queues.send(url, "again")

    (letter,) = queues.receive(url, 10, hidden_seconds=15)
    assert (letter.body, dict(letter.attributes)) == ("again", {})


def test_nothing_is_given_back_without_a_call(filled: tuple[Queues, str, Put]) -> None:
    queues, url, _ = filled
    queues.give_back(url, [])


def test_the_lists_of_all_stacks_are_one() -> None:
    loans = """{"B": {"url": "b", "about": "Unpublished."},
                "A": {"url": "a", "source": "w", "personal": true, "about": "Undone."}}"""
    platform = """{"C": {"url": "c", "jobs": true, "about": "Failed jobs."}, "0": {"url": "0", "about": "Lost."}}"""

    assert registered_queues([loans, platform]) == [
        DeadLetterQueue("0", "0", Kind.PUBLICATIONS, "Lost."),
        DeadLetterQueue("A", "a", Kind.MESSAGES, "Undone.", personal=True, source_url="w"),
        DeadLetterQueue("B", "b", Kind.PUBLICATIONS, "Unpublished."),
        DeadLetterQueue("C", "c", Kind.JOBS, "Failed jobs."),
    ]


def test_what_stacks_register_is_read_from_their_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    """As deployed: a parameter of each stack under the path that admin is given."""
    monkeypatch.setenv("DEAD_LETTERS_PATH", "/library/dead-letters")
    monkeypatch.setenv("PUBLISHERS_PATH", "/library/publishers")
    with dynamodb_in_moto(monkeypatch):
        aws._client.cache_clear()
        bootstrap.dead_letters.cache_clear()
        sqs, ssm = boto3.client("sqs"), boto3.client("ssm")
        for service in ("loans", "users"):
            url = sqs.create_queue(QueueName=service)["QueueUrl"]
            document = json.dumps({f"{service} letters": {"url": url, "source": url, "about": "Undone."}})
            ssm.put_parameter(Name=f"/library/dead-letters/{service}", Value=document, Type="String")
        ssm.put_parameter(Name="/another-library/dead-letters/books", Value="not this one", Type="String")
        sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName="users")["QueueUrl"], MessageBody="a")

        use_cases = bootstrap.dead_letters()

        assert [queue.name for queue in use_cases.declared()] == ["loans letters", "users letters"]
        assert use_cases.waiting() == {"users letters": 1}
    bootstrap.dead_letters.cache_clear()
    aws._client.cache_clear()
