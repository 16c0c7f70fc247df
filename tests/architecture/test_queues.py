"""Queues, rules and dead letters in the template: nothing is lost, nothing comes too early, somebody is told."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from library_common import aws
from library_common.consumers import MAX_RECEIVES
from notifications_service.adapters.services import DEADLINE_SECONDS
from notifications_service.adapters.sns import SECONDS
from notifications_service.application.announcements import LOOK_AGAIN
from notifications_service.domain.deliveries import BEGIN_WITHIN, CHECK_WITHIN, LEASE, LONGEST_MESSAGE
from tests.architecture.deployment import Function, arn, function_named, functions, listed, load, of_type, referred

pytestmark = pytest.mark.architecture

QUEUES = of_type("AWS::SQS::Queue")
RULES = of_type("AWS::Events::Rule")
DEFAULT_RETENTION = 345_600
"""What SQS keeps messages for where nothing else is said: four days."""

DEAD_LETTER_QUEUES = sorted(name for name in QUEUES if name.endswith("DeadLetters"))
OF_NO_QUEUE = {"PublishDeadLetters", "JobDeadLetters"}
"""Dead letters of streams and of schedules."""

WORKED_ON = [
    (function, source)
    for function in functions()
    for source in function.sources()
    if referred(source["EventSourceArn"]) in QUEUES
]  # every function that a queue feeds, with the event source
each_worker = pytest.mark.parametrize(
    ("function", "source"), WORKED_ON, ids=[function.logical_id for function, _ in WORKED_ON]
)
each_rule = pytest.mark.parametrize("rule", RULES)


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
    queue = referred(source["EventSourceArn"])

    assert QUEUES[queue]["RedrivePolicy"]["maxReceiveCount"] == MAX_RECEIVES
    assert dead_letters_of(queue) in DEAD_LETTER_QUEUES


@each_worker
def test_a_message_being_worked_on_does_not_come_again_meanwhile(function: Function, source: Mapping[str, Any]) -> None:
    timeout = function.properties["Timeout"]

    assert QUEUES[referred(source["EventSourceArn"])]["VisibilityTimeout"] >= 6 * timeout


def test_the_sender_has_time_to_end_what_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in the middle it would leave messages of which nobody knows whether they were sent."""
    ((sender, source),) = [found for found in WORKED_ON if found[0].logical_id == "SenderFunction"]
    timeout = timedelta(seconds=sender.properties["Timeout"])
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    aws._client.cache_clear()
    configs: list[Any] = [client.meta.config for client in (aws.ses_without_retries(), aws.sns_without_retries())]
    aws._client.cache_clear()
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
    queue = referred(source["EventSourceArn"])

    assert referred(variables["QUEUE_URL"]) == queue
    assert referred(variables["DEAD_LETTERS_URL"]) == dead_letters_of(queue)
    for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "ChangeMessageVisibility"):
        assert queue in function.allowed(f"sqs:{action}"), action
    assert dead_letters_of(queue) in function.allowed("sqs:SendMessage")


@pytest.mark.parametrize("queue", [name for name in QUEUES if name not in DEAD_LETTER_QUEUES])
def test_what_is_set_aside_outlives_what_it_came_from(queue: str) -> None:
    """SQS counts a message's age from when it was first sent, also after moving it."""
    assert retention(dead_letters_of(queue)) > retention(queue)


# -- rules ----------------------------------------------------------------------------------------


@each_rule
def test_a_rule_of_our_bus_targets_queues_with_dead_letters_and_may_use_both(rule: str) -> None:
    """Never a function: with a queue in between a failing consumer loses nothing and holds up nobody."""
    assert RULES[rule]["EventBusName"] == load()["Resources"]["EventBus"]["Properties"]["Name"]
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
    for policy in of_type("AWS::SQS::QueuePolicy").values():
        covered = {referred(queue) for queue in policy["Queues"]}
        for statement in policy["PolicyDocument"]["Statement"]:
            sources = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
            if {"Fn::GetAtt": [rule, "Arn"]} not in listed(sources):
                continue
            assert (statement["Effect"], statement["Action"]) == ("Allow", "sqs:SendMessage")
            assert statement["Principal"] == {"Service": "events.amazonaws.com"}
            yield from covered & {referred(resource) for resource in listed(statement["Resource"])}


# -- dead letters ---------------------------------------------------------------------------------


def test_dead_letter_queues_are_called_so() -> None:
    """By their names they are found here, and by operators."""
    targets = {dead_letters_of(name) for name, queue in QUEUES.items() if "RedrivePolicy" in queue}

    assert targets <= set(DEAD_LETTER_QUEUES)
    assert set(DEAD_LETTER_QUEUES) - targets == OF_NO_QUEUE


def test_somebody_is_told_of_dead_letters() -> None:
    """By one alarm, on what a scheduled function finds in all queues that are registered."""
    alarm = load()["Resources"]["DeadLettersAlarm"]["Properties"]
    watch = function_named("DeadLettersWatch")

    assert (alarm["MetricName"], alarm["Threshold"], alarm["ComparisonOperator"]) == (
        "DeadLetters",
        0,
        "GreaterThanThreshold",
    )
    assert [properties["Schedule"] for _, properties in watch.events("Schedule")] == ["rate(5 minutes)"]
    assert set(DEAD_LETTER_QUEUES) <= watch.allowed("sqs:GetQueueAttributes")
    failing = load()["Resources"]["DeadLettersWatchAlarm"]["Properties"]
    assert failing["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "DeadLettersWatch"}}]


def registry(kind: str) -> dict[str, Any]:
    """Service -> what it registers under `/${System}/<kind>/<service>`; logical ids in the place of addresses."""
    found = {}
    for parameter in of_type("AWS::SSM::Parameter").values():
        name = parameter.get("Name", {}).get("Fn::Sub", "")
        if name.startswith(f"/${{System}}/{kind}/"):
            text = re.sub(r"[$][{](\w+)[}]", r"\1", parameter["Value"]["Fn::Sub"])
            found[name.rpartition("/")[2]] = json.loads(text)
    return found


def registered() -> dict[str, dict[str, Any]]:
    """Every dead-letter queue that the admin functions know."""
    return {name: queue for queues in registry("dead-letters").values() for name, queue in queues.items()}


def test_every_dead_letter_queue_is_where_operators_look_for_them() -> None:
    assert sorted(registered()) == DEAD_LETTER_QUEUES


@pytest.mark.parametrize("name", DEAD_LETTER_QUEUES)
def test_a_dead_letter_goes_back_to_where_it_came_from(name: str) -> None:
    """And the admin function may look at it, take it away and put it there."""
    known = registered()[name]
    admin = function_named("AdminFunction")
    sources = [queue for queue in QUEUES if "RedrivePolicy" in QUEUES[queue] and dead_letters_of(queue) == name]

    assert known["url"] == name
    assert ([known["source"]] if "source" in known else []) == sources
    assert known["about"]
    for action in ("ReceiveMessage", "ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes"):
        assert name in admin.allowed(f"sqs:{action}"), action
    assert set(sources) <= admin.allowed("sqs:SendMessage")


def streams() -> list[tuple[Function, Mapping[str, Any]]]:
    """Every function that a table's stream feeds, with the event source."""
    tables = of_type("AWS::DynamoDB::Table")
    return [(f, source) for f in functions() for source in f.sources() if referred(source["EventSourceArn"]) in tables]


def test_every_publisher_is_known_for_what_it_could_not_publish() -> None:
    known = {entry["function"]: entry["table"] for entry in registry("publishers").values()}
    fed = {function.logical_id: referred(source["EventSourceArn"]) for function, source in streams()}
    admin = function_named("AdminFunction")

    assert known == fed
    assert set(fed) <= admin.allowed("lambda:InvokeFunction")
    assert set(fed.values()) <= admin.allowed("dynamodb:GetRecords")


@pytest.mark.parametrize(("function", "source"), streams(), ids=[function.logical_id for function, _ in streams()])
def test_a_stream_wakes_its_publisher_only_for_what_it_looks_at(function: Function, source: Mapping[str, Any]) -> None:
    (only,) = source["FilterCriteria"]["Filters"]

    assert json.loads(only["Pattern"])["dynamodb"]
    given_up = source["DestinationConfig"]["OnFailure"]["Destination"]["Fn::Sub"]
    assert given_up == arn("PublishDeadLetters")
    assert {"PublishDeadLetters"} <= function.allowed("sqs:SendMessage")
    assert referred(source["EventSourceArn"]) in function.allowed("dynamodb:GetRecords")


@pytest.mark.parametrize("job", [f for f in functions() if list(f.events("Schedule"))], ids=lambda f: f.logical_id)
def test_a_scheduled_function_that_fails_is_noticed(job: Function) -> None:
    """Its invocation ends in the dead letters of jobs; but the watch of those has an alarm of its own."""
    if job.logical_id == "DeadLettersWatch":
        return
    (config,) = [
        found
        for found in of_type("AWS::Lambda::EventInvokeConfig").values()
        if referred(found["FunctionName"]) == job.logical_id
    ]

    assert config["Qualifier"] == "live", "which is what schedules invoke"
    assert config["DestinationConfig"]["OnFailure"]["Destination"]["Fn::Sub"] == arn("JobDeadLetters")
    assert "JobDeadLetters" in job.allowed("sqs:SendMessage")


def test_queues_and_functions_are_called_after_the_system() -> None:
    """What rights, integrations and operators find them by. A second system in the same account is in nobody's way."""
    names = [queue["QueueName"]["Fn::Sub"] for queue in QUEUES.values()]
    names += [function.properties["FunctionName"]["Fn::Sub"] for function in functions()]

    assert [name for name in names if not name.startswith("${System}-")] == []
    assert len(set(names)) == len(names)
