"""The consumer of MemberErased: anonymises the closed loans of erased members."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from library_common.consumers import Consumer, Delivery, PoisonMessage, Queue, data_of, read_delivery
from library_common.context import current
from library_common.ids import ID_PATTERN
from library_common.lambda_handler import lambda_handler
from library_common.settings import ConsumerSettings
from loans_service import bootstrap

if TYPE_CHECKING:
    from loans_service.application.account_erasure import AccountErasure

SOURCE = "library.users"
"""No other service may say who is erased, because the effect cannot be undone."""

SECONDS = 40.0
"""Of the function's 60 s, for one member. That is enough for some thousand loans; more take several deliveries."""


class MemberErased(BaseModel):
    """The part of the event that is needed here."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    user_id: Annotated[str, Field(pattern=f"^{ID_PATTERN.pattern}$")]


class LoansLeft(Exception):
    """Some loans still name the member. The next delivery of the message continues."""


def erased_member(delivery: Delivery) -> MemberErased:
    """The member who was erased. A replay from the archive is handled like the first delivery. Raises PoisonMessage."""
    if delivery.source != SOURCE:
        raise PoisonMessage("MemberErased is accepted from users only")
    return data_of(delivery, MemberErased)


def consumer(
    account_erasure: "Callable[[], AccountErasure]", queue: Queue, monotonic: Callable[[], float] = time.monotonic
) -> Consumer[Delivery]:
    """Erases members with the use case that `account_erasure` returns."""

    def handle(delivery: Delivery) -> str:
        member = erased_member(delivery)
        done = account_erasure().erase(member.user_id, until=monotonic() + SECONDS)
        current().log_fields |= {
            "anonymised": str(done.anonymised),
            "still_open": str(done.still_open),
            "failed": str(done.failed),
        }
        if done.timed_out or done.failed:
            raise LoansLeft
        return "open loans left" if done.still_open else "member erased"

    return Consumer("erasures", service="loans", queue=queue, read=read_delivery, handle=handle)


@lambda_handler
def handler() -> Consumer[Delivery]:
    """Lambda entry for SQS batches; answers which messages failed and are to come again."""
    settings = ConsumerSettings()
    return consumer(bootstrap.account_erasure, Queue(settings.queue_url, settings.dead_letters_url))
