"""Finding a Python 3.13 and installing with it, on machines where that is not so simple."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from localstack.embedded.layout import ROOT

pytestmark = pytest.mark.unit

REAL = Path(sys.executable).resolve()


def _shim(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def _find(env: dict[str, str], home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(ROOT / "localstack" / "find-python.sh")],
        env={"HOME": str(home), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_broken_shim_is_skipped_for_a_python_that_works(tmp_path: Path) -> None:
    _shim(tmp_path / "shims", "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    versions = tmp_path / "pyenv" / "versions" / "3.13.9" / "bin"
    versions.mkdir(parents=True)
    (versions / "python3.13").symlink_to(REAL)

    found = _find({"PATH": f"{tmp_path / 'shims'}:/nowhere", "PYENV_ROOT": str(tmp_path / "pyenv")}, tmp_path)

    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).resolve() == REAL


def test_a_python_of_another_version_under_the_right_name_is_skipped(tmp_path: Path) -> None:
    _shim(tmp_path / "bin", "python3.13", "echo 3.12 /usr/bin/python3.12")
    _shim(tmp_path / "bin", "python3", f'exec {REAL} "$@"')

    found = _find({"PATH": f"{tmp_path / 'bin'}:/nowhere"}, tmp_path)

    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).resolve() == REAL


def test_a_named_python_that_does_not_fit_is_refused_in_one_sentence(tmp_path: Path) -> None:
    other = _shim(tmp_path, "python", "echo 3.12 /usr/bin/python3.12")

    found = _find({"PATH": os.environ["PATH"], "PYTHON": str(other)}, tmp_path)

    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr.startswith(f"PYTHON={other} is not a working Python 3.13")
    assert found.stderr.count("\n") == 1


def test_installing_without_disk_is_refused_in_one_sentence(tmp_path: Path) -> None:
    _shim(tmp_path / "bin", "df", "echo head; echo /dev/x 100000 90000 10240 90% /")

    outcome = subprocess.run(
        ["/bin/sh", "localstack/install.sh", str(tmp_path / "venv"), "requirements/dev.txt"],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert outcome.returncode == 1
    assert outcome.stderr == (
        "Only 10 MB of disk are free here, installing needs 1024 MB: free some space and try again.\n"
    )
    assert not (tmp_path / "venv").exists()
