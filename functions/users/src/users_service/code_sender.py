"""The queue of requests for one-time codes, and of notices: each becomes a message, if there is somebody to read it."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from library_common.consumers import Consumer, ParsedMessage, Queue
from library_common.settings import ConsumerSettings
from users_service import bootstrap
from users_service.adapters.code_queue import from_message
from users_service.application.code_sending import SendCode, SendNotice
from users_service.domain.codes import CodeRequest
from users_service.domain.notices import AddressNotice

PAUSES = (15.0, 30.0, 60.0, 120.0)
"""A code that comes later than ten minutes after it was asked for is not sent at all."""


def consumer(send: SendCode, tell: SendNotice, queue: Queue) -> Consumer[CodeRequest | AddressNotice]:
    """Sends codes with `send` and notices with `tell`."""

    def handle(request: CodeRequest | AddressNotice) -> str:
        return (tell(request) if isinstance(request, AddressNotice) else send(request)).value

    return Consumer("code sender", service="users", queue=queue, read=read_request, handle=handle)


def read_request(body: str) -> ParsedMessage[CodeRequest | AddressNotice]:
    """What a message asks for."""
    request = from_message(body)
    return ParsedMessage(request, request.correlation_id, {"request_id": request.id})


@cache
def _consumer() -> Consumer[CodeRequest | AddressNotice]:
    settings = ConsumerSettings()
    queue = Queue(settings.queue_url, settings.dead_letters_url, retry_delays=PAUSES)
    return consumer(bootstrap.send_code(), bootstrap.send_notice(), queue)


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Lambda entry for SQS batches; answers which messages failed and are to come again."""
    return _consumer()(event, context)
