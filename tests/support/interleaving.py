"""Concurrent actions, reproducible: a seeded random source decides which action runs next.

Each action runs in a thread of its own, but only one of them moves at any moment, from one `step` to
its next. The same seed gives the same order, so a failure can be run again.
"""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


class Crashed(BaseException):
    """The process running an action died here. Not an Exception, so that nothing in the action handles it."""


@dataclass
class _Runner:
    action: Callable[[], object]
    may_go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    done: bool = False
    failure: BaseException | None = None


class Interleaver:
    """Runs actions interleaved. crash: probability that an action dies at a step, from 0 to 1."""

    def __init__(self, dice: random.Random, *, crash: float = 0.0) -> None:
        self._dice = dice
        self._crash = crash
        self._paused = threading.Semaphore(0)
        self._running = threading.local()

    def run(self, actions: Sequence[Callable[[], object]]) -> None:
        """Runs all actions to their end or crash; raises the first failure of any."""
        runners = [_Runner(action) for action in actions]
        threads = [threading.Thread(target=self._run_one, args=(runner,), daemon=True) for runner in runners]
        for thread in threads:
            thread.start()
        alive = list(runners)
        while alive:
            runner = self._dice.choice(alive)
            runner.may_go.release()
            self._paused.acquire()
            if runner.done:
                alive.remove(runner)
        for thread in threads:
            thread.join()
        for runner in runners:
            if runner.failure is not None:
                raise runner.failure

    def step(self) -> None:
        """Called by an action where others may run in between. Does nothing outside `run`."""
        runner: _Runner | None = getattr(self._running, "runner", None)
        if runner is None:
            return
        self._paused.release()
        runner.may_go.acquire()
        if self._dice.random() < self._crash:
            raise Crashed

    def _run_one(self, runner: _Runner) -> None:
        self._running.runner = runner
        runner.may_go.acquire()
        try:
            runner.action()
        except Crashed:
            pass
        except BaseException as exc:  # noqa: BLE001 - handed to the caller of `run`
            runner.failure = exc
        finally:
            runner.done = True
            self._paused.release()
