"""Notifications and the bus: the rule delivers what the code understands, and what is delivered is understood."""

import json
from pathlib import Path
from typing import Any

import pytest

from library_common.events import SOURCE_PREFIX
from notifications_service.consumer import read_event
from notifications_service.domain.notices import EVENT_RULES, MEMBER_ERASED, notice_of
from notifications_service.domain.templates import own_fields
from tests.architecture.deployment import of_type
from tests.contract.event_schemas import read, sample_files

pytestmark = pytest.mark.contract

UNDERSTOOD = {(rule.source, type_) for type_, rule in EVENT_RULES.items()} | {MEMBER_ERASED}


def pattern() -> dict[str, Any]:
    rules = of_type("AWS::Events::Rule")
    found: dict[str, Any] = rules["NotificationsRule"]["EventPattern"]
    return found


def told_samples() -> list[Path]:
    return [p for p in sample_files() if (SOURCE_PREFIX + p.parent.name, read(p)["type"]) in UNDERSTOOD]


def test_the_rule_delivers_exactly_what_the_code_understands() -> None:
    assert pattern().keys() == {"source", "detail-type"}
    assert sorted(pattern()["detail-type"]) == sorted(type_ for _, type_ in UNDERSTOOD)
    assert set(pattern()["source"]) == {source for source, _ in UNDERSTOOD}


@pytest.mark.parametrize("path", told_samples(), ids=lambda path: path.stem)
def test_a_sample_is_understood_with_everything_that_the_wording_can_show(path: Path) -> None:
    sample = read(path)

    incoming = read_event(json.dumps({"detail": sample})).message

    assert incoming.user_id == sample["data"]["user_id"]
    notice = notice_of(incoming, (1, 7, 14))
    if notice is not None:
        shown = {field.name for field in own_fields(notice.kind)} & sample["data"].keys()
        assert shown <= notice.data.keys()


def test_the_samples_are_of_all_that_is_produced() -> None:
    assert {"LoanCreated", "LoanRenewed", "LoanReturned", "MemberRegistered", "MemberErased"} <= {
        read(path)["type"] for path in told_samples()
    }
