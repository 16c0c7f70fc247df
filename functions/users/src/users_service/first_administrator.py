"""A custom resource of the deployment: the account of the first administrator."""

from collections.abc import Mapping
from typing import Any

from library_common import custom_resource
from library_common.telemetry import logged_invocation
from users_service import bootstrap
from users_service.application.first_administrator import AddressOfAnother, EnsureFirstAdministrator


def handler(event: Mapping[str, Any], _context: object) -> None:
    """Lambda entry for CloudFormation. Property `Email`: the administrator's address."""
    with logged_invocation(f"first administrator {event['RequestType']}") as running:
        custom_resource.answer(event, lambda properties: work(properties, bootstrap.first_administrator()))
        running.status = "answered"


def work(properties: Mapping[str, Any], ensure: EnsureFirstAdministrator) -> None:
    """Raises custom_resource.Refused, with a sentence for whoever deploys."""
    try:
        ensure(str(properties["Email"]))
    except AddressOfAnother as exc:
        raise custom_resource.Refused(str(exc)) from exc
    except ValueError as exc:
        raise custom_resource.Refused("AdminEmail is not an e-mail address.") from exc
