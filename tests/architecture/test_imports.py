"""Who may import whom. The rules stand in docs/conventions.md."""

import sys
from pathlib import Path

import pytest

from tests.architecture.sources import Module, deployed, service_packages

pytestmark = pytest.mark.architecture

FRAMEWORKS = ("fastapi", "starlette", "mangum", "boto3", "botocore", "aws_lambda_powertools")
EDGES_OF_COMMON = ("library_common.aws", "library_common.http", "library_common.service_client")
"""Modules of library_common that are adapters themselves: to AWS, to HTTP clients, to other services."""


def domain_violations(module: Module) -> list[str]:
    """Imports of a domain module that are neither standard library, pydantic nor its own domain."""
    if module.layer != "domain":
        return []
    return [
        f"{module.at(found.line)} imports {found.name}"
        for found in module.imports
        if found.name.split(".")[0] not in sys.stdlib_module_names
        and not found.is_of("pydantic")
        and not found.is_of(f"{module.package}.domain")
    ]


def application_violations(module: Module) -> list[str]:
    """Imports of a use case that tie it to a framework, to AWS or to one storage."""
    if module.layer != "application":
        return []
    outside = [f"{module.package}.{part}" for part in ("adapters", "bootstrap", "http", "publisher", "settings")]
    forbidden = (*FRAMEWORKS, *EDGES_OF_COMMON, *outside)
    return [
        f"{module.at(found.line)} imports {found.name}"
        for found in module.imports
        if found.name.startswith("mypy_boto3_") or any(found.is_of(package) for package in forbidden)
    ]


def foreign_violations(module: Module, packages: frozenset[str]) -> list[str]:
    """Imports of another service's package."""
    others = packages - {module.package}
    return [
        f"{module.at(found.line)} imports {found.name}"
        for found in module.imports
        if any(found.is_of(other) for other in others)
    ]


def test_domains_import_the_standard_library_and_pydantic_only() -> None:
    assert [violation for module in deployed() for violation in domain_violations(module)] == []


def test_use_cases_know_no_framework_and_no_storage() -> None:
    assert [violation for module in deployed() for violation in application_violations(module)] == []


def test_no_service_imports_another_and_the_plumbing_imports_none() -> None:
    packages = service_packages()
    assert [violation for module in deployed() for violation in foreign_violations(module, packages)] == []


def test_every_service_has_the_layers_the_rules_speak_of() -> None:
    """Otherwise a renamed folder would take its modules out of the rules unnoticed."""
    with_http = {module.package for module in deployed() if module.layer == "http"} - {"library_common"}
    assert with_http >= {"users_service", "books_service", "loans_service", "notifications_service"}
    for package in with_http:
        layers = {module.layer for module in deployed() if module.package == package}
        assert {"domain", "application", "adapters", "bootstrap", "settings"} <= layers, package
        tells = f"{package}.domain.events" in {module.name for module in deployed()}
        assert ("publisher" in layers) == tells, f"{package}: events and a publisher, or neither"
        only = {module.layer for module in deployed() if module.package == package and module.name.count(".") > 1}
        assert only <= {"domain", "application", "adapters", "routes", "schemas"}, package


@pytest.mark.parametrize(
    ("name", "line", "noticed"),
    [
        ("x_service.domain.model", "import boto3", True),
        ("x_service.domain.model", "from library_common.ids import new_id", True),
        ("x_service.domain.model", "from x_service.application import ports", True),
        ("x_service.domain.model", "def f():\n    from fastapi import Query", True),
        ("x_service.domain.model", "from ..adapters import dynamodb", True),
        ("x_service.domain.model", "from .events import Happened", False),
        ("x_service.domain.model", "from pydantic import BaseModel\nimport datetime", False),
        ("x_service.application.lend", "import mypy_boto3_dynamodb.client", True),
        ("x_service.application.lend", "from aws_lambda_powertools import Logger", True),
        ("x_service.application.lend", "from x_service.adapters.dynamodb import Table", True),
        ("x_service.application.lend", "from library_common import aws", True),
        ("x_service.application.lend", "from library_common.ids import new_id", False),
        ("x_service.adapters.services", "import y_service", True),
        ("library_common.access", "from x_service.domain import model", True),
        ("x_service.adapters.dynamodb", "import boto3", False),
    ],
)
def test_the_rules_notice(name: str, line: str, noticed: bool) -> None:
    """The rules themselves, on code that breaks or keeps them."""
    module = Module(name, Path(f"{name}.py"), line)
    packages = frozenset({"x_service", "y_service"})
    found = domain_violations(module) + application_violations(module) + foreign_violations(module, packages)
    assert bool(found) == noticed
