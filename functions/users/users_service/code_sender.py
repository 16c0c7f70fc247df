"""The queue of requests for one-time codes, and of notices: each becomes a message, if there is somebody to read it."""

import time
from collections.abc import Mapping
from typing import Any, cast

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from library_common.context import current, invocation
from library_common.telemetry import count, log_invocation, logger
from users_service import bootstrap
from users_service.adapters.code_queue import QueuedCodeRequests, from_message
from users_service.application.code_sending import SendCode, SendNotice
from users_service.domain.notices import AddressNotice


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Lambda entry for SQS batches; answers which messages failed and are to come again."""
    return send_batch(event, bootstrap.send_code(), bootstrap.send_notice(), bootstrap.code_requests())


def send_batch(event: Mapping[str, Any], send: SendCode, tell: SendNotice, queue: QueuedCodeRequests) -> dict[str, Any]:
    """One bad message does not hold up the others."""

    def work(record: SQSRecord) -> None:
        _work(record, send, tell, queue)

    # An entirely failed batch is answered like any other: an exception would log bodies, and bodies hold addresses.
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    answer = process_partial_response(
        event=dict(event), record_handler=work, processor=processor, context=cast("Any", None)
    )
    return dict(answer)


def _work(record: SQSRecord, send: SendCode, tell: SendNotice, queue: QueuedCodeRequests) -> None:
    started = time.perf_counter()
    status = "failed"
    with invocation():
        try:
            request = from_message(record.body)
            current().correlation_id = request.correlation_id
            current().notes["request_id"] = request.id
            status = (tell(request) if isinstance(request, AddressNotice) else send(request)).value
        except Exception as exc:
            # Only what it was: messages of errors may name the address.
            logger().warning("a code was not sent", extra={"error": _name(exc)})
            queue.later(record.receipt_handle, received=int(record.attributes.approximate_receive_count))
            raise
        finally:
            count("CodeRequest", outcome=status, service="users")
            log_invocation("code sender", status=status, duration_ms=(time.perf_counter() - started) * 1000)


def _name(error: Exception) -> str:
    code = getattr(error, "response", {}).get("Error", {}).get("Code")
    return f"{type(error).__name__} {code}" if code else type(error).__name__
