"""Users for the contract tests: with a member, with the member of the samples, and with all its events."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import users_service.bootstrap
import users_service.http
from library_common import aws
from library_common.access import ANONYMOUS
from library_common.clock import SystemClock
from library_common.dynamodb import Table
from library_common.ids import new_id
from library_common.limits import Unlimited
from tests.contract.filled_services import Running
from tests.contract.in_process import InProcess
from tests.fakes.users import ADMIN, LIBRARIAN, a_member, any_version, use_cases_on
from tests.support.shared_api import api_on
from tools import sample_events as samples
from users_service.adapters.code_queue import QueuedCodeRequests
from users_service.adapters.codes import DynamoCodes
from users_service.adapters.dynamodb import DynamoMembers
from users_service.adapters.passwords import is_common
from users_service.adapters.sessions import DynamoSessions
from users_service.application.password_policy import PasswordPolicy
from users_service.application.registration import Registration
from users_service.bootstrap import UseCases
from users_service.domain.account_changes import StatusUpdate
from users_service.domain.membership import Status
from users_service.domain.roles import Role


def use_cases(stack: InProcess) -> UseCases:
    """The use cases of users on their table."""
    table = Table(stack.refs["UsersTable"], aws.dynamodb)
    return use_cases_on(
        DynamoMembers(table),
        DynamoSessions(table),
        DynamoCodes(table),
        policy=PasswordPolicy(is_common),
        clock=SystemClock(),
        code_requests=QueuedCodeRequests(stack.refs["CodeRequestQueue"]),
        attempts=Unlimited(),
    )


def running(stack: InProcess) -> Running:
    """The users service with one member."""
    cases = use_cases(stack)
    members = DynamoMembers(Table(stack.refs["UsersTable"], aws.dynamodb))
    for staff in (LIBRARIAN, ADMIN):
        # Their tokens are of accounts that exist, as in life: some changes look at the account itself.
        if members.get(staff.id) is None:
            account = a_member(id=staff.id, role=Role(str(staff.role)))
            members.add(account, password_hash=None, happened=[], ticket=None, answer="", now=account.created_at)
    member = cases.register(
        Registration(name="Ann Lee", email=f"{new_id()}@example.org", role=Role.PATRON, password="correct horse"),
        caller=LIBRARIAN,
        ticket=None,
    )
    return Running(api_on(users_service.http.build, cases), {"user_id": member.user.id})


def fill_for_samples(stack: InProcess) -> None:
    """Registers the member of the samples."""
    with stack.function("UsersFunction"):
        register = replace(users_service.bootstrap.use_cases().register, ids=lambda: samples.MEMBER)
        register(
            Registration(name="Sam Ple", email=samples.EMAIL, role=Role.PATRON, password=samples.PASSWORD),
            caller=ANONYMOUS,
            ticket=None,
        )


def emit_every_event(stack: InProcess) -> None:
    """Makes the service emit events of every type."""
    cases = use_cases(stack)
    registered = cases.register(
        Registration(name="Ann Lee", email="ann@example.org", role=Role.PATRON), caller=LIBRARIAN, ticket=None
    )
    user_id = registered.user.id
    for update in (
        StatusUpdate(Status.SUSPENDED, reason="lost card", until=datetime.now(UTC) + timedelta(days=14)),
        StatusUpdate(Status.ACTIVE),
        StatusUpdate(Status.SUSPENDED, reason="unpaid fines"),
    ):
        cases.change_status(user_id, update, caller=LIBRARIAN, accept=any_version)
    cases.promote(user_id, Role.FACULTY, caller=ADMIN, accept=any_version)
    cases.erase(user_id)
