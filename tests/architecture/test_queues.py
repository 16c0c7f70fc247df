"""Queues, rules and dead letters in the template: nothing is lost, nothing comes too early, somebody is told."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from library_common import aws
from library_common.consumers import MAX_RECEIVES
from localstack.embedded import template
from notifications_service.adapters.services import DEADLINE_SECONDS
from notifications_service.adapters.sns import SECONDS
from notifications_service.application.announcements import LOOK_AGAIN
from notifications_service.domain.deliveries import BEGIN_WITHIN, CHECK_WITHIN, LEASE, LONGEST_MESSAGE
from tests.architecture.deployment import Function, functions, load

pytestmark = pytest.mark.architecture

QUEUES: dict[str, dict[str, Any]] = template.resources_of(load(), "AWS::SQS::Queue")
RULES: dict[str, dict[str, Any]] = template.resources_of(load(), "AWS::Events::Rule")
DEFAULT_RETENTION = 345_600
"""What SQS keeps messages for where nothing else is said: four days."""

DEAD_LETTER_QUEUES = sorted(name for name in QUEUES if name.endswith("DeadLetters"))
WORKED_ON = [
    (function, source) for function in functions() for _, source in function.events("SQS")
]  # every function that a queue feeds, with the event source
each_worker = pytest.mark.parametrize(
    ("function", "source"), WORKED_ON, ids=[function.logical_id for function, _ in WORKED_ON]
)
each_rule = pytest.mark.parametrize("rule", RULES)


def referred(value: Any) -> str:
    """The logical id in a `!Ref` or `!GetAtt …Arn`."""
    assert isinstance(value, Mapping), value
    ((kind, argument),) = value.items()
    return str(argument if kind == "Ref" else argument[0])


def statements(function: Function) -> Iterator[dict[str, Any]]:
    for policy in function.properties["Policies"]:
        yield from policy["Statement"]


def allowed(function: Function, action: str) -> set[str]:
    """Logical ids of what a function may do this with."""
    return {
        referred(resource)
        for statement in statements(function)
        if action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        for resource in (statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]])
    }


def dead_letters_of(queue: str) -> str:
    return referred(QUEUES[queue]["RedrivePolicy"]["deadLetterTargetArn"])


def retention(queue: str) -> int:
    return int(QUEUES[queue].get("MessageRetentionPeriod", DEFAULT_RETENTION))


# -- queues and their functions -------------------------------------------------------------------


def test_every_queue_is_encrypted() -> None:
    assert [name for name, queue in QUEUES.items() if queue.get("SqsManagedSseEnabled") is not True] == []


@each_worker
def test_one_bad_message_does_not_bring_a_whole_batch_again(function: Function, source: Mapping[str, Any]) -> None:
    if source["BatchSize"] > 1:
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@each_worker
def test_what_keeps_failing_is_set_aside(function: Function, source: Mapping[str, Any]) -> None:
    """By the queue as late as by the consumer, or the queue would do it first and without a reason."""
    queue = referred(source["Queue"])

    assert QUEUES[queue]["RedrivePolicy"]["maxReceiveCount"] == MAX_RECEIVES
    assert dead_letters_of(queue) in DEAD_LETTER_QUEUES


@each_worker
def test_a_message_being_worked_on_does_not_come_again_meanwhile(function: Function, source: Mapping[str, Any]) -> None:
    timeout = function.properties.get("Timeout", load()["Globals"]["Function"]["Timeout"])

    assert QUEUES[referred(source["Queue"])]["VisibilityTimeout"] >= 6 * timeout


def test_the_sender_has_time_to_end_what_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in the middle it would leave messages of which nobody knows whether they were sent."""
    ((sender, source),) = [found for found in WORKED_ON if found[0].logical_id == "SenderFunction"]
    timeout = timedelta(seconds=sender.properties["Timeout"])
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    aws._single_try.cache_clear()
    configs: list[Any] = [client.meta.config for client in (aws.ses_once(), aws.sns_once())]
    aws._single_try.cache_clear()
    longest_answer = max(timedelta(seconds=config.connect_timeout + config.read_timeout) for config in configs)

    assert source["BatchSize"] == 1, "a second one would begin later than it thinks"
    assert timedelta(seconds=2 * DEADLINE_SECONDS) < BEGIN_WITHIN, "an account and a loan can be asked for"
    assert CHECK_WITHIN + timedelta(seconds=DEADLINE_SECONDS) < BEGIN_WITHIN
    assert timedelta(seconds=SECONDS) + longest_answer < LONGEST_MESSAGE
    assert BEGIN_WITHIN + LONGEST_MESSAGE < timeout < LEASE
    assert timeout < LOOK_AGAIN


def test_slow_answers_of_loans_do_not_stop_a_batch_of_notices_in_the_middle() -> None:
    """Or all of it would come again, and be set aside without a reason after the fifth time."""
    ((consumer, source),) = [found for found in WORKED_ON if found[0].logical_id == "NotificationsConsumer"]

    assert source["BatchSize"] * (DEADLINE_SECONDS + 1) < consumer.properties["Timeout"]


@each_worker
def test_a_consumer_knows_its_queues_and_may_use_them(function: Function, source: Mapping[str, Any]) -> None:
    variables = function.properties["Environment"]["Variables"]
    if function.logical_id == "MembershipExpiry":
        # A round is one message, whose failure is to be a failure of the function: that is what its alarm counts.
        assert source["BatchSize"] == 1
        return
    queue = referred(source["Queue"])

    assert referred(variables["QUEUE_URL"]) == queue
    assert referred(variables["DEAD_LETTERS_URL"]) == dead_letters_of(queue)
    assert queue in allowed(function, "sqs:ChangeMessageVisibility")
    assert dead_letters_of(queue) in allowed(function, "sqs:SendMessage")


@pytest.mark.parametrize("queue", [name for name in QUEUES if name not in DEAD_LETTER_QUEUES])
def test_what_is_set_aside_outlives_what_it_came_from(queue: str) -> None:
    """SQS counts a message's age from when it was first sent, also after moving it."""
    assert retention(dead_letters_of(queue)) > retention(queue)


# -- rules ----------------------------------------------------------------------------------------


@each_rule
def test_a_rule_of_our_bus_targets_queues_with_dead_letters_and_may_use_both(rule: str) -> None:
    """Never a function: with a queue in between a failing consumer loses nothing and holds up nobody."""
    if "EventBusName" not in RULES[rule]:
        assert "ScheduleExpression" in RULES[rule]
        return
    assert referred(RULES[rule]["EventBusName"]) == "EventBus"
    assert RULES[rule]["Targets"]
    for target in RULES[rule]["Targets"]:
        queue = referred(target["Arn"])
        dead_letters = referred(target["DeadLetterConfig"]["Arn"])
        assert queue in QUEUES
        assert dead_letters == dead_letters_of(queue)
        assert {queue, dead_letters} <= set(queues_a_rule_may_send_to(rule))


def test_no_function_listens_to_the_bus_by_itself() -> None:
    direct = [
        f"{function.logical_id}.{name}"
        for function in functions()
        for kind in ("EventBridgeRule", "CloudWatchEvent")
        for name, _ in function.events(kind)
    ]
    assert direct == []


def queues_a_rule_may_send_to(rule: str) -> Iterator[str]:
    for policy in template.resources_of(load(), "AWS::SQS::QueuePolicy").values():
        covered = {referred(queue) for queue in policy["Queues"]}
        for statement in policy["PolicyDocument"]["Statement"]:
            sources = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
            if {"Fn::GetAtt": [rule, "Arn"]} not in (sources if isinstance(sources, list) else [sources]):
                continue
            assert (statement["Effect"], statement["Action"]) == ("Allow", "sqs:SendMessage")
            assert statement["Principal"] == {"Service": "events.amazonaws.com"}
            resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            yield from covered & {referred(resource) for resource in resources}


# -- dead letters ---------------------------------------------------------------------------------


def test_dead_letter_queues_are_called_so() -> None:
    """By their names they are found here, and by operators."""
    targets = {dead_letters_of(name) for name, queue in QUEUES.items() if "RedrivePolicy" in queue}

    assert targets <= set(DEAD_LETTER_QUEUES)
    assert {"PublishDeadLetters"} == set(DEAD_LETTER_QUEUES) - targets, "of the streams, which are no queues"


@pytest.mark.parametrize("queue", DEAD_LETTER_QUEUES)
def test_somebody_is_told_of_dead_letters(queue: str) -> None:
    alarms = [
        alarm
        for alarm in template.resources_of(load(), "AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
        and alarm["Dimensions"] == [{"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}]
    ]

    assert len(alarms) == 1
    assert (alarms[0]["Threshold"], alarms[0]["ComparisonOperator"]) == (0, "GreaterThanThreshold")


def registered() -> dict[str, dict[str, Any]]:
    """What the endpoint of the dead letters knows (`DeadLetterQueues`), logical ids in the place of addresses."""
    text = load()["Resources"]["DeadLetterQueues"]["Properties"]["Value"]["Fn::Sub"]
    found: dict[str, dict[str, Any]] = json.loads(text)
    return {
        name: {**queue, **{part: queue[part].strip("${}") for part in ("url", "source") if part in queue}}
        for name, queue in found.items()
    }


def test_every_dead_letter_queue_is_where_operators_look_for_them() -> None:
    assert sorted(registered()) == DEAD_LETTER_QUEUES


@pytest.mark.parametrize("name", DEAD_LETTER_QUEUES)
def test_a_dead_letter_goes_back_to_where_it_came_from(name: str) -> None:
    """And the admin function may look at it, take it away and put it there."""
    known = registered()[name]
    (admin,) = [function for function in functions() if function.logical_id == "AdminFunction"]
    sources = [queue for queue in QUEUES if "RedrivePolicy" in QUEUES[queue] and dead_letters_of(queue) == name]

    assert known["url"] == name
    assert ([known["source"]] if "source" in known else []) == sources
    assert known["about"]
    for action in ("ReceiveMessage", "ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes"):
        assert name in allowed(admin, f"sqs:{action}"), action
    assert set(sources) <= allowed(admin, "sqs:SendMessage")


def test_every_publisher_is_known_for_what_it_could_not_publish() -> None:
    text = load()["Resources"]["EventPublishers"]["Properties"]["Value"]["Fn::Sub"]
    known = {entry["function"].strip("${}"): entry["table"].strip("${}") for entry in json.loads(text).values()}
    fed = {
        function.logical_id: referred(source["Stream"])
        for function in functions()
        for _, source in function.events("DynamoDB")
    }
    (admin,) = [function for function in functions() if function.logical_id == "AdminFunction"]

    assert known == fed
    assert set(fed) <= allowed(admin, "lambda:InvokeFunction")
    assert set(fed.values()) <= allowed(admin, "dynamodb:GetRecords")


@pytest.mark.parametrize("function", functions(), ids=lambda function: function.logical_id)
def test_a_stream_wakes_its_publisher_only_for_what_it_looks_at(function: Function) -> None:
    for _, source in function.events("DynamoDB"):
        (only,) = source["FilterCriteria"]["Filters"]
        assert json.loads(only["Pattern"])["dynamodb"]
        assert referred(source["DestinationConfig"]["OnFailure"]["Destination"]) == "PublishDeadLetters"


def test_queues_and_functions_are_outputs() -> None:
    """What operators and tests find them by."""
    outputs = load()["Outputs"]
    unnamed = [name for name in [*QUEUES, *(function.logical_id for function in functions())] if name not in outputs]
    assert unnamed == ["FirstAdministratorFunction"], "which is not there without an administrator's address"
