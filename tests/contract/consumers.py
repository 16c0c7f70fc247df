"""What listens to the bus: for every rule of the templates, how its consumer understands what the rule delivers.

A new consumer is a line in `UNDERSTANDS` of its service, in `tests/contract/services`.
"""

import json
from collections.abc import Callable
from typing import Any

from moto.events.models import EventPattern

from library_common.events import SOURCE_PREFIX
from tests.architecture.deployment import of_type
from tests.contract import filled_services

CONSUMERS: dict[str, Callable[[str], object]] = {
    rule: understand for rules in filled_services.brought("UNDERSTANDS").values() for rule, understand in rules.items()
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
