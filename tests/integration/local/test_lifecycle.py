"""`make run` from the first start to the last: what a developer sees, with a small sample."""

import contextlib
import io
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymarc
import pytest
import urllib3

from localstack.embedded import rotate, run
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import ROOT, SAMPLE_BOOKS, WorkDir
from localstack.embedded.ports import is_free, pick_free
from localstack.embedded.state import StackFile
from tests.support.library_client import eventually

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("sample") / "few.mrc"
    with SAMPLE_BOOKS.open("rb") as source:
        few = [record.as_marc() for record, _ in zip(pymarc.MARCReader(source), range(5), strict=False) if record]
    path.write_bytes(b"".join(few))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "SAMPLE_BOOKS", path)
        yield path


@dataclass(frozen=True)
class FirstStart:
    """A folder in which everything was made for the first time and stopped, and what was printed meanwhile."""

    work: WorkDir
    address: str
    printed: str


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> FirstStart:
    """Made once: it takes several times as long as any later start."""
    assert sample.exists()
    work, port = WorkDir(tmp_path_factory.mktemp("first") / "local"), pick_free()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        run.run(port, pick_free(), detach=True, work=work)
    assert run.stop(work) is True
    return FirstStart(work, f"http://127.0.0.1:{port}", printed.getvalue())


@pytest.fixture
def work(tmp_path: Path, first_start: FirstStart) -> Iterator[WorkDir]:
    """As the first start has left it, and nobody else's."""
    folder = WorkDir(tmp_path / "local")
    shutil.copytree(first_start.work.path, folder.path)
    yield folder
    run.reset(folder)


def _paste(command: str) -> dict[str, Any]:
    """What a suggested command prints when pasted into a shell."""
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _suggested(printed: str) -> list[str]:
    return [line.strip() for line in printed.splitlines() if line.startswith("  curl ")]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the suggested commands use curl")
def test_what_is_done_on_one_day_is_there_on_the_next(
    work: WorkDir, first_start: FirstStart, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "5 titles added, 0 left out" in first_start.printed
    assert len(_suggested(first_start.printed)) == 4
    assert all(first_start.address in command for command in _suggested(first_start.printed))
    port, endpoint_port = pick_free(), pick_free()

    run.run(port, endpoint_port, detach=True, work=work)
    first = capsys.readouterr().out
    assert f"http://127.0.0.1:{port}" in first
    login, search, checkout, history = _suggested(first)
    assert _paste(login)["user"]["role"] == "faculty"
    assert "items" in _paste(search)
    loan = _paste(checkout)
    assert loan["status"] == "ACTIVE"
    assert [item["id"] for item in _paste(history)["items"]] == [loan["id"]]
    with pytest.raises(Refusal, match="already running"):
        run.run(port, endpoint_port, detach=True, work=work)

    assert run.stop(work) is True
    assert is_free(port)
    assert is_free(endpoint_port)
    assert not work.scratch.exists()
    with pytest.raises(Refusal, match=r"Nothing is running at .*: `make run` starts it"):
        run.fresh_token(None, "student", work.stack_file)

    run.run(port, endpoint_port, detach=True, work=work)
    second = capsys.readouterr().out
    assert "titles added" not in second
    # Yesterday's token is still good: the signing key was kept, too.
    assert [item["id"] for item in _paste(history)["items"]] == [loan["id"]]
    # And the suggestion is of a title the borrower does not have yet.
    assert _paste(_suggested(second)[2])["status"] == "ACTIVE"

    with pytest.raises(Refusal, match=r"^signing-key: .* Not before \d{4}-"):
        list(rotate.rotate(work.stack_file, ["signing-key"], force=False))
    with pytest.raises(Refusal, match=r"^service:king: There are: signing-key, service:loans"):
        list(rotate.rotate(work.stack_file, ["service:king"], force=True))
    assert list(rotate.rotate(work.stack_file, ["signing-key"], force=True)) == ["signing-key: rotated"]
    _assert_fresh_tokens_are_those_of_the_accounts(work)

    # The last day ends with the death of the emulator: the API says so, and `make stop` leaves nothing running.
    _kill_the_emulator(work)
    _assert_the_api_says_that_it_is_unavailable(port)
    assert run.stop(work) is True
    assert is_free(port)

    run.reset(work)
    assert not work.path.exists()


def _kill_the_emulator(work: WorkDir) -> None:
    emulator = next(
        process["pid"]
        for process in json.loads(work.processes_file.read_text())["processes"]
        if process["name"] == "ministack"
    )
    subprocess.run(["/bin/kill", "-KILL", str(emulator)], check=True)


def _assert_the_api_says_that_it_is_unavailable(port: int) -> None:
    def unavailable() -> urllib3.BaseHTTPResponse | None:
        answer = urllib3.request("GET", f"http://127.0.0.1:{port}/api/books", retries=False, timeout=60)
        return answer if answer.status == 503 else None

    answer = eventually(unavailable, "the front says that nothing is behind it")
    assert answer is not None
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.json()["code"] == "service_unavailable"


def _assert_fresh_tokens_are_those_of_the_accounts(work: WorkDir) -> None:
    stack = StackFile.read(work.stack_file)
    assert [account.role for account in stack.accounts] == ["student", "faculty", "patron", "librarian", "admin"]
    for account in stack.accounts:
        token = run.fresh_token(None, account.role, work.stack_file)
        answer = urllib3.request("GET", f"{stack.base_url}/api/users/me", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status, answer.json()["email"], answer.json()["role"]) == (200, account.email, account.role)
    with pytest.raises(Refusal, match="Name a demo account"):
        run.fresh_token(None, "king", work.stack_file)


def test_a_run_in_the_foreground_ends_in_order_when_asked(work: WorkDir, sample: Path) -> None:
    port, endpoint_port = pick_free(), pick_free()
    script = f"""
from pathlib import Path
from localstack.embedded import rotate, run
from localstack.embedded.layout import WorkDir
run.SAMPLE_BOOKS = Path({str(sample)!r})
run.run({port}, {endpoint_port}, detach=False, work=WorkDir(Path({str(work.path)!r})))
"""
    runner = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert runner.stdout is not None
        assert any("Ctrl-C stops it" in line for line in runner.stdout)

        runner.send_signal(signal.SIGINT)
        rest, _ = runner.communicate(timeout=120)
    finally:
        runner.kill()

    assert runner.returncode == 0
    assert "stopping and saving state" in rest
    assert is_free(port)
    assert is_free(endpoint_port)
    assert (work.state / "dynamodb.json").exists()
    assert not work.scratch.exists()
