"""Builds the object graph of loans once per process, when first needed. The only place that knows every part."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from library_common import aws
from library_common.clock import SystemClock
from library_common.configuration import parameter
from library_common.service_calls import service_client
from library_common.service_client import Timeouts
from loans_service.adapters.dynamodb import DynamoLoans
from loans_service.adapters.policies import StoredPolicies
from loans_service.adapters.recoveries import QueuedRecoveries
from loans_service.adapters.services import HttpMembers, HttpShelf
from loans_service.application.checkout import Checkout
from loans_service.application.forgetting import Forgetting
from loans_service.application.history import History
from loans_service.application.recovering import Recovering
from loans_service.application.renewing import Renewing
from loans_service.application.returning import Returning
from loans_service.application.settling import Settling
from loans_service.settings import LoansSettings

if TYPE_CHECKING:
    from loans_service.application.erasing import Erasing
    from loans_service.application.rounds import RetentionRound

_SCOPES = frozenset({"users:read", "inventory:write"})
# Long enough for a service that starts cold, twice over on a good day.
_TIMEOUTS = Timeouts(connect=0.5, answer=4.0, breaker_failures=5, breaker_pause=10.0)


@dataclass(frozen=True)
class Lending:
    """Everything loans can do."""

    checkout: Checkout
    returning: Returning
    renewing: Renewing
    history: History


@cache
def settings() -> LoansSettings:
    return LoansSettings()


@cache
def _services() -> tuple[HttpMembers, HttpShelf]:
    users = service_client("users", timeouts=_TIMEOUTS, caller="loans", scopes=_SCOPES)
    books = service_client("books", timeouts=_TIMEOUTS, caller="loans", scopes=_SCOPES)
    return HttpMembers(users), HttpShelf(books)


@cache
def lending() -> Lending:
    """What the HTTP API uses."""
    clock = SystemClock()
    members, shelf = _services()
    loans = DynamoLoans(settings().table_name, aws.dynamodb)
    policies = StoredPolicies(parameter(settings().loan_policy_parameter).get, settings().library_time_zone)
    settling = Settling(loans=loans, shelf=shelf, forgetting=Forgetting(loans, clock))
    return Lending(
        checkout=Checkout(members=members, loans=loans, shelf=shelf, policies=policies, settling=settling, clock=clock),
        returning=Returning(loans=loans, shelf=shelf, settling=settling, clock=clock),
        renewing=Renewing(members=members, loans=loans, policies=policies, clock=clock),
        history=History(loans=loans, clock=clock),
    )


@cache
def recovering() -> Recovering:
    """What the recovery function uses."""
    checkout = lending().checkout
    return Recovering(
        loans=checkout.loans,
        checkout=checkout,
        settling=checkout.settling,
        recoveries=QueuedRecoveries(settings().recovery_queue_url),
        clock=checkout.clock,
    )


@cache
def erasing() -> "Erasing":
    """What the consumer of erased members uses."""
    from library_common.dynamodb import Table  # noqa: PLC0415 - not of the HTTP API
    from loans_service.adapters.accounts import DynamoAccounts  # noqa: PLC0415
    from loans_service.application.erasing import Erasing  # noqa: PLC0415

    clock = SystemClock()
    loans = DynamoLoans(settings().table_name, aws.dynamodb)
    accounts = DynamoAccounts(Table(settings().table_name, aws.dynamodb))
    return Erasing(loans, accounts, Forgetting(loans, clock), clock)


@cache
def retention_round() -> "RetentionRound":
    """What the round over closed loans uses."""
    from library_common.dynamodb import Table  # noqa: PLC0415 - not of the HTTP API
    from loans_service.adapters.rounds import DynamoRounds  # noqa: PLC0415
    from loans_service.application.rounds import RetentionRound  # noqa: PLC0415

    members, _ = _services()
    return RetentionRound(
        loans=erasing().loans,
        accounts=erasing().accounts,
        members=members,
        rounds=DynamoRounds(Table(settings().table_name, aws.dynamodb)),
        forgetting=erasing().forgetting,
        erasing=erasing(),
        period=timedelta(days=settings().loan_history_days),
        clock=erasing().clock,
    )
