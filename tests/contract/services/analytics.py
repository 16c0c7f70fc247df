"""Analytics for the contract tests: with a loan counted; how it reads events."""

import analytics_service.http
from analytics_service.adapters.aliases import DynamoAliases
from analytics_service.adapters.counter_reader import DynamoCounterReader
from analytics_service.adapters.dynamodb import DynamoLedger
from analytics_service.application.apply_events import ApplyEvents
from analytics_service.application.reports import Reports
from analytics_service.domain.incoming_events import parse_event
from library_common import aws
from library_common.consumers import read_delivery
from library_common.dynamodb import Table
from library_common.ids import new_id
from tests.contract.filled_services import NotUsed, Running
from tests.contract.in_process import InProcess
from tests.fakes.analytics import Counting, created, title_names
from tests.support.clock import FixedClock
from tests.support.shared_api import api_on


def running(stack: InProcess) -> Running:
    """The analytics service, which has counted one loan."""
    counting = Counting(clock=FixedClock())
    table = Table(stack.refs["AnalyticsTable"], aws.dynamodb)
    counters, aliases = DynamoCounterReader(table, counting.generations), DynamoAliases(table)
    ledger = DynamoLedger(table, counting.clock)
    apply_events = ApplyEvents(
        ledger, aliases, counting.generations, counting.calendar, counting.clock.sleep, counting.hot
    )
    user_id = new_id()
    apply_events.apply([created(new_id(), "2026-11-20T09:00:00Z", "2026-12-04T20:59:59Z", user=user_id)])
    reports = Reports(counters, title_names(apply_events), aliases, counting.calendar, counting.clock)
    return Running(api_on(analytics_service.http.build, reports), {"user_id": user_id})


def counted(body: str) -> object:
    """As analytics understands it.

    What version 1 of BookUpdated leaves out it cannot count, and copies that neither came nor went it need not.
    """
    envelope = read_delivery(body).message.envelope
    change = parse_event(envelope.type, envelope.id, envelope.occurred_at, envelope.data)
    if change is None and (envelope.type, envelope.version) not in {("BookUpdated", 1), ("CopyStatusChanged", 1)}:
        raise NotUsed(envelope.type)
    return change


UNDERSTANDS = {"AnalyticsRule": counted, "AnalyticsCopiesRule": counted}
