"""The consumer of SessionsRevoked: from the bus, by way of a queue, into the gateway's table.

Events may come twice, late or in any order: what is kept is the highest epoch of each member, so nothing has
to be remembered about the events themselves.
"""

import time
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from pydantic import BaseModel, Field

from gateway_service.revoked_epochs import RevokedEpochs
from gateway_service.settings import RevocationSettings
from library_common import aws
from library_common.clock import SystemClock
from library_common.context import accepted_correlation_id, invocation
from library_common.dynamodb import Table
from library_common.events import Envelope
from library_common.telemetry import count, log_invocation, logger


class Epochs(Protocol):
    """Where revocations are noted: `gateway_service.revoked_epochs.RevokedEpochs`."""

    def revoke_before(self, user_id: str, epoch: int) -> bool: ...


class Delivery(BaseModel):
    """A queue message as EventBridge makes it of an event."""

    detail: Envelope


class Revocation(BaseModel):
    """What the gateway needs of SessionsRevoked, whatever the reason: tokens of an epoch before `epoch` are over."""

    user_id: str = Field(min_length=1)
    epoch: int = Field(ge=0)


@cache
def _revoked() -> RevokedEpochs:
    return RevokedEpochs(Table(RevocationSettings().table_name, aws.dynamodb), SystemClock())


def handler(event: Mapping[str, Any], context: object) -> Any:
    """Lambda entry for SQS batches; answers which messages failed and are to come again."""
    return consume(event, context, _revoked())


def consume(event: Mapping[str, Any], context: object, revoked: Epochs) -> Any:
    """One bad message does not hold up the others; one that stays bad ends in the dead-letter queue."""

    def record_handler(record: SQSRecord) -> None:
        _consume_one(record.body, revoked)

    # Every message failing is no reason for an exception: the answer says so, and the log has said why.
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(
        event=dict(event),
        record_handler=record_handler,
        processor=processor,
        context=context,  # type: ignore[arg-type]
    )


def _consume_one(body: str, revoked: Epochs) -> None:
    started = time.perf_counter()
    status = "failed"
    with invocation(actor="service:gateway") as record:
        try:
            envelope = Delivery.model_validate_json(body).detail
            record.correlation_id = accepted_correlation_id(envelope.correlation_id)
            record.notes["event_id"] = envelope.id
            revocation = Revocation.model_validate(envelope.data)
            status = "revoked" if revoked.revoke_before(revocation.user_id, revocation.epoch) else "known already"
        except Exception:
            logger().exception("revocation failed")
            raise
        finally:
            count("Revocation", outcome=status)
            log_invocation("revocations", status=status, duration_ms=(time.perf_counter() - started) * 1000)
