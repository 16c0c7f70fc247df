"""Builds the object graph of loans once per process, when first needed. The only place that knows every part."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from library_common import aws
from library_common.clock import SystemClock
from library_common.configuration import parameter
from library_common.dynamodb import Table
from library_common.service_calls import service_client
from library_common.service_client import Timeouts
from loans_service.adapters.dynamodb import DynamoLoans
from loans_service.adapters.policies import StoredPolicies
from loans_service.adapters.recoveries import QueuedRecoveries
from loans_service.adapters.services import HttpBooks, HttpMembers
from loans_service.application.checkout import Checkout
from loans_service.application.closing import Anonymisation, CopyRelease
from loans_service.application.history import History
from loans_service.application.recovery import Recovery
from loans_service.application.renewal import Renewal
from loans_service.application.returns import Returns
from loans_service.settings import LoansSettings

if TYPE_CHECKING:
    from loans_service.application.account_erasure import AccountErasure
    from loans_service.application.retention_job import RetentionJob

_SCOPES = frozenset({"users:read", "inventory:write"})
# Long enough for two attempts when the service starts cold.
_TIMEOUTS = Timeouts(connect=0.5, answer=4.0, breaker_failures=5, breaker_pause=10.0)


@dataclass(frozen=True)
class Lending:
    """Everything loans can do."""

    checkout: Checkout
    returns: Returns
    renewal: Renewal
    history: History


@cache
def settings() -> LoansSettings:
    return LoansSettings()


@cache
def _table() -> Table:
    return Table(settings().table_name, aws.dynamodb)


@cache
def _services() -> tuple[HttpMembers, HttpBooks]:
    users = service_client("users", timeouts=_TIMEOUTS, caller="loans", scopes=_SCOPES)
    books = service_client("books", timeouts=_TIMEOUTS, caller="loans", scopes=_SCOPES)
    return HttpMembers(users), HttpBooks(books)


@cache
def lending() -> Lending:
    """What the HTTP API uses."""
    clock = SystemClock()
    members, books = _services()
    loans = DynamoLoans(_table())
    policies = StoredPolicies(parameter(settings().loan_policy_parameter).get, settings().library_time_zone)
    copy_release = CopyRelease(loans=loans, books=books, anonymisation=Anonymisation(loans, clock))
    return Lending(
        checkout=Checkout(
            members=members,
            loans=loans,
            books=books,
            policies=policies,
            copy_release=copy_release,
            clock=clock,
            lease=timedelta(seconds=settings().checkout_lease_seconds),
        ),
        returns=Returns(loans=loans, books=books, policies=policies, copy_release=copy_release, clock=clock),
        renewal=Renewal(members=members, loans=loans, policies=policies, clock=clock),
        history=History(loans=loans, clock=clock),
    )


@cache
def recovery() -> Recovery:
    """What the recovery function uses."""
    checkout = lending().checkout
    return Recovery(
        loans=checkout.loans,
        checkout=checkout,
        copy_release=checkout.copy_release,
        recoveries=QueuedRecoveries(settings().recovery_queue_url),
        clock=checkout.clock,
        first_pause_seconds=settings().recovery_pause_seconds,
    )


@cache
def account_erasure() -> "AccountErasure":
    """What the consumer of erased members uses."""
    from loans_service.adapters.retention import DynamoAccounts  # noqa: PLC0415 - not needed by the HTTP API
    from loans_service.application.account_erasure import AccountErasure  # noqa: PLC0415

    clock = SystemClock()
    loans = DynamoLoans(_table())
    accounts = DynamoAccounts(_table())
    return AccountErasure(loans, accounts, Anonymisation(loans, clock), clock)


@cache
def retention_job() -> "RetentionJob":
    """What the retention job uses."""
    from loans_service.adapters.retention import DynamoProgressStore  # noqa: PLC0415 - as above
    from loans_service.application.retention_job import RetentionJob  # noqa: PLC0415

    members, _ = _services()
    erasure = account_erasure()
    return RetentionJob(
        loans=erasure.loans,
        accounts=erasure.accounts,
        members=members,
        store=DynamoProgressStore(_table()),
        anonymisation=erasure.anonymisation,
        account_erasure=erasure,
        period=timedelta(days=settings().loan_history_days),
        clock=erasure.clock,
    )
