"""Packages: the same sources give the same bytes, and only sources go in."""

import os
import zipfile
from pathlib import Path

import pytest

from localstack.embedded.errors import Refusal
from localstack.embedded.package import Entry, flattened_entries, function_entries, layer_entries, write_package

pytestmark = pytest.mark.unit


def _write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def _content(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_same_sources_give_the_same_bytes_whenever_and_wherever_packaged(tmp_path: Path) -> None:
    files = {"service/http.py": "a = 1\n", "service/domain/loan.py": "b = 2\n", "service/__init__.py": ""}
    here = _write(tmp_path / "here", files)
    there = _write(tmp_path / "there", dict(reversed(files.items())))
    for path in there.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)

    first = write_package(function_entries(here), tmp_path / "out", "first")
    second = write_package(function_entries(there), tmp_path / "out", "second")

    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.digest == second.digest


@pytest.mark.parametrize("changed", [{"service/http.py": "a = 2\n"}, {"service/http2.py": "a = 1\n"}])
def test_digest_tells_changed_sources_apart(tmp_path: Path, changed: dict[str, str]) -> None:
    before = _write(tmp_path / "before", {"service/http.py": "a = 1\n"})
    after = _write(tmp_path / "after", changed)

    digests = {
        write_package(function_entries(folder), tmp_path / "out", folder.name).digest for folder in (before, after)
    }

    assert len(digests) == 2


def test_digest_does_not_confuse_where_one_file_ends_and_the_next_begins(tmp_path: Path) -> None:
    one = [Entry("a", _write(tmp_path, {"x": "1b2"}) / "x")]
    two = [
        Entry("a", _write(tmp_path, {"y": "1"}) / "y"),
        Entry("b", _write(tmp_path, {"z": "2"}) / "z"),
    ]

    assert write_package(one, tmp_path, "one").digest != write_package(two, tmp_path, "two").digest


def test_function_package_leaves_out_caches_hidden_files_and_the_requirements_list(tmp_path: Path) -> None:
    folder = _write(
        tmp_path / "f",
        {
            "service/http.py": "",
            "service/__pycache__/http.cpython-313.pyc": "",
            "service/py.typed": "",
            "stale.pyc": "",
            ".mypy_cache/x.json": "",
            ".DS_Store": "",
            "requirements.txt": "bcrypt",
        },
    )

    assert [entry.name for entry in function_entries(folder)] == ["service/http.py", "service/py.typed"]


def test_layer_content_goes_where_lambda_looks_for_it(tmp_path: Path) -> None:
    folder = _write(tmp_path / "common", {"library_common/ids.py": ""})

    assert [entry.name for entry in layer_entries(folder)] == ["python/library_common/ids.py"]


def test_layer_of_third_party_packages_becomes_a_placeholder(tmp_path: Path) -> None:
    folder = _write(tmp_path / "dependencies", {"requirements.txt": "fastapi==1"})

    package = write_package(layer_entries(folder), tmp_path / "out", "dependencies")

    assert _content(package.path) == {"python/requirements.txt": "fastapi==1"}


def test_flattened_package_holds_function_and_layers_and_the_function_wins(tmp_path: Path) -> None:
    function = _write(tmp_path / "f", {"service/http.py": "", "shared.py": "of the function"})
    layer = _write(tmp_path / "l", {"library_common/ids.py": "", "shared.py": "of the layer"})

    package = write_package(flattened_entries(function, [layer], tmp_path / "build"), tmp_path / "out", "flat")

    content = _content(package.path)
    assert sorted(content) == ["library_common/ids.py", "service/http.py", "shared.py"]
    assert content["shared.py"] == "of the function"


def test_packaging_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"no folder .*nowhere"):
        function_entries(tmp_path / "nowhere")
