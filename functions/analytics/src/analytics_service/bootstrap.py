"""Builds the service's object graph, once per process and when first needed."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from analytics_service.adapters.aliases import DynamoAliases
from analytics_service.adapters.counter_reader import DynamoCounterReader
from analytics_service.adapters.dynamodb import DynamoLedger
from analytics_service.adapters.generations import CachedGenerations, DynamoGenerations
from analytics_service.application.apply_events import ApplyEvents, HotCounters
from analytics_service.application.rebuild import Rebuild
from analytics_service.application.reports import Reports
from analytics_service.application.title_names import TitleNames
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
def _generations() -> CachedGenerations:
    return CachedGenerations(DynamoGenerations(_table()), time.monotonic)


@cache
def _catalogue() -> "HttpCatalogue":
    # Imported only when a name is missing, so that the first report of a process does not wait for it.
    from analytics_service.adapters.catalogue import HttpCatalogue  # noqa: PLC0415 - see above
    from library_common.service_calls import service_client  # noqa: PLC0415 - see above
    from library_common.service_client import Timeouts  # noqa: PLC0415 - see above

    # A missing name is a small loss: after two failures reports do without names for a while.
    timeouts = Timeouts(connect=0.5, answer=1.0, breaker_failures=2, breaker_pause=30.0)
    return HttpCatalogue(service_client("books", timeouts=timeouts))


@cache
def reports() -> Reports:
    """What the HTTP API uses."""
    return Reports(
        counters=DynamoCounterReader(_table(), _generations()),
        title_names=TitleNames(
            catalogue=_catalogue,
            # A report must not wait for this write, so there are no pauses between its attempts.
            apply_events=replace(apply_events(), sleep=lambda _seconds: None),
            monotonic=time.monotonic,
        ),
        aliases=DynamoAliases(_table()),
        calendar=calendar_of(settings().library_time_zone),
        clock=SystemClock(),
    )


@cache
def apply_events() -> ApplyEvents:
    """What the consumer uses."""
    return ApplyEvents(
        ledger=DynamoLedger(_table(), SystemClock()),
        aliases=DynamoAliases(_table()),
        generations=_generations(),
        calendar=calendar_of(settings().library_time_zone),
        sleep=time.sleep,
        hot=HotCounters(time.monotonic),
    )


def rebuild(seconds_left: Callable[[], float]) -> Rebuild:
    """What the rebuild function uses."""
    return Rebuild(generations=DynamoGenerations(_table()), clock=SystemClock(), seconds_left=seconds_left)
