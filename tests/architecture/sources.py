"""The Python source of the repository as syntax trees, and what is kept in it as text."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from localstack.embedded.layout import COMMON_LAYER, ROOT

FUNCTIONS = ROOT / "functions"


@dataclass(frozen=True)
class Import:
    """One imported name: `from a.b import c` is `a.b.c`."""

    name: str
    line: int

    def is_of(self, package: str) -> bool:
        """Whether this is the package or something inside it."""
        return self.name == package or self.name.startswith(f"{package}.")


@dataclass(frozen=True)
class Module:
    """One Python file, by the name it is imported with."""

    name: str
    path: Path
    text: str

    @classmethod
    def read(cls, path: Path, root: Path) -> "Module":
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        return cls(name, path, path.read_text(encoding="utf-8"))

    @property
    def package(self) -> str:
        """The service's package, or `library_common`."""
        return self.name.split(".")[0]

    @property
    def layer(self) -> str:
        """`domain`, `application`, `adapters`, or the name of the module beside them."""
        return [*self.name.split("."), ""][1]

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @cached_property
    def imports(self) -> list[Import]:
        """Every import anywhere in the file, inside functions and for type checkers too."""
        found: list[Import] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found.extend(Import(alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                found.extend(Import(f"{base}.{alias.name}", node.lineno) for alias in node.names)
        return found

    def _absolute(self, node: ast.ImportFrom) -> str:
        if node.level == 0:
            return node.module or ""
        # `.` is the package itself for an __init__, the package around for any other module.
        drop = node.level - 1 if self.path.name == "__init__.py" else node.level
        parts = self.name.split(".")
        return ".".join([*parts[: len(parts) - drop], *([node.module] if node.module else [])])

    def at(self, line: int) -> str:
        """`path:line` as editors take it."""
        return f"{self.path.relative_to(ROOT) if self.path.is_relative_to(ROOT) else self.path}:{line}"


@cache
def deployed() -> tuple[Module, ...]:
    """What runs in Lambda: the services and library_common."""
    roots = [*sorted(FUNCTIONS.glob("*/src")), COMMON_LAYER]
    return tuple(
        Module.read(path, root)
        for root in roots
        for path in sorted(root.glob("*/**/*.py"))
        if "build" not in path.parts
    )


@cache
def service_packages() -> frozenset[str]:
    """`users_service`, `books_service` and so on."""
    return frozenset(module.package for module in deployed()) - {"library_common"}


@cache
def kept_files() -> tuple[Path, ...]:
    """Every file that is committed, or would be by `git add .`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    # What is deleted but not yet committed as such is still listed.
    return tuple(path for path in paths if path.is_file())


def kept_texts() -> Iterator[tuple[Path, str]]:
    """The kept files that are text."""
    for path in kept_files():
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def kept_modules() -> Iterator[Module]:
    """Every kept Python file, tests and tools too."""
    for path in kept_files():
        if path.suffix == ".py":
            yield Module.read(path, ROOT)
