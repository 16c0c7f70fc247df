"""Receives the events on the bus of a deployed stack."""

import json
import time
from collections import Counter
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from localstack.embedded.stack import LocalStack

_RECEIVERS = 4


class EventTap:
    """Everything that is published on the stack's bus from now on, through a rule and a queue of its own.

    name: tells this tap from others on the same stack.
    """

    def __init__(self, stack: LocalStack, name: str = "tap") -> None:
        self._sqs = stack.client("sqs")
        events = stack.client("events")
        rule = f"{stack.system}-{name}"
        self._queue = self._sqs.create_queue(QueueName=rule)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        bus = stack.outputs["EventBusName"]
        events.put_rule(Name=rule, EventBusName=bus, EventPattern=json.dumps({"source": [{"prefix": "library."}]}))
        events.put_targets(Rule=rule, EventBusName=bus, Targets=[{"Id": "tap", "Arn": arn}])
        self._seen: dict[str, str] = {}
        self._times: Counter[str] = Counter()

    def about(self, text: str, at_least: int) -> list[dict[str, Any]]:
        """Envelopes that contain `text`, oldest first, without duplicates. Empty if there are fewer than `at_least`."""
        while self._receive():
            pass
        envelopes = [json.loads(body)["detail"] for body in self._seen.values()]
        found = [envelope for envelope in envelopes if text in json.dumps(envelope)]
        found.sort(key=lambda e: (e["occurred_at"], e["id"]))
        return found if len(found) >= at_least else []

    def times(self, event_id: str) -> int:
        """How often the bus has delivered an event."""
        while self._receive():
            pass
        return self._times[event_id]

    def deliveries(self, types: Collection[str], number: int, *, seconds: float) -> list[str]:
        """The events of these types as the bus delivered them (the messages' bodies), doubles left out, in no order.

        Waits until there are so many, and then until nothing more comes. Fails when they do not come in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            with ThreadPoolExecutor(_RECEIVERS) as pool:
                received = sum(pool.map(lambda _: self._receive(), range(_RECEIVERS)))
            if received == 0:
                found = [body for body in self._seen.values() if json.loads(body)["detail-type"] in types]
                if len(found) >= number:
                    return found
                assert time.monotonic() < deadline, f"{len(found)} events of {number} after {seconds:.0f} s"
                time.sleep(0.2)

    def _receive(self) -> int:
        """Receives up to ten more messages; returns how many."""
        batch = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in batch:
            event_id = json.loads(message["Body"])["detail"]["id"]
            self._seen.setdefault(event_id, message["Body"])
            self._times[event_id] += 1
        if batch:
            self._sqs.delete_message_batch(
                QueueUrl=self._queue,
                Entries=[{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(batch)],
            )
        return len(batch)
