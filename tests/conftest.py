"""What is under test, and on what: printed at the head of every run."""

import gc
import os
from importlib.metadata import version

from hypothesis import HealthCheck, settings

from tests.depth import DEPTH, at_depth

collect_ignore = ["support/throwaway_service"]
"""Runs in a copy of the repository only: `tests/integration/local/test_new_service.py`."""

# How long an example takes, or to think of one, says more about the machine than about the code; a test that hangs is
# ended by pytest's own timeout.
settings.register_profile(
    DEPTH,
    max_examples=at_depth(quick=10, full=100),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(DEPTH)


def pytest_report_header() -> list[str]:
    """The engines and their versions. A run on MiniStack is never called one on LocalStack."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    deployed = f"whatever answers at {endpoint}" if endpoint else f"MiniStack {version('ministack')}, embedded"
    return [f"deployed stack: {deployed}", f"adapters: moto {version('moto')}", f"depth: {DEPTH}"]


def pytest_collection_finish() -> None:
    """Modules, tests and their parameters live to the end: nobody has to look through them for garbage again."""
    gc.collect()
    gc.freeze()
