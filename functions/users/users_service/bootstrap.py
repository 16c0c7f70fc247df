"""Puts the service together, once, when it is first called."""

from functools import cache

from library_common import aws
from library_common.clock import SystemClock
from library_common.dynamodb import Table
from users_service.adapters.contacts import email_key
from users_service.adapters.dynamodb import DynamoMembers
from users_service.adapters.passwords import BcryptPasswords
from users_service.application.use_cases import UseCases
from users_service.settings import UsersSettings


@cache
def use_cases() -> UseCases:
    """The use cases on the real table, clock and password hashing."""
    settings = UsersSettings()
    return UseCases.of(
        members=DynamoMembers(Table(settings.table_name, aws.dynamodb)),
        passwords=BcryptPasswords(settings.bcrypt_rounds),
        email_key=email_key,
        terms=settings.terms,
        clock=SystemClock(),
    )
