"""What the plumbing writes into its log, as an operator would read it."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from library_common.telemetry import logger


@dataclass(frozen=True)
class Log:
    """Everything logged since the test began."""

    stream: io.StringIO

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def invocations(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["message"] == "invocation"]


@pytest.fixture
def log() -> Iterator[Log]:
    handler = logger().registered_handler
    stream = io.StringIO()
    before = handler.setStream(stream)  # type: ignore[attr-defined]  # a StreamHandler, typed as its base
    yield Log(stream)
    handler.setStream(before)  # type: ignore[attr-defined]  # as above
