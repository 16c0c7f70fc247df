"""Importing does nothing but import: no clock, no environment, no files, no sockets, no boto3.

Otherwise tests are slow, a snapshot (SnapStart) keeps what was true when it was taken, and cold starts pay for
what a call may never need.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from localstack.embedded.layout import COMMON_LAYER, ROOT
from tests.architecture.deployment import functions
from tests.architecture.sources import FUNCTIONS, deployed, service_packages

pytestmark = pytest.mark.architecture

HEAVY = ("boto3", "botocore.client", "botocore.session")
"""A tenth of a second or more, and needed only by calls that reach AWS. (Powertools imports the bare `botocore`,
which is next to nothing.)"""
WEB = ("fastapi", "starlette", "mangum")

HTTP_HANDLERS = [m.name for m in deployed() if m.layer == "http" and m.package in service_packages()]


def imported(modules: Sequence[str], *roots: Path) -> dict[str, Any]:
    """What the probe reports, in a process that has no AWS settings and no settings of ours."""
    folders = [*roots, COMMON_LAYER, *sorted(FUNCTIONS.glob("*/src")), ROOT]
    finished = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.architecture.import_probe",
            json.dumps({"modules": list(modules), "roots": [str(root) for root in roots]}),
        ],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, folders))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    report: dict[str, Any] = json.loads(finished.stdout)
    return report


def of(packages: Sequence[str], loaded: Sequence[str]) -> list[str]:
    return [name for name in loaded if any(name == package or name.startswith(f"{package}.") for package in packages)]


def test_importing_any_module_has_no_effect_and_looks_at_nothing() -> None:
    report = imported([module.name for module in deployed()], COMMON_LAYER, FUNCTIONS)

    assert report["offences"] == []
    assert {module.name for module in deployed()} <= set(report["loaded"])


def test_an_http_handler_is_imported_without_boto3() -> None:
    assert len(HTTP_HANDLERS) >= 4

    # All of them in one process; one by one only to say which it is.
    if of(HEAVY, imported(HTTP_HANDLERS, FUNCTIONS)["loaded"]):
        assert [handler for handler in HTTP_HANDLERS if of(HEAVY, imported([handler], FUNCTIONS)["loaded"])] == []


def test_no_entry_point_is_imported_with_boto3() -> None:
    """The others: publishers, consumers, the authorizer and so on. They do without the web framework, too."""
    entries = [function.module for function in functions() if not function.routes()]
    assert len(entries) >= 4

    assert of((*HEAVY, *WEB), imported(entries, FUNCTIONS)["loaded"]) == []


def test_use_cases_and_domains_are_imported_without_frameworks() -> None:
    """What they import from library_common does not bring one in either."""
    inner = [module.name for module in deployed() if module.layer in {"domain", "application"}]

    assert of((*HEAVY, *WEB), imported(inner, FUNCTIONS)["loaded"]) == []


@pytest.mark.parametrize(
    ("line", "offence"),
    [
        ("import os\nregion = os.environ.get('AWS_REGION')", "reads the environment"),
        ("import os\nregion = os.getenv('AWS_REGION')", "reads the environment (AWS_REGION)"),
        ("from datetime import UTC, datetime\nSTARTED = datetime.now(UTC)", "calls datetime.datetime.now"),
        ("from datetime import date\nTODAY = date.today()", "calls datetime.date.today"),
        ("import time\nSTARTED = time.time()", "calls time.time"),
        ("import time\ntime.sleep(0)", "calls time.sleep"),
        ("from pathlib import Path\nTEXT = Path(__file__).read_text()", "open"),
        ("TEXT = open(__file__).read()", "open"),
        ("import socket\nsocket.socket().connect_ex(('127.0.0.1', 9))", "calls socket.socket.connect_ex"),
        ("import subprocess\nsubprocess.run(['true'])", "calls _posixsubprocess.fork_exec"),
        (
            "from pydantic_settings import BaseSettings\nclass S(BaseSettings): x: int = 1\nS()",
            "reads the environment (whole)",
        ),
    ],
)
def test_the_probe_notices(tmp_path: Path, line: str, offence: str) -> None:
    (tmp_path / "offender.py").write_text(f'"""Does what imports must not do."""\n{line}\n')

    offences = imported(["offender"], tmp_path)["offences"]

    assert any(offence in found for found in offences), offences
