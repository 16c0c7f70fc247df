"""The consumer of the recovery queue: loans that were left unfinished."""

import json
from dataclasses import dataclass

from library_common.consumers import Consumer, ParsedMessage, Queue
from library_common.lambda_handler import lambda_handler
from library_common.settings import ConsumerSettings
from library_common.telemetry import emit_metric
from loans_service import bootstrap
from loans_service.application.recovery import Recovery

RETRY_DELAYS = (30.0, 120.0, 300.0, 900.0)
"""A loan that cannot be finished yet is queued again, so a failure here means that the table or the queue of loans is
down. After an outage that is longer than these pauses somebody has to redrive the messages.
"""


@dataclass(frozen=True)
class RecoveryRequest:
    """A loan to look at. attempt: how many attempts failed."""

    loan_id: str
    attempt: int


def read_request(body: str) -> ParsedMessage[RecoveryRequest]:
    """The content of a message (`adapters.recoveries`)."""
    found = json.loads(body)
    request = RecoveryRequest(str(found["loan_id"]), int(found["attempt"]))
    return ParsedMessage(request, log_fields={"loan_id": request.loan_id})


def consumer(use_case: Recovery, queue: Queue) -> Consumer[RecoveryRequest]:
    """Finishes loans with `use_case`."""

    def handle(request: RecoveryRequest) -> str:
        if use_case.recover(request.loan_id, request.attempt):
            return "finished"
        emit_metric("LoansStillUnfinished", service="loans")  # LoanRecoveryAgeAlarm
        return "later"

    return Consumer("recovery", service="loans", queue=queue, read=read_request, handle=handle)


@lambda_handler
def handler() -> Consumer[RecoveryRequest]:
    """Lambda entry for SQS batches; answers which messages failed and are to come again."""
    settings = ConsumerSettings()
    return consumer(
        bootstrap.recovery(), Queue(settings.queue_url, settings.dead_letters_url, retry_delays=RETRY_DELAYS)
    )
