"""The stacks' templates as the tests look at them: one document, functions with their handlers, rights and routes."""

import copy
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from localstack.embedded import composition, template
from localstack.embedded.layout import TEMPLATE
from tools.api_template import NONE

REPEATED = {
    "DependenciesLayer",
    "CommonLayer",
    "LogGroup",
    "DeadLetterRegistry",
    "PublisherRegistry",
    "ServiceIdentity",
}
"""Called the same in several stacks; in the one document each has its stack's name before its own."""

_ARN = "arn:${AWS::Partition}:%s:${AWS::Region}:${AWS::AccountId}:%s"


@cache
def stacks() -> dict[str, dict[str, Any]]:
    """Name of each stack -> its template, in the order of deployment; short forms of functions are spelt out."""
    return {stack.name: template.load(stack.template_file) for stack in composition.stacks(TEMPLATE)}


@cache
def load() -> dict[str, Any]:
    """All stacks as one template. What `Globals` say of functions stands in each function."""
    whole: dict[str, Any] = {"Parameters": {}, "Conditions": {}, "Resources": {}, "Outputs": {}}
    for name, source in stacks().items():
        for part in ("Parameters", "Conditions", "Outputs"):
            whole[part] |= source.get(part, {})
        of_all = source.get("Globals", {}).get("Function", {})
        for logical_id, found in source["Resources"].items():
            resource = copy.deepcopy(found) | {"Stack": name}
            if resource["Type"] == template.FUNCTION:
                resource["Properties"] = _with_globals(resource["Properties"], of_all)
            key = f"{name.capitalize()}{logical_id}" if logical_id in REPEATED else logical_id
            assert key not in whole["Resources"], f"{logical_id} is in two stacks: tests and operators go by its name"
            whole["Resources"][key] = resource
    return whole


def _with_globals(own: Mapping[str, Any], of_all: Mapping[str, Any]) -> dict[str, Any]:
    variables = {
        name: value
        for given in (of_all, own)
        for name, value in given.get("Environment", {}).get("Variables", {}).items()
    }
    return {**of_all, **own, "Environment": {"Variables": variables}}


def of_type(resource_type: str) -> dict[str, dict[str, Any]]:
    """Logical id -> properties of every resource of the type, in all stacks."""
    return template.resources_of(load(), resource_type)


# -- what a function may do -----------------------------------------------------------------------


def arn(logical_id: str) -> str:
    """The ARN of a table, queue or function as a template would write it; without a name of its own its stack's."""
    resource = load()["Resources"][logical_id]
    properties, stack = resource["Properties"], resource["Stack"]
    generated = {"Fn::Sub": f"${{System}}-{stack}-{logical_id}-0123456789AB"}
    match resource["Type"]:
        case "AWS::SQS::Queue":
            return _ARN % ("sqs", properties.get("QueueName", generated)["Fn::Sub"])
        case "AWS::DynamoDB::Table":
            return _ARN % ("dynamodb", f"table/{properties.get('TableName', generated)['Fn::Sub']}")
        case template.FUNCTION:
            return _ARN % ("lambda", f"function:{properties['FunctionName']['Fn::Sub']}")
    raise NotImplementedError(resource["Type"])


@cache
def _arns() -> dict[str, str]:
    types = {"AWS::SQS::Queue", "AWS::DynamoDB::Table", template.FUNCTION}
    return {name: arn(name) for name, resource in load()["Resources"].items() if resource["Type"] in types}


def referred(value: Any) -> str:
    """The logical id in a `!Ref` or `!GetAtt`."""
    assert isinstance(value, Mapping), value
    ((kind, argument),) = value.items()
    return str(argument if kind == "Ref" else argument[0])


def listed(value: Any) -> list[Any]:
    """A value that may stand alone where several may stand."""
    return value if isinstance(value, list) else [value]


# -- functions ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Declared:
    """One method of one path in the API, and the authorizer it goes through (`NONE` for none)."""

    method: str
    path: str
    authorizer: str

    @property
    def key(self) -> tuple[str, str]:
        return self.method, self.path


@dataclass(frozen=True)
class Function:
    """One Lambda function."""

    logical_id: str
    properties: Mapping[str, Any]

    @property
    def resource(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = load()["Resources"][self.logical_id]
        return found

    @property
    def module(self) -> str:
        return str(self.properties["Handler"]).rpartition(".")[0]

    @property
    def attribute(self) -> str:
        return str(self.properties["Handler"]).rpartition(".")[2]

    @property
    def package(self) -> str:
        return self.module.split(".")[0]

    @property
    def name(self) -> str:
        """What it is called in AWS, after the system's name and a hyphen."""
        return str(self.properties["FunctionName"]["Fn::Sub"]).removeprefix("${System}-")

    def handler(self) -> Any:
        """What Lambda calls."""
        return getattr(importlib.import_module(self.module), self.attribute)

    def events(self, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Name and properties of the events of a kind that the function itself declares."""
        for name, event in (self.properties.get("Events") or {}).items():
            if event["Type"] == kind:
                yield name, event["Properties"]

    def sources(self) -> Iterator[Mapping[str, Any]]:
        """The event source mappings that feed it: queues and streams."""
        for mapping in of_type("AWS::Lambda::EventSourceMapping").values():
            if mapping["FunctionName"] == {"Ref": f"{self.logical_id}.Alias"}:
                yield mapping

    def statements(self) -> Iterator[dict[str, Any]]:
        """What its role allows, of its own policies and of those that were written for it."""
        for policy in self.properties.get("Policies", ()):
            yield from policy["Statement"]
        for policy in of_type("AWS::IAM::Policy").values():
            if policy["Roles"] == [{"Ref": f"{self.logical_id}Role"}]:
                yield from policy["PolicyDocument"]["Statement"]

    def allowed(self, action: str) -> set[str]:
        """Logical ids of the tables, queues and functions with which it may do this."""
        found: set[str] = set()
        for statement in self.statements():
            if action not in listed(statement["Action"]):
                continue
            for resource in listed(statement["Resource"]):
                if isinstance(resource, str):
                    continue
                if "Fn::GetAtt" in resource or "Ref" in resource:
                    found.add(referred(resource))
                else:
                    wanted = resource["Fn::Sub"].removesuffix("/stream/*")
                    found |= {name for name, known in _arns().items() if fnmatchcase(known, wanted)}
        return found

    def routes(self) -> list[Declared]:
        """What the API sends to this function."""
        return [route for called, route in api_routes() if called == self.name]


@cache
def functions() -> tuple[Function, ...]:
    return tuple(Function(logical_id, properties) for logical_id, properties in of_type(template.FUNCTION).items())


def function_named(logical_id: str) -> Function:
    """The one with this logical id."""
    (found,) = [function for function in functions() if function.logical_id == logical_id]
    return found


@cache
def api_definition() -> Mapping[str, Any]:
    """The OpenAPI definition of the API."""
    return template.api_definition(stacks()["api"])


@cache
def api_routes() -> tuple[tuple[str, Declared], ...]:
    """Every route of the API but the preflights, with the name of the function it goes to."""
    found = []
    for path, operations in api_definition()["paths"].items():
        for method, operation in operations.items():
            integration = operation["x-amazon-apigateway-integration"]
            if integration["type"] == "aws_proxy":
                called = integration["uri"]["Fn::Sub"].partition(":function:${System}-")[2].partition(":live/")[0]
                names = [name for scheme in operation.get("security", ()) for name in scheme]
                authorizer = names[0] if names else NONE
                found.append((called, Declared(method.upper(), path, authorizer)))
    return tuple(found)


def service_identities() -> dict[str, frozenset[str]]:
    """Which services may call others, and the scopes their tokens may claim, as the rotation is told."""
    return {
        identity["Service"]: frozenset(identity["Scopes"].split())
        for identity in of_type("Custom::ServiceIdentity").values()
    }
