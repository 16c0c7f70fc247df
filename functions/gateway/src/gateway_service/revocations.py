"""The consumer of SessionsRevoked: from the bus through a queue into the gateway's table.

Events may come twice, late or in any order: only the highest epoch of each member is stored, so the events themselves
need not be remembered.
"""

from collections.abc import Callable

from pydantic import BaseModel, Field

from gateway_service.revoked_epochs import RevokedEpochs
from library_common import aws
from library_common.clock import SystemClock
from library_common.consumers import Consumer, Delivery, Queue, data_of, read_delivery
from library_common.dynamodb import Table
from library_common.lambda_handler import lambda_handler
from library_common.settings import ConsumerSettings


class Revocation(BaseModel):
    """What the gateway needs of SessionsRevoked: tokens of an epoch before `epoch` are no longer good."""

    user_id: str = Field(min_length=1)
    epoch: int = Field(ge=0)


def consumer(revoke_before: Callable[[str, int], bool], queue: Queue) -> Consumer[Delivery]:
    """Stores revocations. revoke_before: `RevokedEpochs.revoke_before`."""

    def store(delivery: Delivery) -> str:
        revocation = data_of(delivery, Revocation)
        return "revoked" if revoke_before(revocation.user_id, revocation.epoch) else "known already"

    return Consumer("revocations", service="gateway", queue=queue, read=read_delivery, handle=store)


@lambda_handler
def handler() -> Consumer[Delivery]:
    """Lambda entry for SQS batches; answers which messages failed and are to come again."""
    settings = ConsumerSettings()
    revoked = RevokedEpochs(Table(settings.table_name, aws.dynamodb), SystemClock())
    return consumer(revoked.revoke_before, Queue(settings.queue_url, settings.dead_letters_url))
