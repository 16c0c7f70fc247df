"""A service that is added in a copy of the repository: what it touches, its tests, and its stack.

The service `reviews` lies in tests/support/throwaway_service as it would lie in the repository: an HTTP API, a table, a
publisher, and a consumer of LoanReturned with its queue and dead letters.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from library_common.ids import new_id
from localstack.embedded.layout import ROOT
from localstack.embedded.stack import LocalStack
from tests.depth import at_depth
from tests.support.event_tap import EventTap
from tests.support.library_client import eventually

pytestmark = pytest.mark.integration

SERVICE = ROOT / "tests" / "support" / "throwaway_service"
BLOCK = """\
  Reviews:
    Type: AWS::Serverless::Application
    DependsOn: [Platform]
    Properties:
      Location: functions/reviews/template.yaml
      Parameters: {System: !Ref System, Architecture: !Ref Architecture}

"""
GENERATORS = """
import runpy
for name in ("stack_templates", "api_template", "openapi_documents", "problem_codes", "event_schemas",
             "sample_invocations"):
    try:
        runpy.run_module(f"tools.{name}", run_name="__main__")
    except SystemExit as end:
        assert not end.code, name
"""
"""`make templates openapi events` in one process."""

FAST_TESTS = (
    "tests/unit/reviews",
    "tests/architecture",
    "tests/contract/test_access_matrix.py",
    "tests/contract/test_emitted_events.py",
    "tests/contract/test_event_schemas.py",
    "tests/contract/test_sample_invocations.py",
)
LEFT_OUT = (
    # The budgets are for the services there are.
    "tests/architecture/test_cost.py::test_the_budgets_hold",
    # Of every module of every service; the new one's are few.
    *at_depth(quick=("tests/architecture/test_import_time.py",), full=()),
)

OF_THE_SERVICE = "review or Review or architecture or is_understood or every_function or every_rule or committed"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with the new service in it, its generated files written."""
    copy = tmp_path_factory.mktemp("repository")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    git(copy, "init", "--quiet")
    git(copy, "add", "--all", "--force")
    git(copy, "commit", "--quiet", "--message", "before")

    shutil.copytree(SERVICE, copy, dirs_exist_ok=True)
    root = copy / "template.yaml"
    admin = "  Admin:\n"
    text = root.read_text(encoding="utf-8")
    assert admin in text
    root.write_text(text.replace(admin, BLOCK + admin), encoding="utf-8")
    run(copy, "-c", GENERATORS)
    return copy


@pytest.fixture(scope="module")
def tests_of_the_copy(copy: Path) -> Iterator["subprocess.Popen[str]"]:
    """They run while the stack is deployed."""
    command = [sys.executable, "-m", "pytest", "-q", *FAST_TESTS, "-k", OF_THE_SERVICE]
    command += [f"--deselect={test}" for test in LEFT_OUT]
    tests = subprocess.Popen(command, cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield tests
    finally:
        tests.kill()
        tests.wait()


@pytest.fixture(scope="module")
def stack(
    copy: Path, tests_of_the_copy: "subprocess.Popen[str]", tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalStack]:
    """What the service needs, without the other services: the platform and the API."""
    small = copy / "small.yaml"
    small.write_text(
        "Resources:\n"
        "  Platform: {Type: AWS::Serverless::Application, Properties: {Location: functions/gateway/platform.yaml}}\n"
        + BLOCK
        + "  Api:\n"
        "    Type: AWS::Serverless::Application\n"
        "    DependsOn: [Reviews]\n"
        "    Properties: {Location: functions/gateway/api.yaml}\n",
        encoding="utf-8",
    )
    with LocalStack.start(tmp_path_factory.mktemp("stack"), template=small) as stack:
        yield stack


def run(copy: Path, *arguments: str) -> None:
    """Runs Python in the copy. Fails with what it printed."""
    done = subprocess.run([sys.executable, *arguments], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def git(copy: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *arguments], cwd=copy, capture_output=True, check=True, text=True).stdout


def test_a_new_service_changes_three_existing_files_at_most(copy: Path) -> None:
    changed = git(copy, "diff", "--name-only").split()
    added = git(copy, "ls-files", "--others", "--exclude-standard").split()

    assert changed == ["docs/problems.md", "functions/gateway/api.yaml", "template.yaml"]
    assert [path for path in added if "review" not in path.lower()] == []


def test_its_table_is_read_and_written_through_the_api(stack: LocalStack) -> None:
    tap = EventTap(stack)
    member, book = new_id(), new_id()
    headers = {"Authorization": f"Bearer {stack.mint_token(member, 'patron')}"}
    with httpx.Client(base_url=stack.base_url, headers=headers, timeout=60) as client:

        def write() -> httpx.Response:
            return client.post("/api/reviews", json={"user_id": member, "book_id": book, "stars": 4})

        assert httpx.get(f"{stack.base_url}/api/reviews/{member}/{book}", timeout=60).status_code == 401
        refused = eventually_answered(write)
        assert (refused.status_code, refused.json()["code"]) == (409, "title_not_returned")

        put_on_the_bus(stack, member, book)
        eventually(lambda: write().status_code == 201, "the title counts as returned")
        found = client.get(f"/api/reviews/{member}/{book}")

    assert (found.status_code, found.json()["stars"]) == (200, 4)
    eventually(lambda: bool(tap.about("ReviewWritten", 1)), "the event of the review")


def eventually_answered(ask: Any) -> httpx.Response:
    """The first answer that is not 503: on a busy machine a function may start too slowly."""
    answers: list[httpx.Response] = []

    def answered() -> bool:
        answers.append(ask())
        return answers[-1].status_code != 503

    eventually(answered, "an answer")
    return answers[-1]


def put_on_the_bus(stack: LocalStack, user_id: str, book_id: str) -> None:
    """LoanReturned, as loans would publish it."""
    envelope = json.loads((ROOT / "events" / "samples" / "loans" / "LoanReturned.v1.json").read_text(encoding="utf-8"))
    envelope["data"] |= {"user_id": user_id, "book_id": book_id}
    entry = {
        "EventBusName": stack.outputs["EventBusName"],
        "Source": "library.loans",
        "DetailType": "LoanReturned",
        "Detail": json.dumps(envelope),
    }
    assert stack.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def test_its_own_tests_and_the_rules_of_the_house_pass(tests_of_the_copy: "subprocess.Popen[str]") -> None:
    printed, _ = tests_of_the_copy.communicate()

    assert tests_of_the_copy.returncode == 0, printed
