"""Rules of the house that a reader would otherwise have to check by eye."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from localstack.embedded.layout import ROOT
from tests.architecture.sources import Module, deployed, kept_files, kept_modules, kept_texts

pytestmark = pytest.mark.architecture

VAGUE = {"util", "utils", "helper", "helpers", "manager", "managers", "misc", "stuff"}
WRITES = {
    "put_item",
    "update_item",
    "delete_item",
    "transact_write_items",
    "batch_write_item",
    "execute_statement",
    "batch_execute_statement",
    "execute_transaction",
}
SCANS = {"scan"}
STORAGE = "library_common.dynamodb"
CLIENTS = "library_common.aws"
CLOCK = "library_common.clock"
WALL_CLOCKS = {
    "datetime.datetime": {"now", "utcnow", "today"},
    "datetime.date": {"today"},
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime"},
}


# -- what the rules look for ----------------------------------------------------------------------


def direct_writes(module: Module) -> list[str]:
    """Calls to DynamoDB's write operations, and scans, past `library_common.dynamodb`."""
    if module.name == STORAGE:
        return []
    operations = WRITES | SCANS
    return [
        f"{module.at(node.lineno)} uses {name}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute | ast.Constant)
        and (name := node.attr if isinstance(node, ast.Attribute) else node.value) in operations
    ]


def own_clients(module: Module) -> list[str]:
    """AWS clients made anywhere but in `library_common.aws`."""
    if module.name == CLIENTS:
        return []
    return [f"{module.at(found.line)} imports {found.name}" for found in module.imports if found.is_of("boto3")]


def clock_reads(module: Module) -> list[str]:
    """Uses of the wall clock anywhere but in `library_common.clock`. Monotonic clocks are no such thing."""
    if module.name == CLOCK:
        return []
    names: dict[str, str] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names.update({alias.asname or alias.name: alias.name for alias in node.names})
        elif isinstance(node, ast.ImportFrom):
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    clocks = {f"{owner}.{name}" for owner, methods in WALL_CLOCKS.items() for name in methods}
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute | ast.Name):
            head, _, rest = ast.unparse(node).partition(".")
            spelt_out = ".".join(filter(None, (names.get(head, head), rest)))
            if spelt_out in clocks and head in names:
                found.append(f"{module.at(node.lineno)} reads the clock: {spelt_out}")
    return found


type Rule = Callable[[Module], list[str]]


@pytest.mark.parametrize("rule", [direct_writes, own_clients, clock_reads])
def test_deployed_code_keeps(rule: Rule) -> None:
    assert [offence for module in deployed() for offence in rule(module)] == []


@pytest.mark.parametrize(
    ("rule", "line", "noticed"),
    [
        (direct_writes, "client.put_item(TableName='t', Item={})", True),
        (direct_writes, "getattr(client, 'update_item')(**request)", True),
        (direct_writes, "table.scan()", True),
        (direct_writes, "table.put(item, ABSENT)", False),
        (own_clients, "import boto3", True),
        (own_clients, "def f():\n    from boto3.session import Session", True),
        (own_clients, "from botocore.exceptions import ClientError", False),
        (clock_reads, "from datetime import UTC, datetime\nnow = datetime.now(UTC)", True),
        (clock_reads, "from datetime import datetime\nf(default_factory=datetime.utcnow)", True),
        (clock_reads, "import datetime as dt\nnow = dt.datetime.now(dt.UTC)", True),
        (clock_reads, "import time\nnow = time.time()", True),
        (clock_reads, "from time import time as moment\nnow = moment()", True),
        (clock_reads, "import time\nnow = time.monotonic()", False),
        (clock_reads, "now = clock.now()", False),
        (clock_reads, "from datetime import datetime\nd = datetime.fromisoformat('2026-11-21')", False),
    ],
)
def test_the_rules_notice(rule: Rule, line: str, noticed: bool) -> None:
    assert bool(rule(Module("x_service.adapters.y", Path("y.py"), line))) == noticed


def test_the_exceptions_to_the_rules_are_where_the_rules_say() -> None:
    """A renamed module would turn the exception into a hole, or the rule into nonsense."""
    modules = {module.name: module for module in deployed()}
    renamed = {name: Module("elsewhere", modules[name].path, modules[name].text) for name in (STORAGE, CLIENTS, CLOCK)}

    assert direct_writes(renamed[STORAGE])
    assert own_clients(renamed[CLIENTS])
    assert clock_reads(renamed[CLOCK])


# -- names and docstrings -------------------------------------------------------------------------


def test_modules_are_named_after_what_they_do() -> None:
    vague = [path for path in kept_files() if path.suffix == ".py" and VAGUE & {path.stem, path.parent.name}]
    assert vague == []


def test_every_module_says_what_it_is_responsible_for() -> None:
    silent = [str(m.path.relative_to(ROOT)) for m in kept_modules() if not (ast.get_docstring(m.tree) or "").strip()]
    assert silent == []


# -- nothing of the machine it was written on -----------------------------------------------------


def package_sources() -> set[str]:
    """Hosts and folders this machine installs packages from: its own affair, and nobody else's."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False, timeout=60
    )
    settings = dict(line.split("=", 1) for line in listed.stdout.splitlines() if "=" in line) | dict(os.environ)
    about = re.compile(r"index|registry|find.links|proxy", re.IGNORECASE)
    words = [word for name, value in settings.items() if about.search(name) for word in value.strip("'").split()]
    addresses = [urlsplit(word) for word in words]
    sources = {(url.hostname or "" if url.scheme.startswith("http") else url.path) for url in addresses}
    return {source for source in sources if "/" in source.strip("/") or "." in source} - {"127.0.0.1"}


MACHINE_PATH = re.compile(r"(?<![\w.~}/-])/(?:home|Users|root|workspaces?|work)/[\w.-]+")
PACKAGE_INDEX = re.compile(
    r"(?:--(?:extra-)?index-url|--find-links|\bindex-url\s*=|\bregistry\s*=)\s*\S"
    r"|https?://[\w.-]*(?:pypi|npm|artifactory|nexus)[\w.-]*",
    re.IGNORECASE,
)


def offending_lines(path: Path, text: str, *patterns: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for number, line in enumerate(text.splitlines(), 1)
        for pattern in patterns
        if (match := pattern.search(line))
    ]


def test_nothing_kept_names_a_package_index_or_a_machine() -> None:
    own = [re.escape(name) for name in {str(ROOT), *package_sources()}]
    patterns = (MACHINE_PATH, PACKAGE_INDEX, re.compile("|".join(own)))
    here = Path(__file__).resolve()

    found = [line for path, text in kept_texts() if path != here for line in offending_lines(path, text, *patterns)]

    assert found == []


@pytest.mark.parametrize(
    ("line", "noticed"),
    [
        ("see /home/ann/library/main", True),
        ('path = "/Users/ann/project"', True),
        ("--index-url https://packages.example.org/simple", True),
        ('source = { registry = "https://packages.example.org" }', True),
        ("https://nexus.example.org/packages/x.whl", True),
        ("ContentUri: ../../layers/common", False),
        ("/var/task and /opt/python are where Lambda keeps code", False),
        ("https://api.test/home/page", False),
        ("boto3==1.43.1 --hash=sha256:00", False),
    ],
)
def test_the_patterns_notice(line: str, noticed: bool) -> None:
    assert bool(offending_lines(ROOT / "x", line, MACHINE_PATH, PACKAGE_INDEX)) == noticed
