"""Puts the service together, once, when it is first called."""

from functools import cache

from library_common import aws
from library_common.clock import SystemClock
from library_common.dynamodb import Table
from users_service.adapters.attempts import NoLimit
from users_service.adapters.code_queue import QueuedCodeRequests
from users_service.adapters.codes import DynamoCodes
from users_service.adapters.contacts import email_key
from users_service.adapters.dynamodb import DynamoMembers
from users_service.adapters.messenger import AwsMessenger
from users_service.adapters.passwords import BcryptPasswords
from users_service.adapters.round_queue import QueuedRounds
from users_service.application.code_requests import AskForCode
from users_service.application.code_sending import SendCode
from users_service.application.editing import Editing
from users_service.application.first_administrator import EnsureFirstAdministrator
from users_service.application.lapsing import LapseMemberships
from users_service.application.use_cases import UseCases
from users_service.application.wording import Wording
from users_service.settings import UsersSettings


@cache
def use_cases() -> UseCases:
    """The use cases on the real table, clock and password hashing."""
    settings = UsersSettings()
    return UseCases.of(
        members=DynamoMembers(_table()),
        passwords=BcryptPasswords(settings.bcrypt_rounds),
        email_key=email_key,
        terms=settings.terms,
        clock=SystemClock(),
        codes=DynamoCodes(_table()),
        code_requests=code_requests(),
        attempts=NoLimit(),
    )


@cache
def send_code() -> SendCode:
    """What the code sender uses."""
    settings = UsersSettings()
    return SendCode(
        members=DynamoMembers(_table()),
        codes=DynamoCodes(_table()),
        passwords=BcryptPasswords(settings.bcrypt_rounds),
        messenger=AwsMessenger(mail_from=settings.mail_from, library=settings.library_name),
        wording=Wording(settings.library_name),
        clock=SystemClock(),
    )


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
        codes=DynamoCodes(_table()),
        ask=AskForCode(code_requests(), NoLimit(), email_key, clock),
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
