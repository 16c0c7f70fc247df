"""Processes of a run: started in a session of their own, recognised later, stopped in order.

A process is remembered as its id together with the moment it began, so that a stale record never
makes anybody stop a stranger that was given the same id.
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
    """A process this runner started; ``began`` is seconds since the epoch as the system reports it."""

    name: str
    pid: int
    began: float

    @classmethod
    def start(cls, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> Self:
        """Starts ``command`` with exactly ``env``; its output goes to ``log``.

        It leads a session of its own: a Ctrl-C in the terminal reaches the runner alone, which then
        stops its processes in the right order.
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

    def stop(self, *, patience: float, orphan_patience: float = 2.0) -> bool:
        """Asks it to end and waits ``patience`` seconds, then ends it and whatever it started.

        What it started gets ``orphan_patience`` seconds to end by itself: an emulator's workers do when
        the pipe from it closes. Returns whether the process ended when asked. Stopping what has ended
        already is no error.
        """
        handle = self._handle()
        if handle is None:
            return True
        # Taken before it ends: afterwards nobody can tell which processes were its children.
        family = _descendants(handle)
        handle.terminate()
        left = self._still_alive([handle], patience)
        _kill(left)
        orphans = self._still_alive(family, orphan_patience)
        _kill(orphans)
        self._still_alive([*left, *orphans], 5)
        return not left

    def _still_alive(self, processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
        """Waits until all have ended, at most that long; returns those that have not."""
        deadline = time.monotonic() + seconds
        while True:
            self._reap()
            left = [process for process in processes if _alive(process)]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.02)

    def _handle(self) -> psutil.Process | None:
        # The child of this very process stays in the process table until somebody asks how it ended.
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


# Popen objects of processes this interpreter started, by process id: the system keeps an ended child
# until its parent has asked for its exit code.
_children: dict[int, subprocess.Popen[bytes]] = {}


def _alive(process: psutil.Process) -> bool:
    try:
        # An ended process may stay in the table as a zombie when nobody takes note of its end.
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
    """The few variables a started process gets from this one.

    Anything else stays outside: a developer's AWS profile or PYTHONPATH would change what the
    functions do, since the emulator hands its own environment down to them.
    """
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT")
    return {name: os.environ[name] for name in kept if name in os.environ}
