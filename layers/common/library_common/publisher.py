"""The stream publisher all services share: new images in, events on the bus out.

Raises when anything could not be put on the bus, so that Lambda hands the batch in again: events are
published at least once and in order per item. What can never be published (not an envelope, too
large) is set aside in the publisher's dead-letter queue and does not hold up the rest.

Of an image that is set aside only its keys and its outbox are kept: what it takes to find the item and to publish
again (`redrivable_record`). The rest may be about people, down to the hashes of their passwords.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from library_common import aws
from library_common.clock import SystemClock, to_rfc3339
from library_common.context import current, invocation
from library_common.dynamodb import Item, from_wire
from library_common.events import OUTBOX_ATTRIBUTE, SOURCE_PREFIX, Envelope, from_outbox
from library_common.telemetry import count, log_invocation

MAX_ENTRIES = 10
MAX_ENTRY_BYTES = 240 * 1024
"""EventBridge takes 256 KB per request, all its entries together and counting source and detail type too."""

_ROOM_FOR_THE_REST = 8 * 1024
"""Of a message about what was set aside: keys, ids, reason."""


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
        """Lambda handler for DynamoDB stream batches. One line in the log per batch, with an id of its own and the
        correlation ids of the events in it.
        """
        started = time.perf_counter()
        with invocation():
            status: int | str = "failed"
            try:
                outcome = self.publish(event.get("Records", []))
                status = "ok"
                current().log_fields["published"] = str(outcome.published)
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
                envelopes = from_outbox(image)
            except (ValueError, TypeError, KeyError) as exc:
                # json and pydantic both raise ValueErrors. Trying again would find the same bytes.
                self._set_aside(record, f"unreadable outbox: {type(exc).__name__}", _outbox(image_on_the_wire))
                set_aside += 1
                continue
            for envelope in envelopes:
                # Before anything can fail: the line of a batch that did not go out is found by them, too.
                current().add_correlation_id(envelope.correlation_id)
                entry = self._entry(envelope)
                if _size(entry) > MAX_ENTRY_BYTES:
                    # Its neighbours in the outbox go out, so a redrive is about this one; nor would it fit in here.
                    self._set_aside(record, f"too large for the bus: {envelope.type} {envelope.id}", None)
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

    def _set_aside(self, record: Mapping[str, Any], reason: str, outbox: object) -> None:
        count("EventSetAside", source=self._source)
        letter = {
            "source": self._source,
            "stream_event_id": record.get("eventID"),
            "keys": record.get("dynamodb", {}).get("Keys"),
            "outbox": outbox,
        }
        attributes = {
            "reason": reason,
            "consumer": f"publisher of {self._source}",
            "correlation_id": current().correlation_id,
            "set_aside_at": to_rfc3339(SystemClock().now()),
        }
        aws.sqs().send_message(
            QueueUrl=self._dead_letters_url,
            MessageBody=json.dumps(letter, default=str),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": text[:500]} for name, text in attributes.items()
            },
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


def _outbox(image_on_the_wire: object) -> object:
    """The outbox as it is, readable or not; None when there is none, or too much of it for a queue message."""
    found = image_on_the_wire.get(OUTBOX_ATTRIBUTE) if isinstance(image_on_the_wire, Mapping) else None
    fits = found is None or len(json.dumps(found, default=str).encode()) < MAX_ENTRY_BYTES - _ROOM_FOR_THE_REST
    return found if fits else None


def redrivable_record(letter: Mapping[str, Any]) -> dict[str, Any] | None:
    """A stream record that makes the publisher try once more what it set aside; None when nothing of it was kept.

    The image has nothing but keys and outbox, so whatever else hangs on the stream takes it for nobody's business.
    """
    if letter.get("outbox") is None or not isinstance(letter.get("keys"), Mapping):
        return None
    return {
        "eventID": letter.get("stream_event_id"),
        "dynamodb": {"Keys": letter["keys"], "NewImage": {**letter["keys"], OUTBOX_ATTRIBUTE: letter["outbox"]}},
    }
