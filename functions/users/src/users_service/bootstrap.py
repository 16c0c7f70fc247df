"""Puts the service together, once, when it is first called."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from library_common import aws
from library_common.clock import Clock, SystemClock
from library_common.configuration import parameter, secret
from library_common.dynamodb import Table
from library_common.limits import limiter
from library_common.telemetry import count
from users_service.adapters.code_queue import QueuedCodeRequests
from users_service.adapters.codes import DynamoCodes
from users_service.adapters.contacts import email_key
from users_service.adapters.dynamodb import DynamoMembers
from users_service.adapters.expiry_queue import ExpiryQueue
from users_service.adapters.first_administrators import DynamoFirstAdministrators
from users_service.adapters.message_sender import AwsMessageSender
from users_service.adapters.other_services import HttpMembersLoans, HttpMembersRecords
from users_service.adapters.passwords import BcryptPasswords, is_common
from users_service.adapters.sessions import DynamoSessions
from users_service.adapters.token_keys import PublishedVerificationKeys, SignedAccessTokens
from users_service.application.account_changes import AccountEditor, ChangeStatus, EditProfile, Promote
from users_service.application.account_erasure import Erase
from users_service.application.account_search import FindUsers, ReadUser
from users_service.application.code_redemption import CheckCode, ResetPassword, VerifyEmail
from users_service.application.code_requests import AskForCode
from users_service.application.code_sending import SendCode, SendNotice
from users_service.application.data_export import Export
from users_service.application.first_administrator import EnsureFirstAdministrator
from users_service.application.membership_expiry import ExpireMemberships
from users_service.application.message_templates import MessageTemplates
from users_service.application.password_policy import PasswordPolicy
from users_service.application.ports import (
    AccessTokens,
    Attempts,
    CodeRequests,
    Codes,
    Count,
    Members,
    MembersLoans,
    MembersRecords,
    Passwords,
    Sessions,
    VerificationKeys,
)
from users_service.application.registration import Register
from users_service.application.sessions import Login, Logout, Refresh, TokenIssuer
from users_service.domain.membership import Terms
from users_service.settings import UsersSettings

if TYPE_CHECKING:
    from library_common.service_client import ServiceClient

_SCOPES = frozenset({"loans:read", "notifications:read", "analytics:read"})
SIGNING_KEY_SECONDS = 60.0
"""A leaked key is replaced by force; what the old one signs is refused from then on."""


@dataclass(frozen=True)
class UseCases:
    """What the HTTP API can be asked."""

    register: Register
    read: ReadUser
    find: FindUsers
    edit_profile: EditProfile
    change_status: ChangeStatus
    promote: Promote
    export: Export
    erase: Erase
    login: Login
    refresh: Refresh
    logout: Logout
    verification_keys: VerificationKeys
    ask_for_code: AskForCode
    reset_password: ResetPassword
    verify_email: VerifyEmail


def compose(
    *,
    members: Members,
    sessions: Sessions,
    codes: Codes,
    passwords: Passwords,
    loans: MembersLoans,
    records: MembersRecords,
    code_requests: CodeRequests,
    attempts: Attempts,
    access_tokens: AccessTokens,
    verification_keys: VerificationKeys,
    policy: PasswordPolicy,
    terms: Terms,
    lifetime: timedelta,
    clock: Clock,
    count: Count,
) -> UseCases:
    """The use cases on these parts. lifetime: of a session."""
    editor = AccountEditor(members, clock)
    ask = AskForCode(code_requests, attempts, email_key, clock)
    check = CheckCode(members, codes, passwords, attempts, email_key, clock)
    tokens = TokenIssuer(access_tokens)
    return UseCases(
        register=Register(members, passwords, policy, email_key, terms, clock, ask),
        read=ReadUser(members, clock),
        find=FindUsers(members, email_key, clock),
        edit_profile=EditProfile(editor, email_key, ask, passwords, attempts),
        change_status=ChangeStatus(editor, terms),
        promote=Promote(editor, terms),
        export=Export(members, loans, records, clock),
        erase=Erase(editor, members, loans, clock),
        login=Login(members, passwords, sessions, attempts, tokens, email_key, lifetime, clock, count),
        refresh=Refresh(members, sessions, tokens, clock, count),
        logout=Logout(sessions, clock, count),
        verification_keys=verification_keys,
        ask_for_code=ask,
        reset_password=ResetPassword(check, policy, terms),
        verify_email=VerifyEmail(check, terms),
    )


@cache
def use_cases() -> UseCases:
    """The HTTP API's use cases on the real table, keys, services, clock and password hashing."""
    settings = UsersSettings()
    table = _table()
    return compose(
        members=DynamoMembers(table),
        sessions=DynamoSessions(table),
        codes=DynamoCodes(table),
        passwords=BcryptPasswords(settings.bcrypt_rounds),
        loans=HttpMembersLoans(lambda: _service("loans")),
        records=HttpMembersRecords(lambda: _service("notifications"), lambda: _service("analytics")),
        code_requests=code_requests(),
        attempts=limiter(),
        access_tokens=SignedAccessTokens(secret(settings.signing_key_parameter, seconds=SIGNING_KEY_SECONDS).get),
        verification_keys=PublishedVerificationKeys(parameter(settings.verification_keys_parameter).get),
        policy=PasswordPolicy(is_common, settings.password_min_characters),
        terms=settings.terms,
        lifetime=timedelta(days=settings.refresh_days),
        clock=SystemClock(),
        count=count,
    )


@cache
def send_code() -> SendCode:
    """The code sender's use case for codes."""
    return SendCode(
        members=DynamoMembers(_table()),
        codes=DynamoCodes(_table()),
        passwords=BcryptPasswords(UsersSettings().bcrypt_rounds),
        sender=_message_sender(),
        templates=_templates(),
        attempts=limiter(),
        clock=SystemClock(),
    )


@cache
def send_notice() -> SendNotice:
    """The code sender's use case for notices."""
    return SendNotice(_message_sender(), _templates())


def _message_sender() -> AwsMessageSender:
    settings = UsersSettings()
    return AwsMessageSender(mail_from=settings.mail_from, library=settings.library_name)


def _templates() -> MessageTemplates:
    return MessageTemplates(UsersSettings().library_name)


@cache
def expire_memberships() -> ExpireMemberships:
    """The nightly round's use case."""
    members, clock = DynamoMembers(_table()), SystemClock()
    return ExpireMemberships(members, AccountEditor(members, clock), clock)


@cache
def first_administrator() -> EnsureFirstAdministrator:
    """The use case of the deployment's custom resource."""
    clock = SystemClock()
    return EnsureFirstAdministrator(
        members=DynamoMembers(_table()),
        ensured=DynamoFirstAdministrators(_table()),
        ask=AskForCode(code_requests(), limiter(), email_key, clock),
        email_key=email_key,
        clock=clock,
    )


@cache
def code_requests() -> QueuedCodeRequests:
    """The queue of the code sender."""
    return QueuedCodeRequests(UsersSettings().code_requests_url)


@cache
def expiry_queue() -> ExpiryQueue:
    """The queue of the nightly round."""
    return ExpiryQueue(UsersSettings().rounds_url)


def _table() -> Table:
    return Table(UsersSettings().table_name, aws.dynamodb)


@cache
def _service(name: str) -> "ServiceClient":
    from library_common.service_calls import service_client  # noqa: PLC0415 - seldom needed
    from library_common.service_client import Timeouts  # noqa: PLC0415 - seldom needed

    return service_client(name, timeouts=Timeouts(answer=4.0), caller="users", scopes=_SCOPES)
