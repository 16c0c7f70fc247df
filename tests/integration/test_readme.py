"""The walk in the README, executed as it stands there."""

import json
import re
import shutil
import subprocess

import pytest

from localstack.embedded.layout import ROOT
from localstack.embedded.seed import DEMO_ACCOUNTS
from tests.support.library_client import LibraryClient, created, ok

pytestmark = pytest.mark.integration


def test_the_walk_runs_as_written(library: LibraryClient) -> None:
    readme = (ROOT / "README.md").read_text()
    (walk,) = re.findall(r"<!-- walk: .*? -->\n```sh\n(.*?)```", readme, re.DOTALL)
    assert "BASE=http://127.0.0.1:8080" in walk
    script = walk.replace("http://127.0.0.1:8080", library.base_url)
    assert shutil.which("curl"), "the README's commands need curl"
    # The stack that `make run` starts has the demo accounts; this one is ours.
    (demo,) = [account for account in DEMO_ACCOUNTS if account.role == "librarian"]
    account = {"name": demo.name, "email": demo.email, "role": demo.role, "password": demo.password}
    created(library.http.post("/api/users", json=account, headers=library.as_admin()))

    done = subprocess.run(
        ["sh", "-ec", script + '\necho; echo "ids $ALICE $BOOK $LOAN"'],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    # The search, the copies, her loans, the return, her notices and the dashboard stand on lines of their own, ...
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(answers) == 6, done.stdout
    assert "Clean Code" in [one["title"] for one in answers[0]["items"]]
    assert answers[3]["status"] == "RETURNED"
    # ... and so does the heading of the table below them.
    assert any(line.endswith("rank,book_id,title,author,genre,loans,renewals") for line in done.stdout.splitlines())
    alice, book, loan = done.stdout.split("ids ")[1].split()
    assert library.loan(loan)["status"] == "RETURNED"
    assert library.loan(loan)["user_id"] == alice
    assert library.book(book)["available_copies"] == 5
    assert ok(library.http.get(f"/api/users/{alice}", headers=library.as_librarian()))["role"] == "student"
