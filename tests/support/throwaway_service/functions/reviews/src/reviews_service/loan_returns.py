"""The consumer of LoanReturned: members may review what they returned."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from library_common.consumers import Consumer, Delivery, Queue, data_of, read_delivery
from reviews_service import bootstrap
from reviews_service.application.reviews import Reviews
from reviews_service.settings import ReviewsSettings


class LoanReturned(BaseModel):
    """The part of the event that is needed here."""

    user_id: str
    book_id: str


def consumer(reviews: Reviews, queue: Queue) -> Consumer[Delivery]:
    """Stores what was returned."""

    def handle(delivery: Delivery) -> str:
        returned = data_of(delivery, LoanReturned)
        return "stored" if reviews.title_returned(returned.user_id, returned.book_id) else "known already"

    return Consumer("review invitations", service="reviews", queue=queue, read=read_delivery, handle=handle)


@cache
def _consumer() -> Consumer[Delivery]:
    settings = ReviewsSettings()
    return consumer(bootstrap.reviews(), Queue(settings.queue_url, settings.dead_letters_url))


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Lambda entry for SQS batches; answers which messages failed and are to come again."""
    return _consumer()(event, context)
