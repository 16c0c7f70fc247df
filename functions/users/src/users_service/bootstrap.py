"""Puts the service together, once, when it is first called."""

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from library_common import aws
from library_common.clock import SystemClock
from library_common.configuration import parameter, secret
from library_common.dynamodb import Table
from library_common.limits import limiter
from library_common.telemetry import count
from users_service.adapters.code_queue import QueuedCodeRequests
from users_service.adapters.codes import DynamoCodes
from users_service.adapters.common_passwords import is_common
from users_service.adapters.contacts import email_key
from users_service.adapters.deployments import DynamoDeployments
from users_service.adapters.dynamodb import DynamoMembers
from users_service.adapters.loans import HttpMembersLoans
from users_service.adapters.messenger import AwsMessenger
from users_service.adapters.passwords import BcryptPasswords
from users_service.adapters.records import HttpMembersRecords
from users_service.adapters.round_queue import QueuedRounds
from users_service.adapters.sessions import DynamoSessions
from users_service.adapters.token_keys import PublishedVerificationKeys, SignedAccessTokens
from users_service.application.code_requests import AskForCode
from users_service.application.code_sending import SendCode, SendNotice
from users_service.application.editing import Editing
from users_service.application.first_administrator import EnsureFirstAdministrator
from users_service.application.lapsing import LapseMemberships
from users_service.application.password_policy import PasswordPolicy
from users_service.application.session_cases import SessionCases
from users_service.application.use_cases import UseCases
from users_service.application.wording import Wording
from users_service.settings import UsersSettings

if TYPE_CHECKING:
    from library_common.service_client import ServiceClient

_SCOPES = frozenset({"loans:read", "notifications:read", "analytics:read"})
SIGNING_KEY_SECONDS = 60.0
"""A key that somebody else may know is replaced by force; what the old one signs is refused from then on."""


@cache
def use_cases() -> UseCases:
    """The use cases on the real table, keys, neighbours, clock and password hashing."""
    settings = UsersSettings()
    table = _table()
    members, passwords, clock = DynamoMembers(table), BcryptPasswords(settings.bcrypt_rounds), SystemClock()
    return UseCases.of(
        members=members,
        passwords=passwords,
        loans=HttpMembersLoans(_loans),
        records=HttpMembersRecords(_notifications, _analytics),
        policy=PasswordPolicy(is_common, settings.password_min_characters),
        email_key=email_key,
        terms=settings.terms,
        clock=clock,
        sessions=SessionCases.of(
            members=members,
            passwords=passwords,
            sessions=DynamoSessions(table),
            attempts=limiter(),
            access_tokens=SignedAccessTokens(secret(settings.signing_key_parameter, seconds=SIGNING_KEY_SECONDS).get),
            verification_keys=PublishedVerificationKeys(parameter(settings.verification_keys_parameter).get),
            email_key=email_key,
            lifetime=timedelta(days=settings.refresh_days),
            clock=clock,
            count=count,
        ),
        codes=DynamoCodes(table),
        code_requests=code_requests(),
        attempts=limiter(),
    )


@cache
def send_code() -> SendCode:
    """What the code sender uses."""
    settings = UsersSettings()
    return SendCode(
        members=DynamoMembers(_table()),
        codes=DynamoCodes(_table()),
        passwords=BcryptPasswords(settings.bcrypt_rounds),
        messenger=_messenger(),
        wording=_wording(),
        attempts=limiter(),
        clock=SystemClock(),
    )


@cache
def send_notice() -> SendNotice:
    """What the code sender uses for what is no code."""
    return SendNotice(_messenger(), _wording(), SystemClock())


def _messenger() -> AwsMessenger:
    settings = UsersSettings()
    return AwsMessenger(mail_from=settings.mail_from, library=settings.library_name)


def _wording() -> Wording:
    return Wording(UsersSettings().library_name)


@cache
def lapse_memberships() -> LapseMemberships:
    """What the nightly round uses."""
    members, clock = DynamoMembers(_table()), SystemClock()
    return LapseMemberships(members, Editing(members, clock), clock)


@cache
def first_administrator() -> EnsureFirstAdministrator:
    """What the deployment's custom resource uses."""
    clock = SystemClock()
    return EnsureFirstAdministrator(
        members=DynamoMembers(_table()),
        deployments=DynamoDeployments(_table()),
        ask=AskForCode(code_requests(), limiter(), email_key, clock),
        email_key=email_key,
        clock=clock,
    )


@cache
def code_requests() -> QueuedCodeRequests:
    """The queue of the code sender."""
    return QueuedCodeRequests(UsersSettings().code_requests_url)


@cache
def rounds() -> QueuedRounds:
    """The queue of the nightly round."""
    return QueuedRounds(UsersSettings().rounds_url)


def _table() -> Table:
    return Table(UsersSettings().table_name, aws.dynamodb)


@cache
def _loans() -> "ServiceClient":
    return _service("loans")


@cache
def _notifications() -> "ServiceClient":
    return _service("notifications")


@cache
def _analytics() -> "ServiceClient":
    return _service("analytics")


def _service(name: str) -> "ServiceClient":
    from library_common.service_calls import service_client  # noqa: PLC0415 - seldom needed
    from library_common.service_client import Timeouts  # noqa: PLC0415 - seldom needed

    return service_client(name, timeouts=Timeouts(answer=4.0), caller="users", scopes=_SCOPES)
