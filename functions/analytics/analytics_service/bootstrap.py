"""Builds the object graph of analytics once per process, when first needed. The only place that knows every part."""

import time
from collections.abc import Callable
from functools import cache

from analytics_service.adapters.dynamodb import DynamoLedger
from analytics_service.adapters.figures import DynamoFigures
from analytics_service.adapters.generations import DynamoGenerations, RememberedGenerations
from analytics_service.adapters.people import DynamoPeople
from analytics_service.application.applying import Applying, HotCounters
from analytics_service.application.rebuilding import Rebuilding
from analytics_service.application.reporting import Reporting
from analytics_service.domain.days import calendar_of
from analytics_service.settings import AnalyticsSettings
from library_common import aws
from library_common.clock import SystemClock
from library_common.dynamodb import Table


@cache
def settings() -> AnalyticsSettings:
    return AnalyticsSettings()


@cache
def _table() -> Table:
    return Table(settings().table_name, aws.dynamodb)


@cache
def reporting() -> Reporting:
    """What the HTTP API uses."""
    view = RememberedGenerations(DynamoGenerations(_table()), time.monotonic)
    return Reporting(
        figures=DynamoFigures(_table(), view),
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
        generations=RememberedGenerations(DynamoGenerations(_table()), time.monotonic),
        calendar=calendar_of(settings().library_time_zone),
        sleep=time.sleep,
        hot=HotCounters(time.monotonic),
    )


def rebuilding(seconds_left: Callable[[], float]) -> Rebuilding:
    """What the rebuild function uses."""
    return Rebuilding(generations=DynamoGenerations(_table()), clock=SystemClock(), seconds_left=seconds_left)
