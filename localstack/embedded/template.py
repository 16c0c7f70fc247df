"""template.yaml as data: reading it, and pointing it at uploaded packages.

The result is JSON, which CloudFormation reads as well as YAML; the short forms (`!Ref`) become their
long ones on the way.
"""

import copy
import json
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from samtranslator.yaml_helper import intrinsics_multi_constructor

from localstack.embedded.errors import Refusal

type Template = dict[str, Any]

FUNCTION = "AWS::Serverless::Function"
LAYER = "AWS::Serverless::LayerVersion"
API = "AWS::Serverless::Api"
TABLE = "AWS::DynamoDB::Table"


class _Loader(yaml.CSafeLoader):
    """Reads `!Ref X` as `{"Ref": "X"}`, as SAM does; in C, since the API's template takes seconds otherwise."""


_Loader.add_multi_constructor("!", intrinsics_multi_constructor)


def load(path: Path) -> Template:
    """Reads a SAM template. Refuses when it is missing or not YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Refusal(f"There is no template at {path}.") from None
    return parse(text, path.name)


def parse(text: str, name: str) -> Template:
    """A SAM template out of its text. Refuses when it is not YAML; `name` is how the refusal calls it."""
    try:
        template = yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" near line {where.line + 1}" if where is not None else ""
        raise Refusal(f"{name} is not valid YAML{line}.") from error
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
        raise Refusal(f"{name} has no Resources.")
    return template


def dump(template: Template) -> str:
    """The template as JSON text, as short as it gets."""

    def plain(value: object) -> str:
        # YAML reads an unquoted 2010-09-09 as a date.
        if isinstance(value, date):
            return value.isoformat()
        raise TypeError(f"{value!r} has no place in a template")

    return json.dumps(template, separators=(",", ":"), default=plain)


def resources_of(template: Template, resource_type: str) -> dict[str, dict[str, Any]]:
    """Logical id → properties of every resource of the type."""
    return {
        logical_id: resource.get("Properties", {})
        for logical_id, resource in template["Resources"].items()
        if resource.get("Type") == resource_type
    }


def with_uploaded_code(template: Template, upload: Callable[[str, str, str], str]) -> Template:
    """A copy whose local CodeUri and ContentUri are what ``upload`` returned for them.

    ``upload(logical_id, resource_type, folder)`` gets the folder as the template writes it, of a function its own or
    that of all functions, and returns an s3:// address. What names an address already stays as it is.
    """
    rewritten = copy.deepcopy(template)
    of_all = rewritten.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    for resource_type, attribute in ((FUNCTION, "CodeUri"), (LAYER, "ContentUri")):
        for logical_id, properties in resources_of(rewritten, resource_type).items():
            location = properties.get(attribute, of_all if resource_type == FUNCTION else None)
            if "InlineCode" in properties or not isinstance(location, str):
                continue
            local = not location.startswith("s3://")
            properties[attribute] = upload(logical_id, resource_type, location) if local else location
    return rewritten


def layer_folders(template: Template, function: Mapping[str, Any]) -> list[str]:
    """The ContentUri of the template's own layers that a function lists, in its order."""
    common = template.get("Globals", {}).get("Function", {}).get("Layers", [])
    layers = resources_of(template, LAYER)
    names = (reference.get("Ref") for reference in [*common, *function.get("Layers", [])])
    return [layers[name]["ContentUri"] for name in names if name in layers]


def expiry_attributes(template: Template) -> dict[str, str]:
    """Logical id of a table → the attribute its items expire by, for tables that have one."""
    found = {}
    for logical_id, properties in resources_of(template, TABLE).items():
        rule = properties.get("TimeToLiveSpecification", {})
        if rule.get("Enabled"):
            found[logical_id] = rule["AttributeName"]
    return found


def archive_of_events(template: Template) -> dict[str, Any] | None:
    """The properties of the template's archive of events, if it has one."""
    return next(iter(resources_of(template, "AWS::Events::Archive").values()), None)


def api_definition(template: Template) -> dict[str, Any]:
    """The OpenAPI definition of the template's one API (empty when it has none)."""
    for properties in resources_of(template, API).values():
        definition: dict[str, Any] = properties.get("DefinitionBody", {})
        return definition
    return {}
