"""Listening on the bus of a deployed stack."""

import json
from typing import Any

from localstack.embedded.stack import LocalStack


class EventTap:
    """Everything that is published on the stack's bus from now on, through a rule and a queue of its own."""

    def __init__(self, stack: LocalStack) -> None:
        self._sqs = stack.client("sqs")
        events = stack.client("events")
        name = f"{stack.stack_name}-tap"
        self._queue = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        bus = stack.outputs["EventBusName"]
        events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": [{"prefix": "library."}]}))
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "tap", "Arn": arn}])
        self.seen: list[dict[str, Any]] = []

    def about(self, text: str, at_least: int) -> list[dict[str, Any]]:
        """The envelopes that mention `text`, oldest first, doubles left out; empty below `at_least`."""
        while batch := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", []):
            for message in batch:
                self.seen.append(json.loads(message["Body"])["detail"])
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        ids: dict[str, dict[str, Any]] = {}
        for envelope in self.seen:
            if text in json.dumps(envelope):
                ids.setdefault(envelope["id"], envelope)
        found = sorted(ids.values(), key=lambda e: (e["occurred_at"], e["id"]))
        return found if len(found) >= at_least else []
