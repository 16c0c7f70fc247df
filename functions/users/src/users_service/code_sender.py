"""The consumer of requests for one-time codes and notices: it sends the messages."""

from library_common.consumers import Consumer, ParsedMessage, Queue
from library_common.lambda_handler import lambda_handler
from library_common.settings import ConsumerSettings
from users_service import bootstrap
from users_service.adapters.code_queue import from_message
from users_service.application.code_sending import SendCode, SendNotice
from users_service.domain.codes import AddressNotice, CodeRequest

RETRY_DELAYS = (15.0, 30.0, 60.0, 120.0)
"""Seconds. A code is not sent later than ten minutes after it was requested."""


def consumer(send: SendCode, notify: SendNotice, queue: Queue) -> Consumer[CodeRequest | AddressNotice]:
    """Sends codes with `send` and notices with `notify`."""

    def handle(request: CodeRequest | AddressNotice) -> str:
        return (notify(request) if isinstance(request, AddressNotice) else send(request)).value

    return Consumer("code sender", service="users", queue=queue, read=read_request, handle=handle)


def read_request(body: str) -> ParsedMessage[CodeRequest | AddressNotice]:
    """The request in a message."""
    request = from_message(body)
    return ParsedMessage(request, request.correlation_id, {"request_id": request.id})


@lambda_handler
def handler() -> Consumer[CodeRequest | AddressNotice]:
    """Lambda entry for SQS batches; answers which messages failed and are to come again."""
    settings = ConsumerSettings()
    queue = Queue(settings.queue_url, settings.dead_letters_url, retry_delays=RETRY_DELAYS)
    return consumer(bootstrap.send_code(), bootstrap.send_notice(), queue)
