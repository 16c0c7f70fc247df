"""What requests leave in the logs: one line per invocation, found by correlation id, without personal data."""

from pathlib import Path

import pytest

from localstack.embedded import logs
from localstack.embedded.aws import REGION
from localstack.embedded.stack import LocalStack
from localstack.embedded.state import StackFile
from tests.support.invocations import log_group
from tests.support.library_client import LibraryClient, created, eventually

pytestmark = pytest.mark.integration


def test_a_checkout_is_found_in_every_service_by_its_correlation_id(
    library: LibraryClient, stack: LocalStack, tmp_path: Path
) -> None:
    known = tmp_path / "stack.json"
    StackFile(
        base_url=stack.base_url,
        endpoint_url=stack.endpoint_url,
        region=REGION,
        accounts=[],
        tables=stack.tables,
        functions=stack.functions,
        system=stack.system,
        engine={"name": stack.engine.name, "version": stack.engine.version},
    ).write(known)
    member = library.add_member(name="Wilhelmina Personal", email="wilhelmina@personal.example", phone="+441214960123")
    headers = {**library.as_librarian(), "X-Correlation-Id": "followed-through"}
    body = {"user_id": member["id"], "book_id": library.add_book()["id"]}
    created(library.http.post("/api/loans", json=body, headers=headers))

    def followed() -> list[str]:
        found = logs.lines(known, "followed-through")
        routes = {line.split("  ")[2] for line in found}
        # What works on batches leaves a line under an id of its own.
        return found if {"stream library.loans", "stream library.books", "analytics"} <= routes else []

    lines = eventually(followed, "a line of everything the checkout set off")

    assert {"users", "books", "loans"} <= {line.split("  ")[1] for line in lines}
    assert any("POST /api/loans  201" in line for line in lines)
    everything = "\n".join(
        event["message"]
        for group in {log_group(stack, function) for function in stack.functions}
        for page in _events(stack, group)
        for event in page["events"]
    )
    for personal in ("Wilhelmina", "personal.example", "4960123"):
        assert personal not in everything
    assert "Bearer" not in everything


def _events(stack: LocalStack, group: str) -> list[dict[str, list[dict[str, str]]]]:
    client = stack.client("logs")
    try:
        return list(client.get_paginator("filter_log_events").paginate(logGroupName=group))
    except client.exceptions.ResourceNotFoundException:
        return []
