"""The stream publisher that services share. It puts the outbox of every new image on the bus.

If the bus refuses an event, the publisher raises and Lambda retries the batch. So events are published at least
once, and in order per item. An event that can never be published (not an envelope, too large) moves to the
publisher's dead-letter queue and does not block the others.

A dead letter holds only the keys and the outbox of the image, which is enough to publish again
(`redrivable_record`). The rest of an item may be personal data, even password hashes.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from library_common import aws
from library_common.clock import SystemClock, to_rfc3339
from library_common.context import current
from library_common.dynamodb import Item, from_wire
from library_common.events import OUTBOX_ATTRIBUTE, SOURCE_PREFIX, from_outbox
from library_common.telemetry import count, logged_invocation

MAX_ENTRIES = 10
MAX_ENTRY_BYTES = 240 * 1024
"""EventBridge accepts 256 KB per request: all entries together, with source and detail type."""

_LETTER_OVERHEAD_BYTES = 8 * 1024
"""Room in a dead letter for keys, ids and the reason."""


class PublishFailed(Exception):
    """The bus refused entries. Lambda has to retry the batch."""


@dataclass(frozen=True, kw_only=True)
class StreamPublisher:
    """Publishes the outbox attribute of every new image of a table's stream.

    source: the service's name. bus: event bus name. dead_letters: name of the SQS queue for events that can never be
    published; its address is asked for when it is needed. on_images: called with all new images of a batch, for a
    service's other uses of its stream. It is called again with a retried batch.
    """

    source: str
    bus: str
    dead_letters: str
    on_images: Callable[[Sequence[Item]], None] | None = None

    @property
    def _event_source(self) -> str:
        return SOURCE_PREFIX + self.source

    def __call__(self, event: Mapping[str, Any], _context: object) -> dict[str, Any]:
        """Lambda handler for DynamoDB stream batches. Logs one line per batch, with an id of its own and the
        correlation ids of its events.
        """
        with logged_invocation(f"stream {self._event_source}") as running:
            published, set_aside = self._publish(event.get("Records", []))
            running.status = "ok"
            running.log_fields["published"] = str(published)
        return {"published": published, "set_aside": set_aside}

    def _publish(self, records: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
        """The numbers of events published and of those set aside. Raises PublishFailed when the bus refused events."""
        entries: list[dict[str, Any]] = []
        images: list[Item] = []
        set_aside = 0
        for record in records:
            raw_image = record.get("dynamodb", {}).get("NewImage")
            if raw_image is None:
                continue
            try:
                image = from_wire(raw_image)
                # `on_images` gets the image even if its outbox is unreadable.
                images.append(image)
                envelopes = from_outbox(image)
            except (ValueError, TypeError, KeyError) as exc:
                # ValueErrors from json and pydantic. A retry would find the same bytes.
                self._move_to_dead_letters(record, f"unreadable outbox: {type(exc).__name__}", _outbox(raw_image))
                set_aside += 1
                continue
            for envelope in envelopes:
                # First, so that the log line of a failed batch has the ids, too.
                current().add_correlation_id(envelope.correlation_id)
                entry = {
                    "Source": self._event_source,
                    "DetailType": envelope.type,
                    "Detail": envelope.model_dump_json(),
                    "EventBusName": self.bus,
                }
                if _size(entry) > MAX_ENTRY_BYTES:
                    # Without the outbox: the other events in it are published, and it would not fit into a message.
                    self._move_to_dead_letters(record, f"too large for the bus: {envelope.type} {envelope.id}", None)
                    set_aside += 1
                else:
                    entries.append(entry)
        # Before publishing, so that it also happens while the bus refuses events.
        if self.on_images is not None:
            self.on_images(images)
        for request in _requests(entries):
            self._put(request)
        return len(entries), set_aside

    def _put(self, entries: Sequence[Any]) -> None:
        answer = aws.events().put_events(Entries=list(entries))
        if answer.get("FailedEntryCount"):
            codes = sorted({e.get("ErrorCode", "") for e in answer["Entries"] if e.get("ErrorCode")})
            count("PublishFailed", answer["FailedEntryCount"])
            raise PublishFailed(", ".join(codes))

    def _move_to_dead_letters(self, record: Mapping[str, Any], reason: str, outbox: object) -> None:
        count("EventSetAside")
        letter = {
            "source": self._event_source,
            "stream_event_id": record.get("eventID"),
            "keys": record.get("dynamodb", {}).get("Keys"),
            "outbox": outbox,
        }
        attributes = {
            "reason": reason,
            "consumer": f"publisher of {self._event_source}",
            "correlation_id": current().correlation_id,
            "set_aside_at": to_rfc3339(SystemClock().now()),
        }
        url = aws.sqs().get_queue_url(QueueName=self.dead_letters)["QueueUrl"]
        aws.send_dead_letter(url, json.dumps(letter, default=str), attributes)


def _requests(entries: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Splits the entries, in order, into as few requests as the limits of the bus allow."""
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


def _outbox(raw_image: object) -> object:
    """The outbox as stored; None when there is none or it is too large for a queue message."""
    found = raw_image.get(OUTBOX_ATTRIBUTE) if isinstance(raw_image, Mapping) else None
    fits = found is None or len(json.dumps(found, default=str).encode()) < MAX_ENTRY_BYTES - _LETTER_OVERHEAD_BYTES
    return found if fits else None


def redrivable_record(letter: Mapping[str, Any]) -> dict[str, Any] | None:
    """A stream record that makes the publisher try a dead letter again. None when the letter holds no outbox.

    Its image has only keys and outbox, so `on_images` ignores it.
    """
    if letter.get("outbox") is None or not isinstance(letter.get("keys"), Mapping):
        return None
    return {
        "eventID": letter.get("stream_event_id"),
        "dynamodb": {"Keys": letter["keys"], "NewImage": {**letter["keys"], OUTBOX_ATTRIBUTE: letter["outbox"]}},
    }
