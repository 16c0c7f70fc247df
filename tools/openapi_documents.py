"""Writes docs/openapi: the OpenAPI document of every service, as the service itself serves it."""

from pathlib import Path

from tools import services
from tools.generated import Files, as_json, command

DOCUMENTS = services.ROOT / "docs" / "openapi"


def generate() -> Files:
    """One document per service with an HTTP API."""
    documents: dict[Path, str] = {}
    for service in services.with_module("http"):
        documents[DOCUMENTS / f"{service}.json"] = as_json(services.module(service, "http").api.openapi())
    return documents


if __name__ == "__main__":
    raise SystemExit(command(__doc__.splitlines()[0], generate, [DOCUMENTS], "make openapi"))
