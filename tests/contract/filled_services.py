"""What each service brings for the contract tests, in `tests/contract/services/<service>.py`.

A service with an HTTP API has `running(stack) -> Running`: its API on its real storage adapters in moto, with something
in it to find. What it asks of other services comes from fakes. Beside it the module has, where they apply:

* `fill_for_samples(stack)`: stores what the sample requests of the service ask for;
* `emit_every_event(stack)`: makes a service with a publisher emit events of every type;
* `UNDERSTANDS`: for every rule that delivers events to the service, how it reads a queue message, as far as it comes
  without changing anything. It raises for a message that it cannot use.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from library_common import aws
from library_common.http import ServiceApi
from tests.contract import strict_dynamodb
from tests.contract.in_process import InProcess
from tests.fakes.users import ADMIN, LIBRARIAN
from tests.support.lambda_events import person, service


class NotUsed(Exception):
    """A rule delivers an event that its consumer does nothing with."""


@dataclass(frozen=True)
class Running:
    """One service, and what exists in it by the name of the field that names it.

    either: pairs of fields of which a body takes one.
    """

    api: ServiceApi
    known: dict[str, str]
    either: tuple[tuple[str, str], ...] = ()

    def caller_for(self, access: Mapping[str, Any]) -> dict[str, str]:
        """A librarian wherever librarians may; else who may."""
        if access.get("librarian") or access.get("public"):
            return person(LIBRARIAN.id, "librarian")
        if access.get("admin"):
            return person(ADMIN.id, "admin")
        if "scope" in access:
            return service("loans", access["scope"])
        return person(self.known.get("user_id", LIBRARIAN.id), "patron")


def brought_by(name: str) -> ModuleType:
    """The module of a service. Raises ModuleNotFoundError where a service has none."""
    return importlib.import_module(f"tests.contract.services.{name}")


def brought(attribute: str) -> dict[str, Any]:
    """Service -> what it has under this name; services without it are left out."""
    files = sorted((Path(__file__).parent / "services").glob("*.py"))
    modules = {file.stem: brought_by(file.stem) for file in files}
    return {name: getattr(module, attribute) for name, module in modules.items() if hasattr(module, attribute)}


@contextmanager
def running(stack: InProcess, name: str) -> Iterator[Running]:
    """A service as its handler would run it, with a client of its own. Enforces DynamoDB's rules that moto lacks."""
    start: Callable[[InProcess], Running] = brought_by(name).running
    aws._client.cache_clear()
    strict_dynamodb.enforce(stack.indexes())
    try:
        yield start(stack)
    finally:
        aws._client.cache_clear()
