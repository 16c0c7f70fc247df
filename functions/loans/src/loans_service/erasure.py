"""The consumer of the bus: members who were erased, whose closed loans then name nobody."""

import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from library_common.consumers import Consumer, Delivery, PoisonMessage, Queue, data_of, read_delivery
from library_common.context import current
from library_common.ids import ID_PATTERN
from library_common.settings import ConsumerSettings
from loans_service import bootstrap

if TYPE_CHECKING:
    from loans_service.application.erasing import Erasing

SOURCE = "library.users"
"""Nobody else says who is erased: what follows cannot be undone."""

SECONDS = 40.0
"""Of the function's 60 s, for one member. Some thousand loans fit in; with more it takes several deliveries."""


class MemberErased(BaseModel):
    """What of the event matters here."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    user_id: Annotated[str, Field(pattern=f"^{ID_PATTERN.pattern}$")]


class LoansLeft(Exception):
    """Some loans still name the member; they are the next delivery's."""


def erased_member(delivery: Delivery) -> MemberErased:
    """Who was erased. A replay from the archive says it once more, which does no harm. Raises PoisonMessage."""
    if delivery.source != SOURCE:
        raise PoisonMessage("it comes from another service than such events do")
    return data_of(delivery, MemberErased)


def consumer(
    erasing: "Callable[[], Erasing]", queue: Queue, monotonic: Callable[[], float] = time.monotonic
) -> Consumer[Delivery]:
    """Forgets every member it hears of with what `erasing` answers."""

    def handle(delivery: Delivery) -> str:
        member = erased_member(delivery)
        done = erasing().erase(member.user_id, until=monotonic() + SECONDS)
        current().log_fields |= {
            "forgotten": str(done.forgotten),
            "still_open": str(done.open),
            "failed": str(done.failed),
        }
        if done.timed_out or done.failed:
            raise LoansLeft
        return "open loans left" if done.open else "member forgotten"

    return Consumer("erasures", service="loans", queue=queue, read=read_delivery, handle=handle)


@cache
def _consumer() -> Consumer[Delivery]:
    settings = ConsumerSettings()
    return consumer(bootstrap.erasing, Queue(settings.queue_url, settings.dead_letters_url))


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Lambda entry for SQS batches; answers which messages failed and are to come again."""
    return _consumer()(event, context)
