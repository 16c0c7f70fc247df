"""The committed event schemas and samples, and validating against them."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from tools.event_schemas import SCHEMAS

SAMPLES = SCHEMAS.parent / "samples"
AWAITED = SCHEMAS.parent / "awaited"
"""Samples of what nobody produces yet, for the consumers that are to understand it."""


def schema_files() -> list[Path]:
    return sorted(SCHEMAS.rglob("*.json"))


def sample_files() -> list[Path]:
    return sorted(SAMPLES.rglob("*.json"))


def awaited_files() -> list[Path]:
    return sorted(AWAITED.rglob("*.json"))


def newest_only(paths: list[Path]) -> list[Path]:
    """Of every type the latest version: what is sent today."""
    newest: dict[tuple[str, str], tuple[int, Path]] = {}
    for path in paths:
        kind, _, version = path.stem.rpartition(".v")
        key = (path.parent.name, kind)
        if key not in newest or int(version) > newest[key][0]:
            newest[key] = (int(version), path)
    return [path for _, path in newest.values()]


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


@cache
def validator(source: str, kind: str, version: int) -> Validator:
    """For the envelopes of one event type."""
    schema = read(SCHEMAS / source / f"{kind}.v{version}.json")
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def complaints(source: str, envelope: dict[str, Any]) -> list[str]:
    """What is wrong with an envelope that `source` put on the bus; nothing, most of the time."""
    path = SCHEMAS / source / f"{envelope['type']}.v{envelope['version']}.json"
    if not path.is_file():
        return [f"there is no {path.name} for {source}"]
    found = validator(source, envelope["type"], envelope["version"]).iter_errors(envelope)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in found]
