"""The files about a running stack."""

import json
import stat
from pathlib import Path

import pytest

from localstack.embedded.errors import Refusal
from localstack.embedded.layout import WorkDir
from localstack.embedded.state import Account, StackFile

pytestmark = pytest.mark.unit

STACK = StackFile(
    base_url="http://127.0.0.1:8080",
    endpoint_url="http://127.0.0.1:4566",
    region="us-east-1",
    accounts=[Account("student", "s@library.example.org", "secret", "x.y.z", "01")],
    tables={"users": "smart-library-UsersTable-1"},
    functions={"UsersFunction": "smart-library-UsersFunction-1"},
    system="smart-library",
    engine={"name": "ministack", "version": "1.5.33"},
)


def test_the_stack_file_is_read_back_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "stack.json"

    STACK.write(path)

    assert StackFile.read(path) == STACK
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["accounts"][0]["token"] == "x.y.z"


@pytest.mark.parametrize("content", [None, "", "{}", "[]"])
def test_without_a_stack_file_the_command_to_make_one_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "stack.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(Refusal, match="`make run`"):
        StackFile.read(path)


@pytest.mark.parametrize("already_there", [False, True])
def test_only_its_owner_may_look_into_the_folder_of_a_run(tmp_path: Path, already_there: bool) -> None:
    """Whoever made it: another tool, an older version, a restored backup."""
    work = WorkDir(tmp_path / "local")
    if already_there:
        work.path.mkdir(mode=0o755)

    work.make()

    assert stat.S_IMODE(work.path.stat().st_mode) == 0o700
