"""Zip files of functions and layers, the same bytes for the same sources.

Without the SAM CLI: what an engine needs beyond the sources is either in its own environment
(MiniStack) or put beside the sources here (`flatten`, for engines that do not apply layers).
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

# The earliest moment a zip file can name: a build's own time would make every package look changed.
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE_644 = 0o100644 << 16

_LEFT_OUT_NAMES = {"requirements.txt", "__pycache__", "Makefile"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a package: where it goes inside, and where its bytes are."""

    name: str
    source: Path


@dataclass(frozen=True, slots=True)
class Package:
    """A zip file and the SHA-256 of what is in it (names and bytes, not of the compression)."""

    path: Path
    digest: str


def function_entries(folder: Path) -> list[Entry]:
    """What a function's package holds: its sources."""
    return sorted(_sources(folder, prefix=""), key=lambda entry: entry.name)


def layer_entries(folder: Path) -> list[Entry]:
    """What a layer's package holds: its sources under ``python/``, where Lambda looks for them.

    A layer of third-party packages has no sources, only a list of them; it becomes a placeholder.
    """
    entries = sorted(_sources(folder, prefix="python/"), key=lambda entry: entry.name)
    return entries or [Entry("python/requirements.txt", folder / "requirements.txt")]


def flattened_entries(function: Path, layers: Sequence[Path], build: Path) -> list[Entry]:
    """A function's sources together with those of its layers and every package either one requires.

    ``build`` is where the packages are unpacked (kept, so that the same list is installed once).
    A function's own file wins over a layer's, as on AWS.
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
    """Writes ``<name>.zip`` into ``folder``. The same entries give the same file, whenever it is made."""
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
    """Unpacks the listed wheels for Lambda's Linux, on this machine's processor; returns the folder."""
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
