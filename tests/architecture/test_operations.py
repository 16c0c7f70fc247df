"""Whoever operates the library finds every alarm and every parameter explained, and is told when an alarm rings."""

import re
from typing import Any

import pytest

from localstack.embedded import template
from localstack.embedded.layout import ROOT
from tests.architecture.deployment import load

pytestmark = pytest.mark.architecture

PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
ALARM = "AWS::CloudWatch::Alarm"


def rows(heading: str, cells: int) -> dict[str, list[str]]:
    """First cell -> the others, of the table under a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines() if line[:1] == "|"
    ]
    return {row[0].strip("`| "): row[1:] for row in found[2:] if len(row) == cells}


def defaults() -> dict[str, str]:
    return {name: str(parameter["Default"]) for name, parameter in load()["Parameters"].items()}


def test_every_parameter_has_a_row_with_its_default() -> None:
    documented = rows("Deploying to AWS", 3)

    assert documented.keys() == defaults().keys()
    told = {name: re.sub("`|^none$|^$", "", row[0]) for name, row in documented.items()}
    assert told == defaults()


def test_every_alarm_has_a_row_that_says_what_to_do() -> None:
    alarms = {name.removesuffix("Alarm") for name in template.resources_of(load(), ALARM)}
    documented = rows("When an alarm rings", 3)

    assert documented.keys() == alarms
    assert all(all(row) for row in documented.values())


def test_every_alarm_tells_the_operator_if_there_is_one() -> None:
    told: dict[str, Any] = {"Fn::If": ["HasAlarmEmail", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
    alarms = template.resources_of(load(), ALARM)

    assert {name for name, alarm in alarms.items() if alarm.get("AlarmActions") != told} == set()


def test_cloudwatch_may_publish_to_the_topic_which_no_key_hides_from_it() -> None:
    resources = load()["Resources"]
    (policy,) = resources["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]

    assert policy["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert policy["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert "KmsMasterKeyId" not in resources["AlarmTopic"]["Properties"]
    topic = [resources[name].get("Condition") for name in ("AlarmTopic", "AlarmSubscription", "AlarmTopicPolicy")]
    assert set(topic) == {"HasAlarmEmail"}
