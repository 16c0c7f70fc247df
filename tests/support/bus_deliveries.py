"""Events as they reach a consumer: EventBridge's messages on its queue and Lambda's batches, also duplicated, out of
order, and with a consumer that fails."""

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from library_common.events import Envelope
from tests.fakes.sqs import SqsInMemory
from tests.support.mortality import ProcessDied

ACCOUNT, REGION = "000000000000", "us-east-1"

type Handler = Callable[[Mapping[str, Any], object], Mapping[str, Any]]


def delivery(envelope: Envelope | Mapping[str, Any], source: str, *, replay: str | None = None) -> str:
    """The message body that a rule makes from an event. source: such as "library.loans". replay: the name of the
    archive replay it comes from."""
    detail = envelope.model_dump(mode="json") if isinstance(envelope, Envelope) else dict(envelope)
    body: dict[str, Any] = {
        "version": "0",
        "id": f"delivery-of-{detail['id']}",
        "detail-type": detail["type"],
        "source": source,
        "account": ACCOUNT,
        "time": detail["occurred_at"],
        "region": REGION,
        "resources": [],
        "detail": detail,
    }
    if replay is not None:
        body["replay-name"] = replay
    return json.dumps(body)


def doubled_and_shuffled[T](things: Iterable[T], seed: int, *, times: int = 2) -> list[T]:
    """Each thing `times` times, in an order that depends on the seed."""
    mixed = list(things) * times
    random.Random(seed).shuffle(mixed)
    return mixed


def sqs_event(messages: Iterable[Mapping[str, Any] | str], queue: str = "queue") -> dict[str, Any]:
    """The event that Lambda passes to a function, from messages as `receive_message` returns them, or from bodies."""
    records = []
    for number, given in enumerate(messages):
        message: Mapping[str, Any] = (
            {"MessageId": f"message-{number}", "Body": given} if isinstance(given, str) else given
        )
        attributes: Mapping[str, Any] = message.get("MessageAttributes") or {}
        records.append(
            {
                "messageId": message["MessageId"],
                "receiptHandle": message.get("ReceiptHandle", f"{message['MessageId']}/1"),
                "body": message["Body"],
                "attributes": {"ApproximateReceiveCount": "1", **(message.get("Attributes") or {})},
                "messageAttributes": {
                    name: {"stringValue": value.get("StringValue"), "dataType": value["DataType"]}
                    for name, value in attributes.items()
                },
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}",
                "awsRegion": REGION,
            }
        )
    return {"Records": records}


def put_on_queue(sqs: Any, url: str, bodies: Sequence[str]) -> None:
    """Sends any number of messages, ten at a time. Fails if SQS refuses one."""
    for start in range(0, len(bodies), 10):
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies[start : start + 10])]
        answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
        assert not answer.get("Failed"), answer["Failed"]


@dataclass
class Work:
    """How a queue was drained. batches: invocations. died: invocations that did not return. again: messages that the
    function reported as failed."""

    batches: int = 0
    died: int = 0
    again: int = 0


def work_off(handler: Handler, sqs: SqsInMemory, url: str, *, batch_size: int = 10, longest: int = 100_000) -> Work:
    """Drains a queue as Lambda does: receives batches, invokes the handler, deletes the messages that succeeded."""
    work = Work()
    while sqs.waiting(url):
        assert work.batches < longest, f"{len(sqs.waiting(url))} messages still there after {longest} batches"
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=batch_size)["Messages"]
        if not received:
            continue  # the last ones went to the dead-letter queue
        work.batches += 1
        try:
            answer = handler(sqs_event(received, url), None)
        except (Exception, ProcessDied):  # noqa: BLE001 - the invocation did not return
            work.died += 1
            continue
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        work.again += len(failed)
        for message in received:
            if message["MessageId"] not in failed:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return work
