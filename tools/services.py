"""The services of this repository and their modules."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
FUNCTIONS = ROOT / "functions"


def make_importable() -> None:
    """Puts the packages of all services and library_common on the import path."""
    for folder in (ROOT / "layers" / "common", *sorted(FUNCTIONS.glob("*/src"))):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


def with_module(path: str) -> list[str]:
    """The names of the services that have a module such as `http` or `domain.events`, sorted."""
    file = Path(*path.split(".")).with_suffix(".py")
    return sorted(folder.name for folder in FUNCTIONS.iterdir() if (package_folder(folder.name) / file).is_file())


def stack_templates() -> list[Path]:
    """The template of every stack, in no order; template.yaml says in which they are deployed."""
    return sorted(path for path in FUNCTIONS.glob("*/*.yaml"))


def module(service: str, path: str) -> ModuleType:
    """A module of a service: `module("loans", "domain.events")`."""
    make_importable()
    return importlib.import_module(f"{_package(service)}.{path}")


def package_folder(service: str) -> Path:
    """The folder of a service's package."""
    return FUNCTIONS / service / "src" / _package(service)


def _package(service: str) -> str:
    return f"{service}_service"
