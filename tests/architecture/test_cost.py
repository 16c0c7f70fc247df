"""What the library costs, as docs/architecture.md says, is what the templates, the bench and the prices make of it."""

import copy
import re
from typing import Any

import pytest

from localstack.embedded import template
from tests.architecture.deployment import of_type, stacks
from tests.performance import cost
from tests.performance.cost import System

pytestmark = pytest.mark.architecture

FREE = {
    "AWS::ApiGateway::GatewayResponse",
    "AWS::Events::EventBus",
    "AWS::Events::Rule",
    "AWS::IAM::Policy",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Permission",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::Serverless::LayerVersion",
    "Custom::FirstAdministrator",
    "Custom::ServiceIdentity",
    "Custom::TokenKeys",
}
"""What costs nothing by being there."""

OFF_BY_DEFAULT = {"AWS::WAFv2::WebACL", "AWS::WAFv2::WebACLAssociation"}

IN_THE_SUM = {
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::DynamoDB::Table",
    "AWS::Events::Archive",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Logs::LogGroup",
    "AWS::SQS::Queue",
    "AWS::SSM::Parameter",
    "AWS::Serverless::Api",
    "AWS::Serverless::Function",
}


def to_pay(system: System) -> float:
    return sum(line.usd for line in cost.charged(cost.idle(system)))


def at_list_price(system: System) -> float:
    return sum(line.list_price for line in cost.idle(system))


def with_more(stack: str, **resources: dict[str, Any]) -> System:
    changed = copy.deepcopy(stacks())
    changed[stack]["Resources"] |= resources
    return System(changed)


SERVICE_USD = 0.25
"""What a further service may add before the page has to be written anew. A queue that is asked costs 0.10."""


def sums(page: str) -> dict[str, tuple[float, float]]:
    """Heading of each table on the page -> its list price and what is to pay."""
    tables = re.findall(
        r"^\| ([^|]+) \| units \|.*?\*\*together\*\* \| \| \*\*([\d.]+)\*\* \| \*\*([\d.]+)\*\*",
        page,
        re.DOTALL | re.MULTILINE,
    )
    return {heading: (float(listed), float(to_pay)) for heading, listed, to_pay in tables}


def test_the_page_says_what_is_computed() -> None:
    """`make bench ARGS=--costs` writes it."""
    page = cost.PAGE.read_text(encoding="utf-8")
    said, computed = sums(page), sums(cost.page_with(page, cost.report(System(stacks()))))

    assert len(computed) == 3
    assert said.keys() == computed.keys()
    for heading, found in computed.items():
        assert said[heading] == pytest.approx(found, abs=SERVICE_USD), heading


def test_the_budgets_hold() -> None:
    assert [found.line() for found in cost.measurements(System(stacks())) if not found.holds] == []


def test_everything_in_the_templates_is_in_the_sum_or_known_to_be_free() -> None:
    types = {resource["Type"] for stack in stacks().values() for resource in stack["Resources"].values()}

    assert types <= FREE | OFF_BY_DEFAULT | IN_THE_SUM


def test_every_mapping_is_a_queue_that_is_asked_or_a_stream() -> None:
    system = System(stacks())

    assert len(system.pollers) + len(system.streams) == len(of_type("AWS::Lambda::EventSourceMapping"))
    limited = {queue for queue, pollers in system.pollers.items() if pollers == cost.POLLERS_WITH_MAXIMUM_CONCURRENCY}
    assert limited == {"OutgoingQueue"}, "the only one that needs it: SES and SNS allow so many messages a second"


def test_every_scheduled_function_says_what_a_run_takes() -> None:
    system = System(stacks())

    assert system.runs.keys() == cost.run_of(system).keys()
    assert round(system.runs["SweepFunction"]) == 43_800
    assert round(system.runs["AnalyticsRebuild"]) == 30


QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {}}
MAPPING = {
    "Type": "AWS::Lambda::EventSourceMapping",
    "Properties": {"EventSourceArn": {"Fn::GetAtt": ["FurtherQueue", "Arn"]}},
}
ALARM = {
    "Type": "AWS::CloudWatch::Alarm",
    "Properties": {"Namespace": "SmartLibrary", "MetricName": "Further", "Dimensions": []},
}


def test_a_further_queue_costs_two_pollers_and_its_dead_letters_a_look_every_five_minutes() -> None:
    more = with_more("loans", FurtherQueue=QUEUE, FurtherDeadLetters=QUEUE, FurtherSource=MAPPING)

    requests = 2 * 3 * cost.MINUTES + cost.MINUTES / 5
    assert to_pay(more) - to_pay(System(stacks())) == pytest.approx(requests * 0.40e-6)


def test_a_further_alarm_costs_something_and_so_does_its_metric() -> None:
    more = with_more("loans", FurtherAlarm=ALARM)

    assert at_list_price(more) - at_list_price(System(stacks())) == pytest.approx(0.10 + 0.30 / cost.DAYS)


@pytest.mark.parametrize(
    ("resource_type", "usd"),
    [("AWS::SecretsManager::Secret", 0.40), ("AWS::KMS::Key", 1.00), ("AWS::CloudWatch::Dashboard", 3.00)],
)
def test_a_further(resource_type: str, usd: float) -> None:
    more = with_more("loans", Further={"Type": resource_type, "Properties": {}})

    assert at_list_price(more) - at_list_price(System(stacks())) == pytest.approx(usd)


def test_a_table_with_a_key_of_the_account_costs_requests_to_it() -> None:
    changed = copy.deepcopy(stacks())
    (table,) = template.resources_of(changed["loans"], template.TABLE).values()
    table["SSESpecification"] = {"SSEEnabled": True}

    assert to_pay(System(changed)) > to_pay(System(stacks()))


@pytest.mark.parametrize(
    ("schedule", "runs"), [("rate(1 hour)", 730), ("rate(1 day)", 365 / 12), ("rate(7 days)", 4.35)]
)
def test_runs_a_month(schedule: str, runs: float) -> None:
    assert cost.runs_a_month(schedule) == pytest.approx(runs, rel=0.01)


def test_a_schedule_that_is_not_understood_is_not_passed_over() -> None:
    with pytest.raises(NotImplementedError):
        cost.runs_a_month("cron(0 9 ? * MON *)")
