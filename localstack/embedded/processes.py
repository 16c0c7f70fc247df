"""Processes of a run: started in their own sessions, recognised later, and stopped in order.

A process is recorded with its id and its start time. A process that later gets the same id is not mistaken for it.
"""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil


@dataclass(frozen=True, slots=True)
class StartedProcess:
    """A process that this runner started. ``began``: its start time according to the system, in epoch seconds."""

    name: str
    pid: int
    began: float

    @classmethod
    def start(cls, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> Self:
        """Starts ``command`` with exactly ``env``; its output goes to ``log``.

        It gets its own session: Ctrl-C in the terminal reaches only the runner, which stops its processes in order.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            child = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _children[child.pid] = child
        return cls(name=name, pid=child.pid, began=psutil.Process(child.pid).create_time())

    def running(self) -> bool:
        """Whether this very process, not just its id, is alive."""
        return self._handle() is not None

    def stop(self, *, grace_seconds: float, orphan_grace_seconds: float = 2.0) -> bool:
        """Sends SIGTERM, waits ``grace_seconds``, then kills the process and its descendants.

        The descendants get ``orphan_grace_seconds`` to end by themselves, as an emulator's workers do when their pipe
        closes. Returns whether the process ended in time; True for one that had ended before.
        """
        handle = self._handle()
        if handle is None:
            return True
        # Must be listed before it ends: afterwards its children are not known.
        family = _descendants(handle)
        handle.terminate()
        left = self._still_alive([handle], grace_seconds)
        _kill(left)
        orphans = self._still_alive(family, orphan_grace_seconds)
        _kill(orphans)
        self._still_alive([*left, *orphans], 5)
        return not left

    def _still_alive(self, processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
        """Waits at most ``seconds`` for all of them to end. Returns those that have not."""
        deadline = time.monotonic() + seconds
        while True:
            self._reap()
            left = [process for process in processes if _alive(process)]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.02)

    def _handle(self) -> psutil.Process | None:
        # A child of this process stays in the process table until its exit code is read.
        self._reap()
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.began) < 0.01
        except psutil.NoSuchProcess:
            return None
        return process if same and _alive(process) else None

    def _reap(self) -> None:
        child = _children.get(self.pid)
        if child is not None:
            child.poll()


# Popen objects of the processes this interpreter started, by process id. Polling them removes ended children from the
# process table.
_children: dict[int, subprocess.Popen[bytes]] = {}


def _alive(process: psutil.Process) -> bool:
    try:
        # An ended process stays in the table as a zombie until its parent reads its exit code.
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def bare_environment() -> dict[str, str]:
    """The few variables that a started process inherits.

    The emulator passes its environment on to the functions, and a developer's AWS profile or PYTHONPATH would change
    what they do.
    """
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT")
    return {name: os.environ[name] for name in kept if name in os.environ}
