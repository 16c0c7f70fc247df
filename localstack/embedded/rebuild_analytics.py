"""``make rebuild-analytics``: asks the deployed function to rebuild the statistics, step by step."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localstack.embedded import deploy, engine
from localstack.embedded.aws import Aws
from localstack.embedded.errors import Refusal
from localstack.embedded.state import StackFile

_RULES = ("AnalyticsRuleArn", "AnalyticsCopiesRuleArn")
_NO_ARCHIVE = "The stack has no archive of events (parameter EventArchive)."


def rebuild(stack_file: Path, action: str, *, force: bool = False) -> Iterator[str]:
    """Lines about the result. Refuses with the function's reason; `force` overrides some of the reasons."""
    stack = StackFile.read(stack_file)
    engine.of_known_stack(stack.endpoint_url)
    aws = Aws(stack.endpoint_url)
    function = stack.functions["AnalyticsRebuild"]
    if action == "replay":
        yield from _replay(aws, stack, _ask(aws, function, "status"))
        return
    name = stack.system
    if action == "begin" and not force and _archive(aws, name, deploy.outputs(aws, name)) is None:
        raise Refusal(f"{_NO_ARCHIVE} Nothing could be replayed. FORCE=1 begins anyway.")
    answer = _ask(aws, function, action, force=force)
    while action == "clean" and answer["dropping"] and answer["deleted"]:
        yield f"deleted {answer['deleted']} items"
        answer = _ask(aws, function, action)
    for name, value in answer.items():
        if value not in (None, []):
            yield f"{name}: {value}"
    if action == "status":
        yield from _progress(aws, deploy.outputs(aws, stack.system)["AnalyticsQueue"], answer["building"])


def _progress(aws: Aws, queue_url: str, building: int | None) -> Iterator[str]:
    """Whether it is time to finish: the state of the replays, and the messages that are not counted yet."""
    counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    found = aws.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=list(counts))["Attributes"]
    waiting, in_hand = (int(found[name]) for name in counts)
    yield f"AnalyticsQueue: {waiting} waiting, {in_hand} being counted or between two tries"
    if building is None:
        return
    try:
        replays = aws.client("events").list_replays(NamePrefix=_replays_of(building))["Replays"]
    except (BotoCoreError, ClientError):
        yield "replay: the emulator does not list them"
        return
    for replay in sorted(replays, key=lambda one: str(one["ReplayName"])):
        yield f"replay: {replay['ReplayName']} {replay['State']}"
    if not replays:
        yield "replay: none was started"


def _replays_of(building: int) -> str:
    return f"rebuild-{building}-"


def _ask(aws: Aws, function: str, action: str, *, force: bool = False) -> dict[str, Any]:
    command = {"action": action, "force": force}
    answer = aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(command).encode())
    document: dict[str, Any] = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise Refusal(f"The rebuild failed: {document.get('errorMessage', 'see its log')}")
    if "refused" in document:
        raise Refusal(str(document["refused"]))
    return document


def _archive(aws: Aws, system: str, outputs: Mapping[str, str]) -> str | None:
    """The archive of the events, made by the template or by `complete_deployment`. None if there is none."""
    if "EventsArchiveArn" in outputs:
        return outputs["EventsArchiveArn"]
    found = aws.client("events").list_archives(NamePrefix=deploy.archive_name(system))["Archives"]
    # Archives are listed by name only. The ARN differs from that of the bus in its last part.
    before = outputs["EventBusArn"].rpartition(":")[0]
    return f"{before}:archive/{found[0]['ArchiveName']}" if found else None


def _replay(aws: Aws, stack: StackFile, status: dict[str, Any]) -> Iterator[str]:
    """Starts a replay of the archive, up to the time the rebuild needs, for the two rules of analytics."""
    until = status["replay_until_at_least"]
    if until is None:
        raise Refusal("No generation is being built: begin first.")
    end = datetime.fromisoformat(until)
    if datetime.now(UTC) < end:
        raise Refusal(f"Too early: start the replay after {until}, so that it includes all events until then.")
    outputs = deploy.outputs(aws, stack.system)
    archive = _archive(aws, stack.system, outputs)
    if archive is None:
        raise Refusal(_NO_ARCHIVE)
    name = f"{_replays_of(status['building'])}{time.time_ns() // 10**9}"
    aws.client("events").start_replay(
        ReplayName=name,
        EventSourceArn=archive,
        EventStartTime=datetime(2000, 1, 1, tzinfo=UTC),
        EventEndTime=end,
        Destination={"Arn": outputs["EventBusArn"], "FilterArns": [outputs[rule] for rule in _RULES]},
    )
    yield f"replay {name} was started; finish when `make rebuild-analytics` says that it is COMPLETED and nothing waits"
