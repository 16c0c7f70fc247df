"""Starts and stops MiniStack, and identifies the emulator at an endpoint."""

import json
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import urllib3

from localstack.embedded.aws import DUMMY_CREDENTIALS, REGION
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import WorkDir
from localstack.embedded.ports import LOOPBACK
from localstack.embedded.processes import StartedProcess, bare_environment

_SERVER = Path(__file__).with_name("ministack_server.py")
_START_SECONDS = 60.0
# It saves its state in this time; a large table takes a few seconds.
_STOP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Engine:
    """An emulator: "ministack" or "localstack", and its version."""

    name: str
    version: str

    @property
    def applies_layers(self) -> bool:
        """Whether functions get the content of their layers. LocalStack's free edition only registers layers."""
        return self.name == "ministack"


class NothingAnswers(Refusal):
    """No emulator answers at an endpoint."""


def identify(endpoint_url: str) -> Engine:
    """The emulator at the endpoint. Refuses when nothing answers (NothingAnswers), or something unknown."""
    http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=10), retries=False)
    try:
        # MiniStack answers at LocalStack's address, too, so its own is tried first.
        for name, path in (("ministack", "/_ministack/health"), ("localstack", "/_localstack/health")):
            answer = http.request("GET", endpoint_url.rstrip("/") + path)
            if answer.status == 200:
                facts = answer.json()
                if isinstance(facts, dict) and "services" in facts:
                    return Engine(name=name, version=str(facts.get("version", "unknown")))
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise NothingAnswers(f"Nothing that looks like an emulator answers at {endpoint_url}.") from error
    finally:
        http.clear()
    raise Refusal(f"What answers at {endpoint_url} is neither MiniStack nor LocalStack.")


def of_known_stack(endpoint_url: str) -> Engine:
    """The emulator that a stack file names. Refuses when it is not running, or when something else answers there."""
    try:
        return identify(endpoint_url)
    except NothingAnswers:
        raise Refusal(f"Nothing is running at {endpoint_url}: `make run` starts it.") from None


def start_ministack(
    work: WorkDir, port: int, *, persist: bool, environment: Mapping[str, str] | None = None
) -> StartedProcess:
    """Starts MiniStack on the loopback interface and waits until it answers.

    ``persist``: whether it loads and, on an orderly stop, saves its state under ``work.state``.
    ``environment``: more variables, for it and for the functions it runs.
    Refuses with the end of its log when it ends early or does not answer in time.
    """
    work.make()
    shutil.rmtree(work.scratch, ignore_errors=True)
    for folder in (work.scratch, work.state, work.logs):
        folder.mkdir(parents=True, exist_ok=True)
    env = (
        bare_environment()
        | DUMMY_CREDENTIALS
        | {
            "BIND_HOST": LOOPBACK,
            "GATEWAY_PORT": str(port),
            "MINISTACK_REGION": REGION,
            "LAMBDA_EXECUTOR": "local",
            "LAMBDA_ACCOUNT_CONCURRENCY": "64",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            # MiniStack must not use a container engine, even if one is running.
            "DOCKER_HOST": "tcp://127.0.0.1:1",
            "TMPDIR": str(work.scratch),
            "PERSIST_STATE": "1" if persist else "0",
            "S3_PERSIST": "1" if persist else "0",
            "STATE_DIR": str(work.state),
            "S3_DATA_DIR": str(work.state / "s3"),
            "LOG_LEVEL": "INFO",
            "PYTHONUNBUFFERED": "1",
        }
        | dict(environment or {})
    )
    _forget_stream_positions(work)
    log = work.engine_log
    command = [sys.executable, "-P", str(_SERVER)]
    process = StartedProcess.start("ministack", command, env=env, cwd=work.path, log=log)
    try:
        _wait_until_healthy(process, f"http://{LOOPBACK}:{port}", work)
    except BaseException:
        stop_ministack(process, work)
        raise
    return process


def stop_ministack(process: StartedProcess, work: WorkDir, *, grace_seconds: float = _STOP_SECONDS) -> bool:
    """Stops MiniStack in order, so that it saves its state, and removes its temporary files.

    ``grace_seconds``: seconds until it is killed if it does not end by itself; 0 when nothing is to be saved.
    Returns whether it ended by itself in time; if not, what it held since its start is lost.
    """
    orderly = process.stop(grace_seconds=grace_seconds, orphan_grace_seconds=min(grace_seconds, 2.0))
    shutil.rmtree(work.scratch, ignore_errors=True)
    return orderly


def _forget_stream_positions(work: WorkDir) -> None:
    """Makes stream consumers start from the beginning after a restart.

    MiniStack saves each consumer's position, but not the records. After a restart it would skip as many new records as
    there had been old ones, and their events would never be published.
    """
    saved = work.state / "lambda.json"
    if not saved.exists():
        return
    try:
        document = json.loads(saved.read_text())
        positions = document["payload"]["dynamodb_stream_positions"]["data"]
    except (ValueError, KeyError, TypeError):
        return  # written by another version; MiniStack reports it itself
    positions.clear()
    saved.write_text(json.dumps(document))


def _wait_until_healthy(process: StartedProcess, endpoint_url: str, work: WorkDir) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            identify(endpoint_url)
        except Refusal:
            if not process.running():
                raise Refusal(f"MiniStack ended while starting: {_last_line(work)}") from None
            if time.monotonic() > deadline:
                raise Refusal(f"MiniStack did not answer within {_START_SECONDS:.0f} s: {_last_line(work)}") from None
            time.sleep(0.1)
        else:
            return


def _last_line(work: WorkDir) -> str:
    log = work.engine_log
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"{lines[-1] if lines else 'it printed nothing'} (all of it: {log})"
