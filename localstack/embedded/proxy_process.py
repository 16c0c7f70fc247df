"""Starts the process of the proxy in front of the API."""

import socket
import sys
import time

from localstack.embedded.errors import Refusal
from localstack.embedded.layout import ROOT, WorkDir
from localstack.embedded.ports import LOOPBACK
from localstack.embedded.processes import StartedProcess, bare_environment

_DEADLINE_SECONDS = 20.0


def start_proxy(work: WorkDir, port: int, upstream: str) -> StartedProcess:
    """Starts the proxy on ``port``. `wait_until_open` waits until it listens."""
    command = [sys.executable, "-m", "localstack.embedded.proxy", str(port), upstream]
    return StartedProcess.start("proxy", command, env=bare_environment(), cwd=ROOT, log=work.logs / "proxy.log")


def wait_until_open(process: StartedProcess, port: int, work: WorkDir) -> None:
    """Waits until the proxy listens. Refuses when it ends or takes too long."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline and process.running():
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        time.sleep(0.05)
    raise Refusal(f"The address http://{LOOPBACK}:{port} could not be opened, see {work.logs / 'proxy.log'}.")
