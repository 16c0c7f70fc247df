"""Whoever operates the library finds every alarm and every parameter explained, and is told when an alarm rings."""

import ast
import re
from typing import Any

import pytest

from library_common.telemetry import NAMESPACE
from localstack.embedded import template
from localstack.embedded.layout import ROOT
from tests.architecture.deployment import load, of_type
from tests.architecture.sources import deployed

pytestmark = pytest.mark.architecture

PAGES = [ROOT / "docs/operations.md", *sorted(ROOT.glob("functions/*/operations.md"))]
ALARM = "AWS::CloudWatch::Alarm"


def rows(heading: str, cells: int) -> dict[str, list[str]]:
    """First cell -> the others, of the tables under a heading of docs/operations.md or of a service's own page."""
    found: dict[str, list[str]] = {}
    for page in PAGES:
        for section in re.split(r"\n#+ ", page.read_text(encoding="utf-8")):
            if section.partition("\n")[0] == heading:
                table = [line.strip("|").split(" | ") for line in section.splitlines() if line[:1] == "|"]
                rows = [[cell.strip() for cell in row] for row in table[2:]]
                found |= {row[0].strip("`| "): row[1:] for row in rows if len(row) == cells}
    return found


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


def test_every_dead_letter_queue_and_every_job_has_a_row_that_says_what_to_do() -> None:
    queues = {name for name in template.resources_of(load(), "AWS::SQS::Queue") if name.endswith("DeadLetters")}
    jobs = {found["FunctionName"]["Ref"] for found in of_type("AWS::Lambda::EventInvokeConfig").values()}

    assert rows("What is in the dead letters", 3).keys() - {"job"} == queues | jobs


def test_there_are_at_most_ten_alarms() -> None:
    """As many as are free of charge; what a further alarm would watch, one of these can often watch, too."""
    assert len(template.resources_of(load(), ALARM)) <= 10


def test_alarms_watch_exactly_the_metrics_that_the_code_sends() -> None:
    """Any other metric would cost money by the hour, and any other alarm would never ring."""
    sent = set()
    for module in deployed():
        for call in ast.walk(module.tree):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "emit_metric"):
                continue
            (service,) = [keyword.value for keyword in call.keywords if keyword.arg == "service"]
            sent.add((ast.literal_eval(call.args[0]), (("service", ast.literal_eval(service)),)))
    watched = {
        (alarm["MetricName"], tuple((found["Name"], found["Value"]) for found in alarm["Dimensions"]))
        for alarm in of_type(ALARM).values()
        if alarm["Namespace"] == NAMESPACE
    }

    assert sent == watched


def test_nothing_else_sends_metrics() -> None:
    senders = {
        module.name
        for module in deployed()
        if "aws_lambda_powertools.metrics" in module.text or "single_metric" in module.text
    }

    assert senders == {"library_common.telemetry"}


def test_every_alarm_tells_the_operator_if_there_is_one() -> None:
    topic = "arn:${AWS::Partition}:sns:${AWS::Region}:${AWS::AccountId}:${System}-alarms"
    told: list[dict[str, Any]] = [{"Fn::Sub": topic}]
    alarms = template.resources_of(load(), ALARM)

    assert load()["Resources"]["AlarmTopic"]["Properties"]["TopicName"] == {"Fn::Sub": "${System}-alarms"}

    assert {name for name, alarm in alarms.items() if alarm.get("AlarmActions") != told} == set()


def test_cloudwatch_may_publish_to_the_topic_which_no_key_hides_from_it() -> None:
    resources = load()["Resources"]
    (policy,) = resources["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]

    assert policy["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert policy["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert "KmsMasterKeyId" not in resources["AlarmTopic"]["Properties"]
    assert resources["AlarmSubscription"]["Condition"] == "HasAlarmEmail"
