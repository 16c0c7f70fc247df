"""The recovery queue: loans that were left unfinished, looked at a little later."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from library_common.consumers import Consumer, ParsedMessage, Queue
from library_common.settings import ConsumerSettings
from loans_service import bootstrap
from loans_service.application.recovering import Recovering

PAUSES = (30.0, 120.0, 300.0, 900.0)
"""What fails here is loans' own table or queue, since a loan that cannot be finished yet is queued anew: so long an
outage may last before somebody has to redrive.
"""


@dataclass(frozen=True)
class Look:
    """A loan to look at. attempt: how often that was to no avail."""

    loan_id: str
    attempt: int


def read_look(body: str) -> ParsedMessage[Look]:
    """What a message asks for (`adapters.recoveries`)."""
    found = json.loads(body)
    look = Look(str(found["loan_id"]), int(found["attempt"]))
    return ParsedMessage(look, log_fields={"loan_id": look.loan_id})


def consumer(recovering: Recovering, queue: Queue) -> Consumer[Look]:
    """Finishes loans with `recovering`. The outcome `later` is what LoanRecoveryAgeAlarm counts."""

    def handle(look: Look) -> str:
        return "finished" if recovering.recover(look.loan_id, look.attempt) else "later"

    return Consumer("recovery", service="loans", queue=queue, read=read_look, handle=handle)


@cache
def _consumer() -> Consumer[Look]:
    settings = ConsumerSettings()
    return consumer(bootstrap.recovering(), Queue(settings.queue_url, settings.dead_letters_url, retry_delays=PAUSES))


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Lambda entry for SQS batches; answers which messages failed and are to come again."""
    return _consumer()(event, context)
