"""``make run`` and ``make stop``: starts the whole system, and stops it in order."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

import psutil

from localstack.embedded import complete_deployment, deploy, engine, login, mail, proxy_process, sample
from localstack.embedded.aws import REGION, Aws
from localstack.embedded.errors import Refusal
from localstack.embedded.examples import commands_to_try
from localstack.embedded.layout import LOCAL, SAMPLE_BOOKS, TEMPLATE, WorkDir
from localstack.embedded.ports import LOOPBACK, is_free, pick_free, require_free
from localstack.embedded.processes import StartedProcess
from localstack.embedded.progress import Progress
from localstack.embedded.state import ProcessesFile, StackFile

SYSTEM = "smart-library"
DEFAULT_ENDPOINT_PORT = 4566
_FREE_BYTES_NEEDED = 1024**3


@dataclass(slots=True)
class _Running:
    """The processes of this run."""

    work: WorkDir
    base_url: str
    proxy: StartedProcess | None = None
    ministack: StartedProcess | None = None
    runner: StartedProcess | None = None

    def record(self) -> None:
        alive = [process for process in (self.runner, self.proxy, self.ministack) if process is not None]
        ProcessesFile(self.base_url, alive).write(self.work.processes_file)

    def ended(self) -> str | None:
        """The name of a process that ended unexpectedly; None while all are running."""
        for process in (self.proxy, self.ministack):
            if process is not None and not process.running():
                return process.name
        return None

    def stop(self) -> bool:
        """Stops the proxy, then the emulator. Returns whether the emulator saved its state."""
        orderly = True
        if self.proxy is not None:
            self.proxy.stop(grace_seconds=10)
        if self.ministack is not None:
            orderly = engine.stop_ministack(self.ministack, self.work)
        self.work.processes_file.unlink(missing_ok=True)
        return orderly


def run(port: int, endpoint_port: int | None, *, detach: bool, work: WorkDir = LOCAL) -> None:
    """Starts everything and prints how to use it. Runs until Ctrl-C unless ``detach``.

    ``endpoint_port``: the port of the AWS services; None chooses 4566, or a free port when it is taken.
    Refuses when something prevents it, and stops what was started.
    """
    _require_nothing_running(work)
    work.make()
    require_disk(work.path)
    require_free(port, "PORT")
    if endpoint_port is None:
        endpoint_port = DEFAULT_ENDPOINT_PORT if is_free(DEFAULT_ENDPOINT_PORT) else pick_free()
    require_free(endpoint_port, "ENDPOINT_PORT")

    begun = time.monotonic()
    progress = Progress()
    myself = StartedProcess("runner", os.getpid(), psutil.Process().create_time())
    running = _Running(work, f"http://{LOOPBACK}:{port}", runner=myself)
    running.record()
    with stopping_on_signals():
        try:
            stack = _bring_up(running, port, endpoint_port, progress)
            _print_ready(stack, time.monotonic() - begun, detach=detach)
            if not detach:
                _stay(running)
        except KeyboardInterrupt:
            _shut_down(running, progress)
        except BaseException:
            running.stop()
            raise
        else:
            # Only a detached run gets here. Its processes keep running without this one.
            running.runner = None
            running.record()


def stop(work: WorkDir = LOCAL) -> bool:
    """Stops the running system. Returns False when nothing is running."""
    found = ProcessesFile.running(work.processes_file)
    if found is None:
        work.processes_file.unlink(missing_ok=True)
        return False
    by_name = {process.name: process for process in found.processes}
    if "runner" in by_name:
        # A run in the foreground stops its processes itself.
        by_name["runner"].stop(grace_seconds=90)
        found = ProcessesFile.running(work.processes_file)
        by_name = {process.name: process for process in found.processes} if found else {}
    left = _Running(work, "", proxy=by_name.get("proxy"), ministack=by_name.get("ministack"))
    if not left.stop():
        raise Refusal("MiniStack did not end in time and was killed: changes since its start are lost.")
    return True


def reset(work: WorkDir = LOCAL) -> None:
    """Stops the running system and deletes all local state."""
    stop(work)
    shutil.rmtree(work.path, ignore_errors=True)


def fresh_token(email: str | None, role: str | None, stack_file: Path = LOCAL.stack_file) -> str:
    """Logs in to the demo account with this e-mail or role. Returns its access token.

    Refuses when no such account is named, when nothing is running, and when the API refuses the login.
    """
    stack = StackFile.read(stack_file)
    for account in stack.accounts:
        if account.email == (email or "").lower() or (email is None and account.role == role):
            engine.of_known_stack(stack.endpoint_url)
            return login.log_in(stack.base_url, account.email, account.password).access_token
    known = ", ".join(account.role for account in stack.accounts)
    raise Refusal(f"Name a demo account: make token ROLE=... (one of {known}) or EMAIL=...")


def deploy_to(
    endpoint_url: str, stack_file: Path | None, *, service: str | None = None, work: WorkDir = LOCAL
) -> StackFile:
    """Deploys the system to a running emulator and adds the sample data. `service`: deploy only this stack.

    ``stack_file``: where to write what is known about it, or None. Refuses to overwrite the file of a current run.
    """
    if stack_file == work.stack_file and ProcessesFile.running(work.processes_file) is not None:
        raise Refusal("`make run` is running here: stop it first, or keep its stack file with NO_STACK_FILE=1.")
    work.make()
    progress = Progress()
    begun = time.monotonic()
    aws = Aws(endpoint_url)
    found = engine.identify(endpoint_url)
    deployed = _deploy(aws, found, work, progress, service)
    stack = _fill(aws, found, deployed, deploy.api_address(aws, deployed), progress)
    if stack_file is not None:
        stack.write(stack_file)
    progress.note(f"Deployed to {found.name} {found.version} in {time.monotonic() - begun:.0f} s: {stack.base_url}")
    return stack


def _bring_up(running: _Running, port: int, endpoint_port: int, progress: Progress) -> StackFile:
    work = running.work
    with progress.step("starting MiniStack"):
        running.ministack = engine.start_ministack(work, endpoint_port, persist=True)
        running.record()
    aws = Aws(f"http://{LOOPBACK}:{endpoint_port}")
    found = engine.identify(aws.endpoint_url)
    deployed = _deploy(aws, found, work, progress)
    with progress.step(f"opening {running.base_url}"):
        running.proxy = proxy_process.start_proxy(work, port, deploy.api_address(aws, deployed))
        running.record()
        proxy_process.wait_until_open(running.proxy, port, work)
    stack = _fill(aws, found, deployed, running.base_url, progress)
    stack.write(work.stack_file)
    return stack


def _deploy(
    aws: Aws, found: engine.Engine, work: WorkDir, progress: Progress, service: str | None = None
) -> deploy.Deployment:
    with progress.step(f"packaging and deploying to {found.name} {found.version}"):
        parameters = {"AdminEmail": sample.ADMINISTRATOR.email}
        deployed = deploy.deploy(aws, found, TEMPLATE, work.build, SYSTEM, parameters, service=service)
        complete_deployment.complete(aws, found, deployed, TEMPLATE)
    return deployed


def _fill(
    aws: Aws,
    found: engine.Engine,
    deployed: deploy.Deployment,
    base_url: str,
    progress: Progress,
) -> StackFile:
    with progress.step("demo accounts and sample titles"):
        data = sample.ensure(
            aws,
            SYSTEM,
            base_url,
            partial(mail.messages, aws.endpoint_url, found.name),
            SAMPLE_BOOKS,
            _print_hundreds(progress),
        )
    if data.report is not None:
        progress.note(f"  {data.report.created} titles added, {len(data.report.refused)} left out")
        for control_number, reason in data.report.refused:
            progress.note(f"    {control_number}: {reason}")
    return StackFile(
        base_url=base_url,
        endpoint_url=aws.endpoint_url,
        region=REGION,
        accounts=data.accounts,
        tables=deployed.tables,
        functions=deployed.functions,
        system=deployed.system,
        engine={"name": found.name, "version": found.version},
    )


def _print_hundreds(progress: Progress) -> Callable[[int, int], None]:
    def show(done: int, _total: int) -> None:
        if done % 100 == 0:
            progress.within(f"{done} ")

    return show


def _require_nothing_running(work: WorkDir) -> None:
    found = ProcessesFile.running(work.processes_file)
    if found is not None:
        raise Refusal(f"The system is already running at {found.base_url}: `make stop` stops it.")


def require_disk(folder: Path, needed_bytes: int = _FREE_BYTES_NEEDED) -> None:
    """Refuses when the disk of ``folder`` has less free space than needed."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise Refusal(
            f"Only {free // 1024**2} MB of disk are free here, running needs {needed_bytes // 1024**2} MB: "
            "free some space and try again."
        )


def _stay(running: _Running) -> None:
    """Waits for a signal. Refuses when a process ends unexpectedly."""
    while True:
        name = running.ended()
        if name is not None:
            raise Refusal(f"The {name} process ended unexpectedly, see {running.work.logs / name}.log.")
        time.sleep(0.5)


def _shut_down(running: _Running, progress: Progress) -> None:
    # A second Ctrl-C must not interrupt the saving of the state.
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    progress.note("")
    with progress.step("stopping and saving state"):
        orderly = running.stop()
    if not orderly:
        raise Refusal("MiniStack did not end in time and was killed: changes since its start are lost.")


_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Raises KeyboardInterrupt for SIGINT, SIGTERM and SIGHUP, for the length of the block."""

    def interrupt(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_ready(stack: StackFile, seconds: float, *, detach: bool) -> None:
    examples = commands_to_try(stack)
    width = max(len(account.email) for account in stack.accounts)
    lines = [
        "",
        f"Ready in {seconds:.0f} s: {stack.base_url}",
        f"AWS services: {stack.endpoint_url} (docs/operations.md says how to ask them with `aws`)",
        "",
        "Demo accounts:",
        *(f"  {account.role:<10} {account.email:<{width}}  {account.password}" for account in stack.accounts),
        "",
        "To try (log in, search, borrow, history):",
        *(f"  {command}" for command in examples),
        "",
        "A token lasts fifteen minutes; `make token ROLE=librarian` logs in again and prints a fresh one.",
        "`make stop` stops the system and keeps its state." if detach else "Ctrl-C stops it and keeps its state.",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
