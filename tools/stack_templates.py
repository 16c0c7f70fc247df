"""Writes the generated parts of the stacks' templates: `make templates`.

A template is written by hand between the parts that are the same everywhere or follow from what stands in it. Those
lie between two marker lines each, and this module writes them:

* `shared parameters`, `globals`, `layers and log group`: the same in every stack with functions;
* `wiring`: what belongs to the functions of the stack, each of which says so in its `Metadata`:

      Consumer:                      # a function that works on a queue
        Queue: AnalyticsQueue        # its name; the dead letters are AnalyticsDeadLetters
        About: Events the statistics lack.   # what is in the dead letters, for whoever looks after them
        Rules:                       # what goes from the bus into the queue; none: the stack's own code sends
          AnalyticsRule: {Description: What is counted., EventPattern: {...}}
        BatchSize: 100               # and, seldom: BatchingWindowSeconds, MaximumConcurrency, RetentionSeconds,
                                     # DeadLetterRetentionSeconds, Personal (messages name people), WholeBatch
      Publisher: {Table: UsersTable, Filter: '{...}'}   # a function on a table's stream, with the outbox's events
      Http: true                     # a function behind the API; its routes come from its code (`tools.api_template`)
      LimitsRequests: true           # it counts requests or messages in the gateway's table; every Http function does
      CallsServices: true            # it reads the services' address, and its key where the stack has an identity
      Job: true                      # a scheduled function: what failed three times goes to the JobDeadLetters

      DeadLetters: {about: Events that never reached the bus.}  # a queue of dead letters that belongs to no consumer

  From that follow queue, dead letters, rules, policies, event source mappings and what admin finds them by.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from localstack.embedded import template
from tools import services
from tools.generated import Files, command

WEEK_SECONDS = 7 * 24 * 3600
TWO_WEEKS_SECONDS = 2 * WEEK_SECONDS
MAX_RECEIVES = 5
"""As `library_common.consumers.MAX_RECEIVES`; a test compares them."""

TIMEOUTS_PER_VISIBILITY = 6
"""Visibility of a queue's messages over the function's timeout, as AWS advises: Lambda's own retries have time, too."""

_BEGIN = "# ---- {name}: written by `make templates` ----"
_END = "# ---- end of {name} ----"

SHARED_PARAMETERS = """\
System:
  Type: String
  Default: smart-library
  AllowedPattern: "^[a-z][a-z0-9-]{1,29}$"
  Description: Name of this library's deployment. What stacks share is named after it.
Architecture:
  Type: String
  Default: arm64
  AllowedValues: [arm64, x86_64]
  Description: arm64 costs less per millisecond on AWS; x86_64 for sam local on such a machine.
LogLevel:
  Type: String
  Default: INFO
  AllowedValues: [DEBUG, INFO, WARNING, ERROR]
LogRetentionDays:
  Type: Number
  Default: 30
  AllowedValues: [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653]
  Description: How many days log lines are kept.
CorsAllowOrigin:
  Type: String
  Default: "*"
  AllowedPattern: "^(\\\\*|https?://[A-Za-z0-9.:-]+)$"
  Description: The origin whose pages may call the API, such as https://library.example.org; * for all.
SnapStart:
  Type: String
  Default: None
  AllowedValues: [None, PublishedVersions]
  Description: >-
    PublishedVersions shortens cold starts and costs money while idle (docs/decisions/0003-snapstart-off-by-default.md).
Tracing:
  Type: String
  Default: Disabled
  AllowedValues: [Disabled, Active]
  Description: Active records traces of requests in X-Ray, which charges for them (docs/operations.md).
LibraryTimeZone:
  Type: String
  Default: UTC
  AllowedPattern: "^[A-Za-z0-9_+/-]+$"
  Description: IANA name of the zone whose days and hours the library lives by, e.g. Africa/Nairobi.
RateLimits:
  Type: String
  Default: "{}"
  Description: JSON document of rate limits that differ from the defaults (docs/rate-limits.md).
"""

GLOBALS = """\
Globals:
  Function:
    Runtime: python3.13
    Architectures: [!Ref Architecture]
    CodeUri: src/
    MemorySize: 512
    Timeout: 10
    AutoPublishAlias: live
    AutoPublishAliasAllProperties: true  # a new layer is a new version too
    SnapStart: {{ApplyOn: !Ref SnapStart}}
    Tracing: !Ref Tracing
    Layers: [!Ref DependenciesLayer, !Ref CommonLayer]
    LoggingConfig:
      LogFormat: JSON
      LogGroup: !Ref LogGroup
      ApplicationLogLevel: !Ref LogLevel
      SystemLogLevel: WARN
    Environment:
      Variables:
        POWERTOOLS_SERVICE_NAME: {service}
        LOG_LEVEL: !Ref LogLevel
        CORS_ALLOW_ORIGIN: !Ref CorsAllowOrigin
        EVENT_BUS_NAME: !Sub library-${{System}}
        PUBLISH_DEAD_LETTERS: !Sub ${{System}}-publish-dead-letters
        LIBRARY_TIME_ZONE: !Ref LibraryTimeZone
        LIMITS_TABLE: !Sub ${{System}}-gateway
        RATE_LIMITS: !Ref RateLimits
        SERVICES_URL_PARAMETER: !Sub /${{System}}/services-url
        SERVICE_KEY_PARAMETER: !Sub /${{System}}/keys/services/{service}
{table}\
        # Only `sam local --env-vars` gives it a value, and only to variables declared here.
        AWS_ENDPOINT_URL: !Ref AWS::NoValue
"""

RESOURCES = """\
DependenciesLayer:
  Type: AWS::Serverless::LayerVersion
  Metadata: {{BuildMethod: python3.13, BuildArchitecture: !Ref Architecture}}
  Properties:
    ContentUri: ../../layers/dependencies
    Description: Third-party packages all services share.
    CompatibleRuntimes: [python3.13]
    RetentionPolicy: Delete

CommonLayer:
  Type: AWS::Serverless::LayerVersion
  Metadata: {{BuildMethod: python3.13, BuildArchitecture: !Ref Architecture}}
  Properties:
    ContentUri: ../../layers/common
    Description: library_common, the plumbing all services share.
    CompatibleRuntimes: [python3.13]
    RetentionPolicy: Delete

LogGroup:
  Type: AWS::Logs::LogGroup
  DeletionPolicy: Delete
  UpdateReplacePolicy: Delete
  Properties:
    LogGroupName: !Sub /${{System}}/{service}
    RetentionInDays: !Ref LogRetentionDays
"""

type Resources = dict[str, dict[str, Any]]


# -- CloudFormation's short forms -----------------------------------------------------------------


@dataclass(frozen=True)
class Tagged:
    """A value with a short form of CloudFormation in front: `!Ref LoansTable`."""

    tag: str
    value: str


def ref(name: str) -> Tagged:
    return Tagged("!Ref", name)


def sub(text: str) -> Tagged:
    return Tagged("!Sub", text)


def arn(name: str) -> Tagged:
    return Tagged("!GetAtt", f"{name}.Arn")


class Dumper(yaml.SafeDumper):
    """Writes every value where it stands, never by reference to an equal one."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _represent_tagged(dumper: yaml.SafeDumper, tagged: Tagged) -> yaml.ScalarNode:
    return dumper.represent_scalar(tagged.tag, tagged.value, style="|" if "\n" in tagged.value else None)


Dumper.add_representer(Tagged, _represent_tagged)


def as_yaml(value: object) -> str:
    """YAML with the innermost collections in one line each."""
    return yaml.dump(value, Dumper=Dumper, sort_keys=False, default_flow_style=None, width=140, allow_unicode=True)


# -- the wiring -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stack:
    """One stack as its template declares it. service: whose code it runs, and what its names begin with."""

    service: str
    source: template.Template

    def functions(self) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        """Logical id, Metadata and Properties of every function."""
        for name, resource in self.source["Resources"].items():
            if resource["Type"] == template.FUNCTION:
                yield name, resource.get("Metadata") or {}, resource["Properties"]

    def wiring(self) -> Resources:
        """Every resource that follows from the `Metadata` of the stack's functions and queues."""
        found: Resources = {}
        for name, metadata, properties in self.functions():
            wired = Wired(name, {}, [])
            if "Consumer" in metadata:
                wired.consumes(metadata["Consumer"], properties.get("Timeout", 10))
            if "Publisher" in metadata:
                wired.publishes(self.service, metadata["Publisher"])
            if metadata.get("Http") or metadata.get("LimitsRequests"):
                wired.counts_requests()
            if metadata.get("CallsServices"):
                wired.calls_services(self.service, signs="ServiceIdentity" in self.source["Resources"])
            if metadata.get("Job"):
                wired.is_scheduled()
            found |= wired.all_resources()
        letters = dict(self._dead_letters())
        if letters:
            found["DeadLetterRegistry"] = _registered("dead-letters", self.service, letters)
        return found

    def _dead_letters(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, resource in self.source["Resources"].items():
            metadata = resource.get("Metadata") or {}
            if resource["Type"] == "AWS::SQS::Queue" and "DeadLetters" in metadata:
                yield name, {"url": f"${{{name}}}", **metadata["DeadLetters"]}
        for _, metadata, _ in self.functions():
            if "Consumer" not in metadata:
                continue
            consumer = metadata["Consumer"]
            queue, letters = consumer["Queue"], dead_letters_of(consumer["Queue"])
            personal = {"personal": True} if consumer.get("Personal") else {}
            yield letters, {"url": f"${{{letters}}}", "source": f"${{{queue}}}", **personal, "about": consumer["About"]}


def dead_letters_of(queue: str) -> str:
    """`LoanErasureQueue` -> `LoanErasureDeadLetters`. Raises ValueError for a name that does not end in `Queue`."""
    if not queue.endswith("Queue"):
        raise ValueError(f"a consumer's queue is named …Queue, not {queue}")
    return queue.removesuffix("Queue") + "DeadLetters"


def physical_name(logical_id: str) -> Tagged:
    """`LoanErasureQueue` -> `${System}-loan-erasure-queue`."""
    return sub("${System}-" + re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", logical_id).lower())


@dataclass(frozen=True)
class Wired:
    """What one function gets: resources, and the statements of the one policy that goes with them."""

    function: str
    resources: Resources
    statements: list[dict[str, Any]]

    @property
    def policy(self) -> str:
        return f"{self.function}Wiring"

    def all_resources(self) -> Resources:
        """The resources with their policy, which comes first: event sources are refused without it."""
        if not self.statements:
            return self.resources
        policy = {
            "Type": "AWS::IAM::Policy",
            "Properties": {
                "PolicyName": "wiring",
                "Roles": [ref(f"{self.function}Role")],
                "PolicyDocument": {"Version": "2012-10-17", "Statement": self.statements},
            },
        }
        return {self.policy: policy, **self.resources}

    def consumes(self, consumer: Mapping[str, Any], timeout: int) -> None:
        """Queue, dead letters, rules and event source of a consumer whose function may run `timeout` seconds."""
        queue, letters = consumer["Queue"], dead_letters_of(consumer["Queue"])
        self.resources[queue] = _queue(
            queue,
            consumer.get("RetentionSeconds", WEEK_SECONDS),
            VisibilityTimeout=TIMEOUTS_PER_VISIBILITY * timeout,
            RedrivePolicy={"deadLetterTargetArn": arn(letters), "maxReceiveCount": MAX_RECEIVES},
        )
        self.resources[letters] = _queue(letters, consumer.get("DeadLetterRetentionSeconds", TWO_WEEKS_SECONDS))
        self.resources.update(_rules(queue, letters, consumer.get("Rules") or {}))
        work = ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "ChangeMessageVisibility"]
        self._allow([f"sqs:{action}" for action in work], arn(queue))
        self._allow("sqs:SendMessage", arn(letters))
        mapping: dict[str, Any] = {"EventSourceArn": arn(queue), "BatchSize": consumer.get("BatchSize", 10)}
        if "BatchingWindowSeconds" in consumer:
            mapping["MaximumBatchingWindowInSeconds"] = consumer["BatchingWindowSeconds"]
        if not consumer.get("WholeBatch"):
            mapping["FunctionResponseTypes"] = ["ReportBatchItemFailures"]
        if "MaximumConcurrency" in consumer:
            mapping["ScalingConfig"] = {"MaximumConcurrency": consumer["MaximumConcurrency"]}
        self._add_source(mapping)

    def publishes(self, service: str, publisher: Mapping[str, Any]) -> None:
        """The event source of the function that puts a table's events on the bus, and what admin finds it by."""
        stream = Tagged("!GetAtt", f"{publisher['Table']}.StreamArn")
        letters = sub(_arn("sqs", "${System}-publish-dead-letters"))
        bus = sub(_arn("events", "event-bus/library-${System}"))
        # Otherwise a service that was taken over could speak for another.
        self._allow("events:PutEvents", bus, Condition={"StringEquals": {"events:source": f"library.{service}"}})
        self._allow(["sqs:SendMessage", "sqs:GetQueueUrl"], letters)
        self._allow(["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"], stream)
        self._allow("dynamodb:ListStreams", "*")
        self._add_source(
            {
                "EventSourceArn": stream,
                "StartingPosition": "TRIM_HORIZON",
                "FilterCriteria": {"Filters": [{"Pattern": publisher["Filter"]}]},
                "BatchSize": 25,
                "BisectBatchOnFunctionError": True,
                "MaximumRetryAttempts": 200,
                "DestinationConfig": {"OnFailure": {"Destination": letters}},
            }
        )
        found = {"function": f"${{{self.function}}}", "table": f"${{{publisher['Table']}}}"}
        self.resources["PublisherRegistry"] = _registered("publishers", service, found)

    def counts_requests(self) -> None:
        """Items LIMIT#… of the gateway's table, and nothing else of it."""
        self._allow(
            ["dynamodb:GetItem", "dynamodb:UpdateItem"],
            sub(_arn("dynamodb", "table/${System}-gateway")),
            Condition={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["LIMIT#*"]}},
        )

    def calls_services(self, service: str, *, signs: bool) -> None:
        """Where the other services are, and what this one signs its calls with."""
        names = ["services-url", *([f"keys/services/{service}"] if signs else [])]
        self._allow("ssm:GetParameter", [sub(_arn("ssm", f"parameter/${{System}}/{name}")) for name in names])

    def is_scheduled(self) -> None:
        """Where invocations by a schedule go that failed as often as Lambda tries them."""
        letters = sub(_arn("sqs", "${System}-job-dead-letters"))
        self._allow("sqs:SendMessage", letters)
        self.resources[f"{self.function}Failures"] = {
            "Type": "AWS::Lambda::EventInvokeConfig",
            "DependsOn": [self.policy, f"{self.function}Aliaslive"],
            "Properties": {
                "FunctionName": ref(self.function),
                "Qualifier": "live",
                "MaximumRetryAttempts": 2,
                "DestinationConfig": {"OnFailure": {"Destination": letters}},
            },
        }

    def _allow(self, actions: str | list[str], resource: object, **more: object) -> None:
        self.statements.append({"Effect": "Allow", "Action": actions, "Resource": resource, **more})

    def _add_source(self, properties: Mapping[str, Any]) -> None:
        self.resources[f"{self.function}Source"] = {
            "Type": "AWS::Lambda::EventSourceMapping",
            "DependsOn": self.policy,
            "Properties": {"FunctionName": ref(f"{self.function}.Alias"), **properties},
        }


def _rules(queue: str, letters: str, rules: Mapping[str, Mapping[str, Any]]) -> Resources:
    """From the bus into the queue, and the queue's leave to be sent to by these rules."""
    found: Resources = {
        name: {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "Description": rule["Description"],
                "EventBusName": sub("library-${System}"),
                "EventPattern": rule["EventPattern"],
                "Targets": [{"Id": queue, "Arn": arn(queue), "DeadLetterConfig": {"Arn": arn(letters)}}],
            },
        }
        for name, rule in rules.items()
    }
    if rules:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": [arn(queue), arn(letters)],
            "Condition": {"ArnEquals": {"aws:SourceArn": [arn(name) for name in rules]}},
        }
        found[f"{queue}Policy"] = {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [ref(queue), ref(letters)],
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]},
            },
        }
    return found


def _queue(logical_id: str, retention_seconds: int, **more: object) -> dict[str, Any]:
    kept = {"MessageRetentionPeriod": retention_seconds, "SqsManagedSseEnabled": True}
    return {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": physical_name(logical_id), **more, **kept}}


def _registered(what: str, service: str, document: object) -> dict[str, Any]:
    """A parameter under the path by which admin finds all of its kind."""
    name, value = sub(f"/${{System}}/{what}/{service}"), sub(json.dumps(document, indent=1))
    return {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Name": name, "Value": value}}


def _arn(service: str, resource: str) -> str:
    return f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}"


# -- writing templates ----------------------------------------------------------------------------


def generate() -> Files:
    """Every stack's template with its generated parts as they are to be."""
    return {path: completed(path) for path in services.stack_templates() if path.name != "api.yaml"}


def completed(path: Path) -> str:
    """The template's text, its generated parts written anew."""
    text = path.read_text(encoding="utf-8")
    service = path.parent.name
    hand_written = replaced(replaced(text, "wiring", "", 2), "layers and log group", "", 2)
    # Read without its generated parts: what is to be derived must not be taken for given.
    source = template.parse(hand_written, path.name)
    table = f"        TABLE_NAME: !Ref {service.capitalize()}Table\n"
    has_table = f"{service.capitalize()}Table" in source["Resources"]
    parts = {
        "shared parameters": (SHARED_PARAMETERS, 2),
        "globals": (GLOBALS.format(service=service, table=table if has_table else ""), 0),
        "layers and log group": (RESOURCES.format(service=service), 2),
        "wiring": ("\n".join(as_yaml({name: value}) for name, value in Stack(service, source).wiring().items()), 2),
    }
    for name, (content, indent) in parts.items():
        text = replaced(text, name, content, indent)
    return text


def replaced(text: str, name: str, content: str, indent: int) -> str:
    """The text with `content`, indented, between the markers of a part. Raises ValueError when they are not there."""
    begin, end = (re.escape(marker.format(name=name)) for marker in (_BEGIN, _END))
    margin = " " * indent
    lines = "".join(margin + line if line.strip() else line for line in content.splitlines(keepends=True))
    changed, found = re.subn(
        rf"({begin}\n).*?([ \t]*{end})", lambda match: match[1] + lines + match[2], text, flags=re.DOTALL
    )
    if found != 1:
        raise ValueError(f"no part {name!r} is marked in the template, or several are")
    return changed


if __name__ == "__main__":
    raise SystemExit(command(__doc__.splitlines()[0], generate, [], "make templates"))
