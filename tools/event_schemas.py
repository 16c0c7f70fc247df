"""Writes events/schemas: one JSON Schema per event type and version, from the models in `domain/events.py`.

A schema describes the whole envelope, so it can validate the `detail` that a rule delivers. It is strict about
what producers send: only declared fields, and no nulls, because envelopes leave out unknown values
(`library_common.events.envelope_for`).
"""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from tools import services
from tools.generated import Files, as_json, command

SCHEMAS = services.ROOT / "events" / "schemas"
SOURCE_PREFIX = "library."

_ID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
_UTC = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$"

ENVELOPE: dict[str, dict[str, Any]] = {
    "id": {
        "type": "string",
        "pattern": f"^{_ID}$",
        "description": "ULID of the event itself: what consumers tell repeats by.",
    },
    "type": {"description": "The detail type on the bus."},
    "version": {"description": "Of the data's shape."},
    "occurred_at": {"type": "string", "format": "date-time", "pattern": _UTC, "description": "UTC."},
    "correlation_id": {
        "type": "string",
        "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$",
        "description": "Of the request or event that led to this one.",
    },
    "actor": {
        "type": "string",
        "pattern": "^(anonymous|system|user:.+|service:.+)$",
        "description": "Who did it: `user:<id>`, `service:<name>`, `anonymous` or `system`.",
    },
    "subject": {
        "type": "string",
        "pattern": f"^[a-z]+:{_ID}$",
        "description": "What it happened to: `<kind>:<id>`.",
    },
    "data": {},
}
"""The fields of `library_common.events.Envelope`, stricter than the model."""


class _WithoutFieldTitles(GenerateJsonSchema):
    """Leaves out titles of fields: they only repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


def event_types(events: ModuleType) -> Iterator[type[BaseModel]]:
    """The event models that a module declares: those with a `type`."""
    for value in vars(events).values():
        declared_here = isinstance(value, type) and value.__module__ == events.__name__
        if declared_here and issubclass(value, BaseModel) and isinstance(getattr(value, "type", None), str):
            yield value


def schema_of(source: str, event: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of the envelope of one event type."""
    kind, version = str(getattr(event, "type", "")), int(getattr(event, "version", 0))
    data = event.model_json_schema(mode="serialization", schema_generator=_WithoutFieldTitles)
    definitions = data.pop("$defs", {})
    for described in (data, *definitions.values()):
        _close(described)
    properties = {name: dict(described) for name, described in ENVELOPE.items()}
    properties["type"] = {"const": kind, **properties["type"]}
    properties["version"] = {"const": version, **properties["version"]}
    properties["data"] = data
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:smart-library:events:{source}:{kind}:v{version}",
        "title": f"{kind} v{version}",
        "description": f"`detail` of the events with source `{SOURCE_PREFIX}{source}` and detail type `{kind}`.",
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **({"$defs": definitions} if definitions else {}),
    }


def generate() -> Files:
    """The schemas of all services. Schemas of earlier versions are kept unchanged."""
    files: dict[Path, str] = {}
    for source in services.with_module("domain.events"):
        for event in event_types(services.module(source, "domain.events")):
            schema = schema_of(source, event)
            kind, version = (schema["properties"][name]["const"] for name in ("type", "version"))
            files[SCHEMAS / source / f"{kind}.v{version}.json"] = as_json(schema)
            for earlier in range(1, version):
                path = SCHEMAS / source / f"{kind}.v{earlier}.json"
                # Its model is gone, so it cannot be generated again. If the file is missing, restore it from git.
                files[path] = path.read_text(encoding="utf-8")
    return files


def _close(described: dict[str, Any]) -> None:
    """Allows only the declared fields. A field that may be None becomes optional instead."""
    if described.get("type") != "object" or "properties" not in described:
        return
    described["additionalProperties"] = False
    for name, field in described["properties"].items():
        alternatives = [one for one in field.get("anyOf", ()) if one != {"type": "null"}]
        if len(alternatives) == len(field.get("anyOf", ())):
            continue
        described["required"] = [other for other in described.get("required", ()) if other != name]
        rest = {key: value for key, value in field.items() if key not in {"anyOf", "default"}}
        described["properties"][name] = (
            {**alternatives[0], **rest} if len(alternatives) == 1 else {"anyOf": alternatives, **rest}
        )


if __name__ == "__main__":
    raise SystemExit(command(__doc__.splitlines()[0], generate, [SCHEMAS], "make events"))
