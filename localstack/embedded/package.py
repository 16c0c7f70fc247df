"""Zip files of functions and layers, made without the SAM CLI. The same sources give the same bytes.

Third-party packages are either installed in the engine's own environment (MiniStack) or added to each function here
(`flattened_entries`, for engines that do not apply layers).
"""

import hashlib
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from localstack.embedded.errors import Refusal

# The earliest time a zip file can hold. The time of the build would make every package look changed.
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE_644 = 0o100644 << 16

_LEFT_OUT_NAMES = {"requirements.txt", "__pycache__", "Makefile"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a package: its name in the zip file, and its source."""

    name: str
    source: Path


@dataclass(frozen=True, slots=True)
class Package:
    """A zip file and the SHA-256 of its content (names and bytes, not their compressed form)."""

    path: Path
    digest: str


def function_entries(folder: Path) -> list[Entry]:
    """The content of a function's package: its sources."""
    return sorted(_sources(folder, prefix=""), key=lambda entry: entry.name)


def layer_entries(folder: Path) -> list[Entry]:
    """The content of a layer's package: its sources under ``python/``, where Lambda looks for them.

    The layer of third-party packages has no sources; its package holds only the list of requirements.
    """
    entries = sorted(_sources(folder, prefix="python/"), key=lambda entry: entry.name)
    return entries or [Entry("python/requirements.txt", folder / "requirements.txt")]


def flattened_entries(function: Path, layers: Sequence[Path], build: Path) -> list[Entry]:
    """A function's sources with those of its layers and all required packages.

    The packages are installed in ``build`` and kept there, so that each list is installed once. A function's own file
    takes precedence over a layer's, as on AWS.
    """
    chosen: dict[str, Entry] = {}
    lists = [folder / "requirements.txt" for folder in (*layers, function)]
    given = [path for path in lists if path.is_file()]
    wheels = _files(_installed(given, build), prefix="") if given else iter(())
    for entries in (
        wheels,
        *(_sources(layer, prefix="") for layer in layers),
        _sources(function, prefix=""),
    ):
        chosen.update((entry.name, entry) for entry in entries)
    return [chosen[name] for name in sorted(chosen)]


def write_package(entries: Iterable[Entry], folder: Path, name: str) -> Package:
    """Writes ``<name>.zip`` into ``folder``. The same entries always give the same file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.zip"
    content = hashlib.sha256()
    with zipfile.ZipFile(path, "w") as archive:
        for entry in entries:
            data = entry.source.read_bytes()
            content.update(f"{entry.name}\0{len(data)}\0".encode())
            content.update(data)
            info = zipfile.ZipInfo(entry.name, date_time=_TIMESTAMP)
            info.external_attr = _REGULAR_FILE_644
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return Package(path=path, digest=content.hexdigest())


def _sources(folder: Path, prefix: str) -> Iterator[Entry]:
    if not folder.is_dir():
        raise Refusal(f"There is no folder {folder} to package.")
    for entry in _files(folder, prefix):
        parts = Path(entry.name).parts
        hidden = any(part.startswith(".") for part in parts)
        if not hidden and not _LEFT_OUT_NAMES.intersection(parts) and entry.source.suffix != ".pyc":
            yield entry


def _files(folder: Path, prefix: str) -> Iterator[Entry]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield Entry(prefix + path.relative_to(folder).as_posix(), path)


def _installed(lists: Sequence[Path], build: Path) -> Path:
    """The folder with the listed packages, installed for Linux on this machine's processor."""
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine())
    wanted = hashlib.sha256(machine.encode())
    for path in lists:
        wanted.update(path.read_bytes())
    target = build / f"wheels-{wanted.hexdigest()[:16]}"
    if target.is_dir():
        return target
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    command = [
        str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--no-deps",
        "--target", str(partial), "--python-version", "3.13",
        "--python-platform", f"{machine}-manylinux_2_28", "--only-binary", ":all:",
    ]  # fmt: skip
    for path in lists:
        command += ["--requirements", str(path)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise Refusal(f"Fetching the packages of {lists[-1].parent.name} failed: {reason[0]}") from error
    partial.rename(target)
    return target
