"""What listens to the bus: for every rule of the template, how its consumer understands what the rule delivers.

A new consumer is a line in `CONSUMERS`. Understanding is what the consumer does with a message before it does anything
with the world: it raises for what it cannot use.
"""

import json
from collections.abc import Callable
from typing import Any

from moto.events.models import EventPattern

from analytics_service.domain.incoming_events import parse_event
from gateway_service.revocations import Revocation
from library_common.consumers import data_of, read_delivery
from library_common.events import SOURCE_PREFIX
from loans_service.erasure import erased_member
from notifications_service.consumer import read_event
from notifications_service.domain.notices import DUE_DATE_EVENTS, notice_of
from notifications_service.domain.templates import own_fields
from tests.architecture.deployment import of_type


class Overheard(Exception):
    """Delivered to somebody who makes nothing of it."""


def counted(body: str) -> object:
    """As analytics understands it.

    What version 1 of BookUpdated leaves out it cannot count, and copies that neither came nor went it need not.
    """
    envelope = read_delivery(body).message.envelope
    change = parse_event(envelope.type, envelope.id, envelope.occurred_at, envelope.data)
    if change is None and (envelope.type, envelope.version) not in {("BookUpdated", 1), ("CopyStatusChanged", 1)}:
        raise Overheard(envelope.type)
    return change


def told(body: str) -> object:
    """As notifications understands it. It hears of every end of sessions and tells of changed passwords only."""
    event = read_event(body).message
    notice = notice_of(event, (1, 7, 14))
    if notice is None:
        if event.type not in {"MemberErased", "SessionsRevoked"}:
            raise Overheard(event.type)
        return None
    needed = {field.name for field in own_fields(notice.kind) if not field.optional}
    needed |= {"loan_id", "due_date"} if event.type in DUE_DATE_EVENTS else set()
    if missing := needed - notice.data.keys():
        raise Overheard(f"{event.type} without {', '.join(sorted(missing))}")
    return notice


CONSUMERS: dict[str, Callable[[str], object]] = {
    "LoanErasureRule": lambda body: erased_member(read_delivery(body).message),
    "SessionsRevokedRule": lambda body: data_of(read_delivery(body).message, Revocation),
    "AnalyticsRule": counted,
    "AnalyticsCopiesRule": counted,
    "NotificationsRule": told,
}
"""By the rule that feeds them."""


def rules() -> dict[str, dict[str, Any]]:
    """The pattern of every rule on our bus."""
    return {
        name: properties["EventPattern"]
        for name, properties in of_type("AWS::Events::Rule").items()
        if "EventPattern" in properties
    }


def delivers(pattern: dict[str, Any], source: str, envelope: dict[str, Any]) -> bool:
    """Whether a rule with this pattern delivers the event, by EventBridge's own rules as moto knows them."""
    event: Any = {"source": SOURCE_PREFIX + source, "detail-type": envelope["type"], "detail": envelope}
    return bool(EventPattern.load(json.dumps(pattern)).matches_event(event))


def lean(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """The event without one of its data's fields, for each of them: a rule may want what lacks one."""
    data = envelope["data"]
    return [{**envelope, "data": {n: value for n, value in data.items() if n != left}} for left in data]


def body(source: str, envelope: dict[str, Any]) -> str:
    """The queue message that a rule makes of an event."""
    return json.dumps(
        {
            "version": "0",
            "id": "5a1e0c5e-0000-4000-8000-000000000002",
            "detail-type": envelope["type"],
            "source": SOURCE_PREFIX + source,
            "account": "000000000000",
            "time": envelope["occurred_at"],
            "region": "us-east-1",
            "resources": [],
            "detail": envelope,
        }
    )


def misunderstandings(source: str, envelope: dict[str, Any]) -> dict[str, str]:
    """Consumers (by their rules) that are sent this event and cannot use it, each with what it says."""
    found: dict[str, str] = {}
    for rule, pattern in rules().items():
        if delivers(pattern, source, envelope):
            try:
                CONSUMERS[rule](body(source, envelope))
            except Exception as failure:  # noqa: BLE001 - whatever it is, the message would be set aside
                found[rule] = f"{type(failure).__name__}: {failure}"
    return found
