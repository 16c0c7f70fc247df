"""The stream publisher all services share: new images in, events on the bus out.

Raises when anything could not be put on the bus, so that Lambda hands the batch in again: events are
published at least once and in order per item. What can never be published (not an envelope, too
large) is set aside in the publisher's dead-letter queue and does not hold up the rest.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from library_common import aws
from library_common.context import current, invocation
from library_common.dynamodb import Item, from_wire
from library_common.events import SOURCE_PREFIX, Envelope, from_outbox
from library_common.telemetry import count, log_invocation

MAX_ENTRIES = 10
MAX_ENTRY_BYTES = 240 * 1024
"""EventBridge takes 256 KB per request, all its entries together and counting source and detail type too."""


class PublishFailed(Exception):
    """The bus refused entries; the batch has to come again."""


@dataclass(frozen=True)
class Published:
    """How a batch ended."""

    published: int
    set_aside: int


class StreamPublisher:
    """Publishes the outbox attribute of every new image of a table's stream.

    source: the service's name. bus: event bus name. dead_letters_url: SQS queue for what can never be
    published. on_images: called with all new images of a batch, for what else a service hangs on its stream;
    it may see an image again.
    """

    def __init__(
        self,
        *,
        source: str,
        bus: str,
        dead_letters_url: str,
        on_images: Callable[[Sequence[Item]], None] | None = None,
    ) -> None:
        self._source = SOURCE_PREFIX + source
        self._bus = bus
        self._dead_letters_url = dead_letters_url
        self._on_images = on_images

    def __call__(self, event: Mapping[str, Any], _context: object) -> dict[str, Any]:
        """Lambda handler for DynamoDB stream batches."""
        started = time.perf_counter()
        with invocation():
            status: int | str = "failed"
            try:
                outcome = self.publish(event.get("Records", []))
                status = "ok"
                current().notes["published"] = str(outcome.published)
            finally:
                log_invocation(
                    f"stream {self._source}", status=status, duration_ms=(time.perf_counter() - started) * 1000
                )
        return {"published": outcome.published, "set_aside": outcome.set_aside}

    def publish(self, records: Iterable[Mapping[str, Any]]) -> Published:
        """Raises PublishFailed when the bus did not take everything it could have taken."""
        entries: list[dict[str, Any]] = []
        images: list[Item] = []
        set_aside = 0
        for record in records:
            image_on_the_wire = record.get("dynamodb", {}).get("NewImage")
            if image_on_the_wire is None:
                continue
            try:
                image = from_wire(image_on_the_wire)
                # What else hangs on the stream does not depend on the events being readable.
                images.append(image)
                new_entries = [self._entry(envelope) for envelope in from_outbox(image)]
            except (ValueError, TypeError, KeyError) as exc:
                # json and pydantic both raise ValueErrors. Trying again would find the same bytes.
                self._set_aside(record, type(exc).__name__)
                set_aside += 1
                continue
            for entry in new_entries:
                if _size(entry) > MAX_ENTRY_BYTES:
                    self._set_aside(record, "too large for the bus")
                    set_aside += 1
                else:
                    entries.append(entry)
        # First, so that it happens even while the bus refuses; done again with every retry of the batch.
        if self._on_images is not None:
            self._on_images(images)
        for request in _requests(entries):
            self._put(request)
        return Published(published=len(entries), set_aside=set_aside)

    def _entry(self, envelope: Envelope) -> dict[str, Any]:
        return {
            "Source": self._source,
            "DetailType": envelope.type,
            "Detail": envelope.model_dump_json(),
            "EventBusName": self._bus,
        }

    def _put(self, entries: Sequence[Any]) -> None:
        answer = aws.events().put_events(Entries=list(entries))
        if answer.get("FailedEntryCount"):
            codes = sorted({e.get("ErrorCode", "") for e in answer["Entries"] if e.get("ErrorCode")})
            count("PublishFailed", answer["FailedEntryCount"], source=self._source)
            raise PublishFailed(", ".join(codes))

    def _set_aside(self, record: Mapping[str, Any], reason: str) -> None:
        count("EventSetAside", source=self._source)
        aws.sqs().send_message(
            QueueUrl=self._dead_letters_url,
            MessageBody=json.dumps(
                {"reason": reason, "source": self._source, "record": _described(record)}, default=str
            ),
        )


def _requests(entries: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The entries in order, in as few requests as the bus takes them."""
    request: list[dict[str, Any]] = []
    size = 0
    for entry in entries:
        entry_size = _size(entry)
        if request and (len(request) == MAX_ENTRIES or size + entry_size > MAX_ENTRY_BYTES):
            yield request
            request, size = [], 0
        request.append(entry)
        size += entry_size
    if request:
        yield request


def _size(entry: Mapping[str, Any]) -> int:
    return len(str(entry["Detail"]).encode())


def _described(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record, or only its keys when it would not fit into a queue message."""
    if len(json.dumps(record, default=str).encode()) < MAX_ENTRY_BYTES:
        return record
    return {"eventID": record.get("eventID"), "Keys": record.get("dynamodb", {}).get("Keys")}
