"""Generated files that are committed: a command writes them, `--check` compares them."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.services import ROOT

type Files = Mapping[Path, str]
"""Path -> content."""


def as_json(document: Any) -> str:
    """JSON as committed: readable in a diff, without escapes for non-ASCII characters."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def differences(wanted: Files, folders: Sequence[Path]) -> list[str]:
    """What `command` would change: files that are missing or out of date, and files under `folders` that are no longer
    generated."""
    found = [f"{_name(path)} is missing" for path in wanted if not path.is_file()]
    found += [
        f"{_name(path)} is out of date"
        for path, text in wanted.items()
        if path.is_file() and path.read_text(encoding="utf-8") != text
    ]
    return found + [f"{_name(path)} is no longer generated" for path in _left_over(wanted, folders)]


def command(description: str, generate: Callable[[], Files], folders: Sequence[Path], again: str) -> int:
    """The command line of a generator. Writes the files; with `--check` only compares and returns 1 for a difference.

    folders: they hold only generated JSON, so other JSON files in them are removed.
    again: the command that brings everything up to date.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when something would change")
    check = parser.parse_args().check
    wanted = generate()
    changes = differences(wanted, folders)
    if check:
        for change in changes:
            print(change, file=sys.stderr)
        if changes:
            print(f"Run: {again}", file=sys.stderr)
        return 1 if changes else 0
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in _left_over(wanted, folders):
        path.unlink()
    print("\n".join(changes) or "Everything is up to date.")
    return 0


def _left_over(wanted: Files, folders: Sequence[Path]) -> list[Path]:
    return [path for folder in folders for path in sorted(folder.rglob("*.json")) if path not in wanted]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
