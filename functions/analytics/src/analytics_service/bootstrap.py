"""Builds the object graph of analytics once per process, when first needed. The only place that knows every part."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from analytics_service.adapters.dynamodb import DynamoLedger
from analytics_service.adapters.figures import DynamoFigures
from analytics_service.adapters.generations import DynamoGenerations, RememberedGenerations
from analytics_service.adapters.people import DynamoPeople
from analytics_service.application.applying import Applying, HotCounters
from analytics_service.application.naming import Naming
from analytics_service.application.rebuilding import Rebuilding
from analytics_service.application.reporting import Reporting
from analytics_service.domain.days import calendar_of
from analytics_service.settings import AnalyticsSettings
from library_common import aws
from library_common.clock import SystemClock
from library_common.dynamodb import Table

if TYPE_CHECKING:
    from analytics_service.adapters.catalogue import HttpCatalogue


@cache
def settings() -> AnalyticsSettings:
    return AnalyticsSettings()


@cache
def _table() -> Table:
    return Table(settings().table_name, aws.dynamodb)


@cache
def _generations() -> RememberedGenerations:
    return RememberedGenerations(DynamoGenerations(_table()), time.monotonic)


@cache
def _catalogue() -> "HttpCatalogue":
    # Only where a name is missing: the first report of a process need not wait for what it imports.
    from analytics_service.adapters.catalogue import HttpCatalogue  # noqa: PLC0415 - see above
    from library_common.service_calls import service_client  # noqa: PLC0415 - see above
    from library_common.service_client import Timeouts  # noqa: PLC0415 - see above

    # Names are worth little waiting: two failures, and reports do without for a while.
    timeouts = Timeouts(connect=0.5, answer=1.0, breaker_failures=2, breaker_pause=30.0)
    return HttpCatalogue(service_client("books", timeouts=timeouts))


@cache
def reporting() -> Reporting:
    """What the HTTP API uses."""
    return Reporting(
        figures=DynamoFigures(_table(), _generations()),
        naming=Naming(
            catalogue=_catalogue,
            # Somebody waits for the report, and nobody for what is kept: it tries again at once or not at all.
            applying=replace(applying(), sleep=lambda _seconds: None),
            monotonic=time.monotonic,
        ),
        people=DynamoPeople(_table()),
        calendar=calendar_of(settings().library_time_zone),
        clock=SystemClock(),
    )


@cache
def applying() -> Applying:
    """What the consumer uses."""
    return Applying(
        ledger=DynamoLedger(_table(), SystemClock()),
        people=DynamoPeople(_table()),
        generations=_generations(),
        calendar=calendar_of(settings().library_time_zone),
        sleep=time.sleep,
        hot=HotCounters(time.monotonic),
    )


def rebuilding(seconds_left: Callable[[], float]) -> Rebuilding:
    """What the rebuild function uses."""
    return Rebuilding(generations=DynamoGenerations(_table()), clock=SystemClock(), seconds_left=seconds_left)
