"""Docker is asked for before anything is installed or started for it."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from localstack.embedded import docker
from localstack.embedded.errors import Refusal
from localstack.embedded.ports import LOOPBACK, pick_free

pytestmark = [pytest.mark.unit, pytest.mark.enable_socket]


@pytest.fixture(autouse=True)
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only folder with commands; without Docker anywhere."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"tcp://{LOOPBACK}:{pick_free()}")
    return tmp_path


def docker_says(commands: Path, script: str) -> None:
    command = commands / "docker"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o700)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[str]:
    # Paths of sockets are short: relative to where the test is, not to the root.
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.bind("d.sock")
            server.listen()
            yield "d.sock"
    finally:
        os.chdir(before)


def test_without_docker_that_is_said_with_what_to_do() -> None:
    with pytest.raises(Refusal, match=r"Docker does not answer.*start Docker"):
        docker.require_daemon()


def test_a_command_without_a_daemon_is_not_enough(commands: Path) -> None:
    docker_says(commands, "echo Cannot connect to the Docker daemon >&2; exit 1")

    with pytest.raises(Refusal, match="does not answer"):
        docker.require_daemon()


def test_a_daemon_that_hangs_is_not_waited_for(commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "_TIMEOUT_SECONDS", 0.2)
    docker_says(commands, "exec /bin/sleep 60")

    with pytest.raises(Refusal, match="does not answer"):
        docker.require_daemon()


def test_a_daemon_that_the_command_reaches_will_do(commands: Path) -> None:
    docker_says(commands, "echo 28.2.2")

    docker.require_daemon()


def test_a_daemon_without_a_command_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{LOOPBACK}:{server.getsockname()[1]}")

        docker.require_daemon()


def test_a_daemon_at_a_socket_of_this_machine_will_do(monkeypatch: pytest.MonkeyPatch, listening: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:" + listening)

    docker.require_daemon()
