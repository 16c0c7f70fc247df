"""Builds the service's objects, once per process and when first needed."""

from functools import cache

from library_common import aws
from library_common.clock import SystemClock
from library_common.dynamodb import Table
from library_common.publisher import StreamPublisher
from reviews_service.adapters.dynamodb import DynamoReviews
from reviews_service.application.reviews import Reviews
from reviews_service.settings import ReviewsSettings


@cache
def reviews() -> Reviews:
    """The use cases on the table the environment names."""
    return Reviews(DynamoReviews(Table(ReviewsSettings().table_name, aws.dynamodb)), SystemClock())


@cache
def publisher() -> StreamPublisher:
    """The publisher of this service's stream."""
    settings = ReviewsSettings()
    return StreamPublisher(source="reviews", bus=settings.event_bus_name, dead_letters=settings.publish_dead_letters)
