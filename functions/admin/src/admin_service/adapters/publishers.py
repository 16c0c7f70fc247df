"""The publishers: handed records once more, by being invoked as their streams would.

So there is one way only in which events get onto the bus, and whatever else hangs on a stream sees the records, too.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from admin_service.application.ports import NotPublished
from admin_service.domain.dead_letters import Outcome, StreamBatch
from library_common import aws
from library_common.events import SOURCE_PREFIX

_GONE = frozenset({"TrimmedDataAccessException", "ResourceNotFoundException", "ExpiredIteratorException"})
_NO_LONGER_THERE = "The stream keeps its records for a day; these are no longer there."
_NOT_ALL_THERE = "Not all of its records could be read from the stream. Try again."
_MAX_REQUEST_BYTES = 4 * 1024 * 1024
"""Lambda takes six megabytes."""

_EMPTY_ANSWERS = 5
"""A shard may answer nothing for a while although there is more."""


class _Publisher(BaseModel):
    function: str
    table: str


class LambdaPublishers:
    """Implements `application.ports.Publishers`. read: service, and a JSON document with function and table, of each
    publisher there is.
    """

    def __init__(self, read: Callable[[], Iterable[tuple[str, str]]]) -> None:
        self._read = read

    def publish_again(self, source: str, record: Mapping[str, Any]) -> None:
        self._invoke(self._function(lambda name, _: name == source), record)

    def publish_batch_again(self, batch: StreamBatch) -> None:
        function = self._function(lambda _, publisher: publisher.table == batch.table)
        for records in _requests(_records(batch)):
            self._invoke(function, *records)

    def _function(self, is_wanted: Callable[[str, _Publisher], bool]) -> str:
        """The function of the publisher of which this is true; it is given the source of its events, too."""
        for service, text in self._read():
            publisher = _Publisher.model_validate_json(text)
            if is_wanted(SOURCE_PREFIX + service, publisher):
                return publisher.function
        raise NotPublished(Outcome.UNREADABLE, "The message comes from an unknown publisher.")

    def _invoke(self, function: str, *records: Mapping[str, Any]) -> None:
        """What the publisher sets aside once more is in the queue anew then, with the reason it has now."""
        answer = aws.lambda_().invoke(FunctionName=function, Payload=_payload(records))
        if answer.get("FunctionError"):
            raise NotPublished(Outcome.FAILED, "The publisher failed; its log says why.")


def _payload(records: Sequence[Mapping[str, Any]]) -> bytes:
    return json.dumps({"Records": list(records)}, default=str).encode()


def _requests(records: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """The records in order, in requests that Lambda takes. One record is an item at most, 400 KB."""
    request: list[Mapping[str, Any]] = []
    for record in records:
        if request and len(_payload([*request, record])) > _MAX_REQUEST_BYTES:
            yield request
            request = []
        request.append(record)
    if request:
        yield request


def _records(batch: StreamBatch) -> Iterator[dict[str, Any]]:
    """The records of a batch, from first to last. Raises NotPublished."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - a tenth of a second that imports must not pay

    streams = aws.dynamodb_streams()
    try:
        iterator: str | None = streams.get_shard_iterator(
            StreamArn=batch.stream_arn,
            ShardId=batch.shard_id,
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=batch.first,
        )["ShardIterator"]
        reached, empty = 0, 0
        while iterator is not None and empty < _EMPTY_ANSWERS:
            answer = streams.get_records(ShardIterator=iterator)
            for record in answer["Records"]:
                reached = int(record["dynamodb"]["SequenceNumber"])
                if reached <= int(batch.last):
                    yield {**record}
                if reached >= int(batch.last):
                    return
            empty = 0 if answer["Records"] else empty + 1
            iterator = answer.get("NextShardIterator")
        if not reached:
            raise NotPublished(Outcome.GONE, _NO_LONGER_THERE)
        # The letter must stay: the rest of its records may still be there.
        raise NotPublished(Outcome.FAILED, _NOT_ALL_THERE)
    except ClientError as refused:
        if refused.response["Error"]["Code"] in _GONE:
            raise NotPublished(Outcome.GONE, _NO_LONGER_THERE) from refused
        raise
