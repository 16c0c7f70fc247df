"""Builds the object graph of notifications once per process, when first needed. Knows every part."""

from functools import cache

from library_common import aws
from library_common.clock import SystemClock
from library_common.configuration import parameter, secret
from library_common.consumers import Queue
from library_common.key_rings import current_secret
from library_common.service_client import Patience, ServiceClient, ServiceToken
from notifications_service.adapters.broadcasts import DynamoBroadcasts
from notifications_service.adapters.dynamodb import DynamoAgenda, DynamoDeliveries, DynamoPlans, DynamoReminders
from notifications_service.adapters.lists import DynamoEntries, DynamoFailed
from notifications_service.adapters.outgoing_queue import QueuedTasks
from notifications_service.adapters.services import HttpAccounts, HttpLoans
from notifications_service.adapters.ses import SesWay
from notifications_service.adapters.sns import PushWay, SmsWay
from notifications_service.application.announcing import Announce, TellEverybody
from notifications_service.application.brake import Brake
from notifications_service.application.failures import Failures
from notifications_service.application.hearing import Hear
from notifications_service.application.inbox import Inbox
from notifications_service.application.planning import Planning
from notifications_service.application.reminding import Remind
from notifications_service.application.delivering import Delivering
from notifications_service.application.sweeping import Sweep
from notifications_service.domain.kinds import Channel
from notifications_service.settings import NotificationsSettings
from notifications_service.wording import wording

_SCOPES = frozenset({"users:read", "loans:read"})
_LOOK_AGAIN_SECONDS = 10.0
_PATIENCE = Patience(connect=0.5, answer=3.0, breaker_failures=5, breaker_pause=10.0)
_CLOCK = SystemClock()


@cache
def settings() -> NotificationsSettings:
    return NotificationsSettings()


@cache
def own_queue() -> Queue:
    """The queue this function works on."""
    return Queue(settings().queue_url, settings().dead_letters_url)


@cache
def _outgoing() -> QueuedTasks:
    return QueuedTasks(settings().outgoing_queue_url)


# -- neighbours -----------------------------------------------------------------------------------


@cache
def _token() -> ServiceToken:
    # Remembered for as long as gateway_service.overlap says that signers do, so that ordinary rotations go unnoticed.
    stored = secret(settings().service_secret_arn)
    return ServiceToken(
        service="notifications",
        scopes=_SCOPES,
        secret=lambda: current_secret(stored.get()),
        newer_secret=lambda: current_secret(stored.get_anew(pause=_LOOK_AGAIN_SECONDS)),
        clock=_CLOCK,
    )


def _neighbour(service: str) -> ServiceClient:
    address = parameter(settings().services_url_parameter)
    return ServiceClient(service=service, base_url=address.get, token=_token(), patience=_PATIENCE)


@cache
def _accounts() -> HttpAccounts:
    return HttpAccounts(_neighbour("users"))


@cache
def _loans() -> HttpLoans:
    return HttpLoans(_neighbour("loans"))


# -- from the bus to the table --------------------------------------------------------------------


@cache
def _plans() -> DynamoPlans:
    return DynamoPlans(settings().table_name, aws.dynamodb)


@cache
def _planning() -> Planning:
    return Planning(
        plans=_plans(),
        preferences=wording(settings()).preferences,
        outgoing=_outgoing(),
        first_allowed=wording(settings()).first_allowed,
        zone=settings().zone,
        visit=settings().visit,
        clock=_CLOCK,
    )


@cache
def hear() -> Hear:
    """What the consumer of the bus uses."""
    return Hear(
        planning=_planning(),
        plans=_plans(),
        devices=wording(settings()).devices,
        rhythm=settings().rhythm,
        clock=_CLOCK,
    )


# -- from the table to people ---------------------------------------------------------------------


@cache
def sending() -> Delivering:
    """What the sender uses for messages that are due."""
    parts = wording(settings())
    return Delivering(
        deliveries=DynamoDeliveries(settings().table_name, aws.dynamodb),
        preferences=parts.preferences,
        accounts=_accounts(),
        loans=_loans(),
        templates=parts.templates,
        ways={
            Channel.EMAIL: SesWay(mail_from=settings().mail_from, library=settings().library_name),
            Channel.SMS: SmsWay(),
            Channel.PUSH: PushWay(parts.devices),
        },
        devices=parts.devices,
        outgoing=_outgoing(),
        first_allowed=parts.first_allowed,
        zone=settings().zone,
        library_name=settings().library_name,
        first_pause=settings().first_pause,
        brake=Brake(),
        clock=_CLOCK,
    )


@cache
def remind() -> Remind:
    """What the sender uses for reminders."""
    reminders = DynamoReminders(settings().table_name, aws.dynamodb)
    return Remind(reminders=reminders, loans=_loans(), planning=_planning(), clock=_CLOCK)


@cache
def tell_everybody() -> TellEverybody:
    """What the sender uses for announcements."""
    return TellEverybody(
        broadcasts=_broadcasts(),
        accounts=_accounts(),
        planning=_planning(),
        outgoing=_outgoing(),
        clock=_CLOCK,
        first_pause=settings().first_pause,
    )


@cache
def sweep() -> Sweep:
    """What the schedule uses."""
    agenda = DynamoAgenda(settings().table_name, aws.dynamodb)
    return Sweep(agenda=agenda, outgoing=_outgoing(), clock=_CLOCK)


# -- for the HTTP API -----------------------------------------------------------------------------


@cache
def _broadcasts() -> DynamoBroadcasts:
    return DynamoBroadcasts(settings().table_name, aws.dynamodb)


@cache
def inbox() -> Inbox:
    return Inbox(DynamoEntries(settings().table_name, aws.dynamodb), _CLOCK)


@cache
def failures() -> Failures:
    return Failures(DynamoFailed(settings().table_name, aws.dynamodb), _outgoing(), _CLOCK)


@cache
def announce() -> Announce:
    return Announce(_broadcasts(), _outgoing(), _CLOCK)
