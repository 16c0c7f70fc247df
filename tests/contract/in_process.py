"""The functions of all stacks in this process, on moto: with their tables, queues, keys and environment.

No Lambda, no API Gateway, no streams: handlers are called directly. What moto cannot do (capacity, concurrency,
idempotency tokens) is not tested with this.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3

from library_common.key_rings import Ring, public_jwks_json, signing_ring_json
from library_common.tokens import SigningKey
from localstack.embedded import template as sam
from tests.architecture import deployment
from tests.support.moto_engine import aws_in_moto

REGION = "us-east-1"
SYSTEM = "library-in-process"
NOBODY_LISTENS = "http://127.0.0.1:9"
"""Where the services' address points to: the port of `discard`, on which connecting is refused."""

NO_VALUE = {"Ref": "AWS::NoValue"}

type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


@dataclass
class InProcess:
    """The stack's resources in moto. Use inside of `running()`."""

    template: Mapping[str, Any] = field(default_factory=deployment.load)
    signing_key: SigningKey = field(default_factory=SigningKey.generate)
    refs: dict[str, str] = field(default_factory=dict)
    _clients: dict[str, Any] = field(default_factory=dict)
    """By the name of the service. The functions' own clients are made for every function anew; these are not theirs."""

    @contextmanager
    def running(self) -> Iterator["InProcess"]:
        """Makes every resource the functions use; all is gone in the end."""
        with aws_in_moto(), only_environment({"AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION}):
            self._make()
            try:
                yield self
            finally:
                forget_everything()

    @contextmanager
    def function(self, logical_id: str) -> Iterator[Handler]:
        """A function's handler, with the environment the template gives it and empty caches."""
        properties = self.functions[logical_id]
        wanted = {
            name: self.resolve(value)
            for name, value in properties["Environment"]["Variables"].items()
            if value != NO_VALUE
        }
        module, _, attribute = properties["Handler"].rpartition(".")
        with only_environment({"AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION} | wanted):
            forget_everything()
            __import__(module)
            yield getattr(sys.modules[module], attribute)
            forget_everything()

    @cached_property
    def functions(self) -> dict[str, dict[str, Any]]:
        return sam.resources_of(dict(self.template), sam.FUNCTION)

    def client(self, service: str) -> Any:
        if service not in self._clients:
            make: Any = boto3.client  # the overloads want literal names
            self._clients[service] = make(service, region_name=REGION)
        return self._clients[service]

    def resolve(self, value: object) -> str:
        """A value of the template as CloudFormation would give it to the function."""
        if isinstance(value, Mapping):
            ((kind, argument),) = value.items()
            if kind == "Ref":
                return self.refs[argument]
            if kind == "Fn::Sub":
                text = str(argument)
                for name, ref in self.refs.items():
                    text = text.replace(f"${{{name}}}", ref)
                assert "${" not in text, text
                return text
            raise NotImplementedError(kind)
        return str(value)

    def _make(self) -> None:
        self.refs = {"AWS::Region": REGION}
        for name, parameter in self.template["Parameters"].items():
            self.refs[name] = str(parameter.get("Default", ""))
        self.refs["System"] = SYSTEM
        parameters: dict[str, Mapping[str, Any]] = {}
        for logical_id, resource in self.template["Resources"].items():
            properties = resource.get("Properties", {})
            match resource["Type"]:
                case "AWS::DynamoDB::Table":
                    name = self.resolve(properties.get("TableName", logical_id))
                    self.refs[logical_id] = self._table(name, properties)
                case "AWS::SQS::Queue":
                    name = self.resolve(properties["QueueName"])
                    self.refs[logical_id] = self.client("sqs").create_queue(QueueName=name)["QueueUrl"]
                case "AWS::Events::EventBus":
                    self.refs[logical_id] = self.resolve(properties["Name"])
                    self.client("events").create_event_bus(Name=self.refs[logical_id])
                case "AWS::SSM::Parameter":
                    self.refs[logical_id] = self.resolve(properties["Name"])
                    parameters[logical_id] = properties
        self.refs |= {name: name for name in self.functions}
        for logical_id, properties in parameters.items():
            # Its real value names the API, which is not here.
            elsewhere = logical_id == "ServicesUrlParameter"
            value = NOBODY_LISTENS if elsewhere else self.resolve(properties["Value"])
            self._parameter(self.refs[logical_id], value)
        self.put_keys_back()

    def put_keys_back(self) -> None:
        """Makes keys what they were in the beginning: one of each, and the public signing key published."""
        self._parameter(f"/{SYSTEM}/keys/token-signing", signing_ring_json(Ring(self.signing_key)), secure=True)
        for service, scopes in deployment.service_identities().items():
            ring = {"current": "s" * 64, "scopes": " ".join(sorted(scopes))}
            self._parameter(f"/{SYSTEM}/keys/services/{service}", json.dumps(ring), secure=True)
        self._parameter(f"/{SYSTEM}/token-verification-keys", public_jwks_json([self.signing_key]))

    def _table(self, name: str, properties: Mapping[str, Any]) -> str:
        taken = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
        request = {part: properties[part] for part in taken if part in properties}
        if "StreamSpecification" in properties:
            request["StreamSpecification"] = {"StreamEnabled": True, **properties["StreamSpecification"]}
        self.client("dynamodb").create_table(TableName=name, **request)
        return name

    def stream(self, table: str) -> list[dict[str, Any]]:
        """All that was written into a table, as its publisher is handed it."""
        streams = self.client("dynamodbstreams")
        arn = self.client("dynamodb").describe_table(TableName=self.refs[table])["Table"]["LatestStreamArn"]
        (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records: list[dict[str, Any]] = streams.get_records(ShardIterator=iterator, Limit=1000)["Records"]
        return records

    def _parameter(self, name: str, value: str, *, secure: bool = False) -> None:
        kind = "SecureString" if secure else "String"
        self.client("ssm").put_parameter(Name=name, Value=value, Type=kind, Overwrite=True)

    def indexes(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Table -> index -> its key attributes, partition key first."""
        return {
            self.refs[table]: {
                index["IndexName"]: tuple(key["AttributeName"] for key in index["KeySchema"])
                for index in properties.get("GlobalSecondaryIndexes", ())
            }
            for table, properties in sam.resources_of(dict(self.template), sam.TABLE).items()
        }

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Everything in every table, for `put_back`."""
        return {table: self.items(table) for table in sam.resources_of(dict(self.template), sam.TABLE)}

    def put_back(self, tables: Mapping[str, list[dict[str, Any]]]) -> None:
        """Makes the tables what they were; what did not change is left alone."""
        client = self.client("dynamodb")
        for table, wanted in tables.items():
            found = self.items(table)
            for item in (item for item in found if item not in wanted):
                client.delete_item(TableName=self.refs[table], Key={name: item[name] for name in ("pk", "sk")})
            for item in (item for item in wanted if item not in found):
                client.put_item(TableName=self.refs[table], Item=item)

    def items(self, table: str) -> list[dict[str, Any]]:
        """Every item of a table, as it goes over the wire."""
        found: list[dict[str, Any]] = []
        for page in self.client("dynamodb").get_paginator("scan").paginate(TableName=self.refs[table]):
            found.extend(page["Items"])
        return found


@contextmanager
def only_environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """`wanted`, dummy credentials and nothing else of AWS or of ours."""
    before = dict(os.environ)
    kept = {name: value for name, value in before.items() if name in {"PATH", "HOME", "TMPDIR", "LANG"}}
    credentials = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    os.environ.clear()
    os.environ.update({**kept, **credentials, **wanted})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def forget_everything() -> None:
    """Empties every `functools.cache` of the services and of library_common, as a new process would start."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0].endswith("_service") or name.split(".")[0] == "library_common":
            for value in vars(module).values():
                clear = getattr(value, "cache_clear", None)
                if clear is not None:
                    clear()
