"""Puts the service together, once, when it is first called."""

import json
from functools import cache

from library_common import aws
from library_common.clock import SystemClock
from library_common.configuration import parameter, secret
from library_common.dynamodb import Table
from library_common.service_client import Patience, ServiceClient, ServiceToken
from users_service.adapters.contacts import email_key
from users_service.adapters.dynamodb import DynamoMembers
from users_service.adapters.loans import HttpMembersLoans
from users_service.adapters.passwords import BcryptPasswords
from users_service.application.use_cases import UseCases
from users_service.settings import UsersSettings

_SCOPES = frozenset({"loans:read"})


@cache
def use_cases() -> UseCases:
    """The use cases on the real table, clock, neighbours and password hashing."""
    settings = UsersSettings()
    return UseCases.of(
        members=DynamoMembers(Table(settings.table_name, aws.dynamodb)),
        passwords=BcryptPasswords(settings.bcrypt_rounds),
        loans=_loans(settings),
        email_key=email_key,
        terms=settings.terms,
        clock=SystemClock(),
    )


def _loans(settings: UsersSettings) -> HttpMembersLoans:
    stored = secret(settings.service_secret_arn)
    token = ServiceToken(
        service="users", scopes=_SCOPES, secret=lambda: str(json.loads(stored.get())["current"]), clock=SystemClock()
    )
    address = parameter(settings.services_url_parameter)
    return HttpMembersLoans(
        ServiceClient(service="loans", base_url=address.get, token=token, patience=Patience(answer=4.0))
    )
