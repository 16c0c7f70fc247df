"""SAM templates as data: read from YAML, pointed at uploaded packages, written as JSON.

Short forms (`!Ref`) become their long forms. CloudFormation reads JSON as well as YAML.
"""

import copy
import hashlib
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
    """Reads `!Ref X` as `{"Ref": "X"}`, as SAM does. In C: the API's template would take seconds otherwise."""


_Loader.add_multi_constructor("!", intrinsics_multi_constructor)


def load(path: Path) -> Template:
    """Reads a SAM template. Refuses when it is missing or not YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Refusal(f"There is no template at {path}.") from None
    return parse(text, path.name)


def parse(text: str, name: str) -> Template:
    """Parses a SAM template. Refuses when it is not YAML. `name`: its name in the refusal."""
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
    """The template as compact JSON."""

    def plain(value: object) -> str:
        # YAML reads an unquoted 2010-09-09 as a date.
        if isinstance(value, date):
            return value.isoformat()
        raise TypeError(f"{value!r} cannot be written into a template")

    return json.dumps(template, separators=(",", ":"), default=plain)


def resources_of(template: Template, resource_type: str) -> dict[str, dict[str, Any]]:
    """Logical id → properties of every resource of the type."""
    return {
        logical_id: resource.get("Properties", {})
        for logical_id, resource in template["Resources"].items()
        if resource.get("Type") == resource_type
    }


def with_uploaded_code(template: Template, upload: Callable[[str, str, str], str]) -> Template:
    """A copy in which local CodeUri and ContentUri are replaced by what ``upload`` returns for them.

    ``upload(logical_id, resource_type, folder)`` gets the folder as the template names it and returns an s3:// address.
    A function without a CodeUri has that of ``Globals``. What is an s3:// address already stays.
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


def with_parameters(template: Template, given: Mapping[str, str]) -> Template:
    """A copy in which other parameters make another template, so that they come into force.

    SAM publishes a version of a function, and a deployment of an API, when their text in the template changes. A
    parameter's value is not in the text. Functions get a digest of the parameters as a variable; API Gateway ignores
    the one in an API's definition.
    """
    rewritten = copy.deepcopy(template)
    digest = hashlib.sha256(json.dumps(dict(given), sort_keys=True).encode()).hexdigest()[:16]
    if resources_of(rewritten, FUNCTION):
        common = rewritten.setdefault("Globals", {}).setdefault("Function", {})
        common.setdefault("Environment", {}).setdefault("Variables", {})["PARAMETERS_DIGEST"] = digest
    for properties in resources_of(rewritten, API).values():
        if "DefinitionBody" in properties:
            properties["DefinitionBody"]["x-parameters-digest"] = digest
    return rewritten


def layer_folders(template: Template, function: Mapping[str, Any]) -> list[str]:
    """The ContentUri of a function's layers, in the function's order, if they are in this template."""
    common = template.get("Globals", {}).get("Function", {}).get("Layers", [])
    layers = resources_of(template, LAYER)
    names = (reference.get("Ref") for reference in [*common, *function.get("Layers", [])])
    return [layers[name]["ContentUri"] for name in names if name in layers]


def expiry_attributes(template: Template) -> dict[str, str]:
    """Logical id → time-to-live attribute, for each table that has one."""
    found = {}
    for logical_id, properties in resources_of(template, TABLE).items():
        rule = properties.get("TimeToLiveSpecification", {})
        if rule.get("Enabled"):
            found[logical_id] = rule["AttributeName"]
    return found


def archive_of_events(template: Template) -> dict[str, Any] | None:
    """The properties of the template's event archive; None without one."""
    return next(iter(resources_of(template, "AWS::Events::Archive").values()), None)


def api_definition(template: Template) -> dict[str, Any]:
    """The OpenAPI definition of the template's API; empty without one."""
    for properties in resources_of(template, API).values():
        definition: dict[str, Any] = properties.get("DefinitionBody", {})
        return definition
    return {}
