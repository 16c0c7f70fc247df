"""template.yaml as the tests look at it: functions with their handlers and routes."""

import importlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from localstack.embedded import template
from localstack.embedded.layout import TEMPLATE

DEFAULT_AUTHORIZER = "Token"


@cache
def load() -> dict[str, Any]:
    """The template; short forms of CloudFormation functions are spelt out."""
    return template.load(TEMPLATE)


@dataclass(frozen=True)
class Declared:
    """One method of one path in the template, and the authorizer it goes through (`NONE` for none)."""

    event: str
    method: str
    path: str
    authorizer: str

    @property
    def key(self) -> tuple[str, str]:
        return self.method, self.path


@dataclass(frozen=True)
class Function:
    """One Lambda function of the template."""

    logical_id: str
    properties: Mapping[str, Any]

    @property
    def module(self) -> str:
        return str(self.properties["Handler"]).rpartition(".")[0]

    @property
    def attribute(self) -> str:
        return str(self.properties["Handler"]).rpartition(".")[2]

    @property
    def package(self) -> str:
        return self.module.split(".")[0]

    def handler(self) -> Any:
        """What Lambda calls."""
        return getattr(importlib.import_module(self.module), self.attribute)

    def events(self, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Name and properties of the event sources of a kind."""
        for name, event in (self.properties.get("Events") or {}).items():
            if event["Type"] == kind:
                yield name, event["Properties"]

    def routes(self) -> list[Declared]:
        """What the API sends to this function."""
        return [
            Declared(
                event=name,
                method=properties["Method"].upper(),
                path=properties["Path"],
                authorizer=(properties.get("Auth") or {}).get("Authorizer", DEFAULT_AUTHORIZER),
            )
            for name, properties in self.events("Api")
        ]


@cache
def functions() -> tuple[Function, ...]:
    return tuple(
        Function(logical_id, properties)
        for logical_id, properties in template.resources_of(load(), template.FUNCTION).items()
    )


def service_identities() -> dict[str, frozenset[str]]:
    """Which services may call others, and the scopes their tokens may claim, as authorizer and rotation are told."""
    text = load()["Resources"]["ServiceIdentities"]["Properties"]["Value"]["Fn::Sub"]
    return {name: frozenset(identity["scopes"].split()) for name, identity in json.loads(text).items()}
