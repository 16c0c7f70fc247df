"""The walk in the README, executed as it stands there."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from localstack.embedded.layout import ROOT
from tests.support.library_client import LibraryClient, ok

pytestmark = pytest.mark.integration


def test_the_walk_runs_as_written(library: LibraryClient, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    (walk,) = re.findall(r"<!-- walk: .*? -->\n```sh\n(.*?)```", readme, re.DOTALL)
    assert "BASE=http://127.0.0.1:8080" in walk
    script = walk.replace("http://127.0.0.1:8080", library.base_url)
    # `make token` reads the stack that `make run` started; this one is ours.
    make = tmp_path / "make"
    make.write_text(f"#!/bin/sh\necho '{library.token('01JLBRARAN0000000000000000', 'librarian')}'\n")
    make.chmod(make.stat().st_mode | stat.S_IEXEC)
    assert shutil.which("curl"), "the README's commands need curl"

    done = subprocess.run(
        ["sh", "-ec", script + '\necho; echo "ids $ALICE $BOOK $LOAN"'],
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    alice, book, loan = done.stdout.split("ids ")[1].split()
    assert library.loan(loan)["status"] == "RETURNED"
    assert library.loan(loan)["user_id"] == alice
    assert library.book(book)["available_copies"] == 5
    assert ok(library.http.get(f"/api/users/{alice}", headers=library.as_librarian()))["role"] == "student"
