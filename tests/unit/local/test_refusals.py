"""What is in the way is said in one sentence, without a traceback."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from localstack.embedded import cli, run
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import ROOT, WorkDir
from localstack.embedded.ports import pick_free, require_free
from localstack.embedded.processes import StartedProcess
from localstack.embedded.state import Account, ProcessesFile, StackFile

pytestmark = [pytest.mark.unit, pytest.mark.enable_socket]


class Outcome(NamedTuple):
    """Of a command: its exit code, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


type Command = Callable[..., Outcome]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process, with these variables and nobody's AWS settings."""

    def run_it(*arguments: str, env: dict[str, str] | None = None) -> Outcome:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in (env or {}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["localstack.embedded", *arguments])
        return Outcome(cli.main(), *capsys.readouterr())

    return run_it


def test_a_command_that_is_refused_is_a_process_that_failed_with_a_sentence() -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}

    done = subprocess.run(
        [sys.executable, "-m", "localstack.embedded", "deploy"],
        cwd=ROOT,
        env=inherited,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("Name the emulator: make deploy-local AWS_ENDPOINT_URL=")


def test_a_taken_port_is_refused_with_the_setting_that_chooses_another() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Refusal, match=r"^Port \d+ on 127.0.0.1 is taken: .*PORT=\.\.\.$"):
            require_free(taken.getsockname()[1], "PORT")


def test_a_port_is_free_again_right_after_a_server_on_it_was_stopped() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            # The server's side closes first and so is the one that lingers in TIME_WAIT.
            accepted.close()
            client.recv(1)

    require_free(port, "PORT")


def test_too_little_disk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"^Only \d+ MB of disk are free here, running needs \d+ MB: .*\.$"):
        run.require_disk(tmp_path, needed_bytes=2**62)


def test_a_second_run_is_refused_with_the_address_of_the_first(tmp_path: Path) -> None:
    work = WorkDir(tmp_path)
    myself = StartedProcess("runner", os.getpid(), psutil.Process().create_time())
    ProcessesFile("http://127.0.0.1:8080", [myself]).write(work.processes_file)

    with pytest.raises(Refusal, match=r"^The system is already running at http://127.0.0.1:8080: `make stop`"):
        run.run(pick_free(), pick_free(), detach=True, work=work)


def test_a_record_of_processes_long_gone_is_no_obstacle_and_nothing_to_stop(tmp_path: Path) -> None:
    work = WorkDir(tmp_path)
    # The process id of this very test, but as another process had it before.
    ProcessesFile("http://127.0.0.1:1", [StartedProcess("runner", os.getpid(), 1.0)]).write(work.processes_file)

    assert run.stop(work) is False
    assert not work.processes_file.exists()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"processes": [{"pid": 1}]}', '{"processes": 3}'])
def test_a_damaged_record_of_processes_is_no_obstacle(tmp_path: Path, content: str) -> None:
    work = WorkDir(tmp_path)
    work.processes_file.write_text(content)

    assert ProcessesFile.running(work.processes_file) is None


@pytest.mark.parametrize("port", ["abc", "0", "70000", "-1"])
def test_a_port_that_is_none_is_refused(command: Command, port: str) -> None:
    outcome = command("run", env={"PORT": port})

    assert outcome.returncode == 1
    assert outcome.stdout == ""
    assert outcome.stderr == f"PORT={port} is not a port: choose a number from 1 to 65535.\n"


def test_deploying_to_an_address_where_nothing_answers_is_refused(command: Command) -> None:
    outcome = command("deploy", env={"AWS_ENDPOINT_URL": f"http://127.0.0.1:{pick_free()}", "NO_STACK_FILE": "1"})

    assert outcome.returncode == 1
    assert outcome.stderr.startswith("Nothing that looks like an emulator answers at http://127.0.0.1:")
    assert outcome.stderr.count("\n") == 1


@pytest.mark.parametrize("asking", ["mail", "token", "logs", "rotate"])
def test_what_asks_a_stopped_stack_names_the_command_that_starts_it(
    tmp_path: Path, command: Command, asking: str
) -> None:
    endpoint = f"http://127.0.0.1:{pick_free()}"
    account = Account("admin", "admin@library.example.org", "secret", "x.y.z", "01")
    known = tmp_path / "stack.json"
    StackFile("http://here", endpoint, "us-east-1", [account], {}, {}, "library", {}).write(known)

    outcome = command(asking, env={"STACK_FILE": str(known), "ROLE": "admin"})

    assert outcome.returncode == 1
    assert outcome.stdout == ""
    assert outcome.stderr == f"Nothing is running at {endpoint}: `make run` starts it.\n"
