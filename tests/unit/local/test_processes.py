"""Starting processes, recognising them later, and stopping them with all they started."""

import os
import sys
from pathlib import Path

import psutil
import pytest

from localstack.embedded.processes import StartedProcess, bare_environment

pytestmark = pytest.mark.unit

# Starts a child of its own and tells both ids once it listens to signals.
PARENT = """
import signal, subprocess, sys, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def _start(tmp_path: Path, *arguments: str) -> tuple[StartedProcess, psutil.Process]:
    log = tmp_path / "log"
    process = StartedProcess.start(
        "parent", [sys.executable, "-c", PARENT, *arguments], env=bare_environment(), cwd=tmp_path, log=log
    )
    while not log.read_text().endswith("\n"):
        assert process.running()
    return process, psutil.Process(int(log.read_text()))


def _gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_stopping_ends_a_process_and_what_it_started(tmp_path: Path) -> None:
    process, child = _start(tmp_path)

    assert process.running()
    assert process.stop(grace_seconds=10, orphan_grace_seconds=0.1) is True
    assert not process.running()
    assert _gone(child)
    assert process.stop(grace_seconds=10) is True


def test_a_process_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    process, child = _start(tmp_path, "stubborn")

    assert process.stop(grace_seconds=0.2, orphan_grace_seconds=0.1) is False
    assert not process.running()
    assert _gone(child)


def test_another_process_with_the_same_id_is_left_alone() -> None:
    stale = StartedProcess("old", os.getpid(), began=1.0)

    assert not stale.running()
    assert stale.stop(grace_seconds=0.1) is True


def test_a_started_process_does_not_inherit_what_could_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "company")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")

    assert not {"AWS_PROFILE", "PYTHONPATH"} & bare_environment().keys()
    assert "PATH" in bare_environment()
