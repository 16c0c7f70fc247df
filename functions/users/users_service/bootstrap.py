"""Puts the service together, once, when it is first called."""

import json
from datetime import timedelta
from functools import cache

from library_common import aws
from library_common.clock import SystemClock
from library_common.configuration import parameter, secret
from library_common.dynamodb import Table
from library_common.service_client import Patience, ServiceClient, ServiceToken
from library_common.telemetry import count
from users_service.adapters.attempts import NoLimit
from users_service.adapters.common_passwords import is_common
from users_service.adapters.contacts import email_key
from users_service.adapters.dynamodb import DynamoMembers
from users_service.adapters.loans import HttpMembersLoans
from users_service.adapters.passwords import BcryptPasswords
from users_service.adapters.sessions import DynamoSessions
from users_service.adapters.token_keys import PublishedVerificationKeys, SignedAccessTokens
from users_service.application.password_policy import PasswordPolicy
from users_service.application.ports import Attempts
from users_service.application.session_cases import SessionCases
from users_service.application.use_cases import UseCases
from users_service.settings import UsersSettings

_SCOPES = frozenset({"loans:read"})


@cache
def use_cases() -> UseCases:
    """The use cases on the real table, keys, neighbours, clock and password hashing."""
    settings = UsersSettings()
    table = Table(settings.table_name, aws.dynamodb)
    members, passwords, clock = DynamoMembers(table), BcryptPasswords(settings.bcrypt_rounds), SystemClock()
    return UseCases.of(
        members=members,
        passwords=passwords,
        loans=_loans(settings),
        policy=PasswordPolicy(is_common, settings.password_min_characters),
        email_key=email_key,
        terms=settings.terms,
        clock=clock,
        sessions=SessionCases.of(
            members=members,
            passwords=passwords,
            sessions=DynamoSessions(table),
            attempts=_attempts(),
            access_tokens=SignedAccessTokens(secret(settings.signing_key_secret_arn).get),
            verification_keys=PublishedVerificationKeys(parameter(settings.verification_keys_parameter).get),
            email_key=email_key,
            lifetime=timedelta(days=settings.refresh_days),
            clock=clock,
            count=count,
        ),
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


def _attempts() -> Attempts:
    return NoLimit()
