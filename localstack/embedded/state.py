"""Files about a running system: ``stack.json`` for people and tools, ``processes.json`` for ``make stop``."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from localstack.embedded.errors import Refusal
from localstack.embedded.processes import StartedProcess


@dataclass(frozen=True, slots=True)
class Account:
    """A demo account with a token."""

    role: str
    email: str
    password: str
    token: str
    user_id: str


@dataclass(frozen=True, slots=True)
class StackFile:
    """The content of stack.json.

    base_url: the public address of the API. endpoint_url: where the AWS services answer.
    tables: service → table name. functions: logical id → function name.
    engine: name and version of the emulator. system: the name that its stacks begin with.
    """

    base_url: str
    endpoint_url: str
    region: str
    accounts: Sequence[Account]
    tables: Mapping[str, str]
    functions: Mapping[str, str]
    system: str
    engine: Mapping[str, str]

    def write(self, path: Path) -> None:
        """Replaces the file. Only its owner may read it, since it contains tokens."""
        _write_private(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> "StackFile":
        """Refuses when there is no stack file that can be read."""
        document = _read(path)
        try:
            accounts = [Account(**account) for account in document["accounts"]]
            return cls(**{**document, "accounts": accounts})
        except (KeyError, TypeError):
            raise Refusal("No stack is known here: start one with `make run`.") from None


@dataclass(frozen=True, slots=True)
class ProcessesFile:
    """The content of processes.json: the processes in the order to stop them, and the API's address."""

    base_url: str
    processes: Sequence[StartedProcess]

    def write(self, path: Path) -> None:
        """Replaces the file."""
        _write_private(path, asdict(self))

    @classmethod
    def running(cls, path: Path) -> "ProcessesFile | None":
        """The processes of the file that are still running; None when there are none."""
        document = _read(path)
        try:
            recorded = [StartedProcess(**process) for process in document["processes"]]
            base_url = str(document["base_url"])
        except (KeyError, TypeError):
            return None
        alive = [process for process in recorded if process.running()]
        return cls(base_url=base_url, processes=alive) if alive else None


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _write_private(path: Path, document: Mapping[str, object]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Replaced in one step: another command may read it at any time.
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.write("\n")
    partial.replace(path)
