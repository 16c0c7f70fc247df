"""Builds the service's object graph, once per process and when first needed."""

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from books_service.adapters.dynamodb import DynamoCatalogue
from books_service.application.copies import CopyManagement
from books_service.application.optimistic_retries import OptimisticRetries
from books_service.application.ports import Catalogue
from books_service.application.reservations import CopyReservations
from books_service.application.titles import TitleManagement
from books_service.domain.barcodes import BarcodeGenerator, RandomBelow
from books_service.settings import BooksSettings
from library_common import aws
from library_common.clock import Clock, SystemClock
from library_common.dynamodb import Table
from library_common.ids import new_id


@dataclass(frozen=True)
class UseCases:
    """Everything the service can do."""

    titles: TitleManagement
    copies: CopyManagement
    reservations: CopyReservations


def compose(
    catalogue: Catalogue,
    *,
    clock: Clock,
    random_below: RandomBelow = secrets.randbelow,
    sleep: Callable[[float], None] = time.sleep,
    new_book_id: Callable[[], str] = new_id,
    institution: str = "0001",
) -> UseCases:
    """The use cases on a catalogue. institution: the four digits in generated barcodes."""
    retries = OptimisticRetries(sleep=sleep, jitter=random.random)
    barcodes = BarcodeGenerator(institution, random_below)
    return UseCases(
        titles=TitleManagement(catalogue, clock, barcodes, retries, new_book_id),
        copies=CopyManagement(catalogue, clock, barcodes, retries),
        reservations=CopyReservations(catalogue, clock, random_below, retries),
    )


@cache
def use_cases() -> UseCases:
    """The use cases on the table the environment names."""
    settings = BooksSettings()
    catalogue = DynamoCatalogue(Table(settings.table_name, aws.dynamodb))
    return compose(catalogue, clock=SystemClock(), institution=settings.barcode_institution)
