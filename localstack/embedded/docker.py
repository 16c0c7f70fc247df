"""Checks that Docker answers. SAM itself needs half a minute to find out that it does not."""

import os
import shutil
import socket
import subprocess
from urllib.parse import urlsplit

from localstack.embedded.errors import Refusal

_USUAL_SOCKET = "unix:///var/run/docker.sock"
_TIMEOUT_SECONDS = 5.0
"""A daemon answers within hundredths of a second, but one in a virtual machine may be starting."""


def require_daemon() -> None:
    """Refuses when no Docker daemon answers, with what to do about it."""
    # The command finds the daemon of a virtual machine through its contexts. SAM needs only the daemon.
    if not (_command_reaches_it() or _accepts(os.environ.get("DOCKER_HOST") or _USUAL_SOCKET)):
        raise Refusal(
            "Docker does not answer, and `make sam-local` runs functions in its containers: start Docker (Docker "
            "Desktop, or `sudo systemctl start docker`) and try again. `make run` runs everything without it."
        )


def _command_reaches_it() -> bool:
    command = shutil.which("docker")
    if command is None:
        return False
    try:
        asked = [command, "version", "--format", "{{.Server.Version}}"]
        done = subprocess.run(asked, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _accepts(address: str) -> bool:
    """Whether a server listens at `unix:///path` or `tcp://host:port`."""
    where = urlsplit(address)
    try:
        if where.scheme == "unix":
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
                caller.settimeout(_TIMEOUT_SECONDS)
                caller.connect(where.path)
        else:
            socket.create_connection((where.hostname or "", where.port or 2375), timeout=_TIMEOUT_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True
