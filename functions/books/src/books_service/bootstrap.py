"""Builds the service's object graph, once per process and when first needed."""

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from books_service.adapters.dynamodb import DynamoCatalogue
from books_service.application.barcoding import Barcoding
from books_service.application.cataloguing import Cataloguing
from books_service.application.lending import Lending
from books_service.application.ports import Catalogue
from books_service.application.racing import RetryPolicy
from books_service.application.searching import Searching
from books_service.application.shelving import Shelving
from books_service.domain.barcodes import RandomBelow
from books_service.settings import BooksSettings
from library_common import aws
from library_common.clock import Clock, SystemClock
from library_common.dynamodb import Table
from library_common.ids import new_id
from library_common.publisher import StreamPublisher


@dataclass(frozen=True)
class UseCases:
    """Everything the service can do."""

    cataloguing: Cataloguing
    shelving: Shelving
    lending: Lending
    searching: Searching


def compose(
    catalogue: Catalogue,
    *,
    clock: Clock,
    random_below: RandomBelow = secrets.randbelow,
    sleep: Callable[[float], None] = time.sleep,
    new_book_id: Callable[[], str] = new_id,
    institution: str = "0001",
) -> UseCases:
    """The use cases on a catalogue, with whatever else of the world they need."""
    retries = RetryPolicy(sleep=sleep, jitter=random.random)
    barcoding = Barcoding(institution, random_below)
    return UseCases(
        cataloguing=Cataloguing(catalogue, clock, barcoding, retries, new_book_id),
        shelving=Shelving(catalogue, clock, barcoding, retries),
        lending=Lending(catalogue, clock, random_below, retries),
        searching=Searching(catalogue),
    )


@cache
def use_cases() -> UseCases:
    """The use cases on the table the environment names."""
    settings = BooksSettings()
    catalogue = DynamoCatalogue(Table(settings.table_name, aws.dynamodb))
    return compose(catalogue, clock=SystemClock(), institution=settings.barcode_institution)


@cache
def publisher() -> StreamPublisher:
    """The publisher of this service's stream."""
    settings = BooksSettings()
    return StreamPublisher(source="books", bus=settings.event_bus_name, dead_letters=settings.publish_dead_letters)
