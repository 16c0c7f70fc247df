"""The running invocation: correlation id, caller, route and the capacity it used.

It is a mutable record in a context variable, so that the Lambda handler and FastAPI's worker threads
share one.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from library_common.ids import new_id

_CORRELATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")

MAX_CORRELATION_IDS = 100
"""Correlation ids of a batch in its log line: 7 KB at most."""


@dataclass
class Invocation:
    """The running invocation. Capacity is in DynamoDB request units, as DynamoDB itself reports them.

    limit_*: used by the rate limits, not by the request itself. log_fields: more fields for the log line.
    counts: counters for the log line (`library_common.telemetry.count`).
    batch: the distinct correlation ids of a batch, in the order in which they were added.
    status: how it ended, for the log line. started: on the clock of `time.perf_counter`.
    """

    correlation_id: str
    actor: str = "system"
    route: str = ""
    status: int | str = "failed"
    error_code: str | None = None
    read_units: float = 0.0
    write_units: float = 0.0
    outgoing_calls: int = 0
    limit_calls: int = 0
    limit_reads: float = 0.0
    limit_writes: float = 0.0
    log_fields: dict[str, str] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    batch: dict[str, None] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    def add_correlation_id(self, correlation_id: str | None) -> None:
        """Adds the id of a message or event of the batch. Ignores ids that are not safe to log, and those beyond
        `MAX_CORRELATION_IDS`.
        """
        if correlation_id and len(self.batch) < MAX_CORRELATION_IDS and _CORRELATION.fullmatch(correlation_id):
            self.batch[correlation_id] = None


_current: ContextVar[Invocation | None] = ContextVar("invocation", default=None)


def current() -> Invocation:
    """The running invocation. A new record outside of one, as in a script or test."""
    return _current.get() or Invocation(correlation_id=new_id())


def accepted_correlation_id(offered: str | None) -> str:
    """The offered id if it is safe to log and pass on, else a new one."""
    return offered if offered and _CORRELATION.fullmatch(offered) else new_id()


@contextmanager
def invocation(correlation_id: str | None = None, actor: str = "system") -> Iterator[Invocation]:
    """Opens a record for one invocation, or for one message of a batch."""
    record = Invocation(correlation_id=accepted_correlation_id(correlation_id), actor=actor)
    token = _current.set(record)
    try:
        yield record
    finally:
        _current.reset(token)
