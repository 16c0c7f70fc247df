"""Reads the log lines that services write."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from library_common.telemetry import logger


@dataclass(frozen=True)
class OperatorLog:
    """The lines logged since reading began."""

    stream: io.StringIO

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def invocations(self) -> list[dict[str, Any]]:
        """The lines of invocations, one each."""
        return [line for line in self.lines if line["message"] == "invocation"]


@contextmanager
def reading_the_log() -> Iterator[OperatorLog]:
    """The process's logger outlives a test and its captured stdout; so its handler is pointed here meanwhile.

    Not by `setStream`, which flushes the stream before: that may be an earlier test's, and closed.
    """
    handler = cast("logging.StreamHandler[Any]", logger().registered_handler)
    stream = io.StringIO()
    before, handler.stream = handler.stream, stream
    try:
        yield OperatorLog(stream)
    finally:
        handler.stream = before
