"""What listens to the bus: for every rule of the template, how its consumer understands what the rule delivers.

A new consumer is a line in `CONSUMERS`. Understanding is what the consumer does with a message before it does anything
with the world: it raises for what it cannot use.
"""

import json
from collections.abc import Callable
from typing import Any

from moto.events.models import EventPattern

from gateway_service.revocations import Revocation
from library_common.consumers import Delivery, data_of, read_delivery
from library_common.events import SOURCE_PREFIX
from localstack.embedded import template
from localstack.embedded.layout import TEMPLATE

CONSUMERS: dict[str, Callable[[Delivery], object]] = {
    "SessionsRevokedRule": lambda delivery: data_of(delivery, Revocation),
}
"""By the rule that feeds them."""


def rules() -> dict[str, dict[str, Any]]:
    """The pattern of every rule on our bus."""
    return {
        name: properties["EventPattern"]
        for name, properties in template.resources_of(template.load(TEMPLATE), "AWS::Events::Rule").items()
        if "EventPattern" in properties
    }


def delivers(pattern: dict[str, Any], source: str, envelope: dict[str, Any]) -> bool:
    """Whether a rule with this pattern delivers the event, by EventBridge's own rules as moto knows them."""
    event: Any = {"source": SOURCE_PREFIX + source, "detail-type": envelope["type"], "detail": envelope}
    return bool(EventPattern.load(json.dumps(pattern)).matches_event(event))


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
                CONSUMERS[rule](read_delivery(body(source, envelope)).message)
            except Exception as failure:  # noqa: BLE001 - whatever it is, the message would be set aside
                found[rule] = f"{type(failure).__name__}: {failure}"
    return found
