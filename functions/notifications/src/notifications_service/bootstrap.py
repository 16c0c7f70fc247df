"""Builds the object graph of notifications once per process, when first needed. Knows every part."""

from functools import cache
from typing import TYPE_CHECKING

from library_common import aws
from library_common.clock import SystemClock
from library_common.dynamodb import Table
from library_common.limits import limiter
from notifications_service.adapters.account_languages import DynamoAccountLanguages
from notifications_service.adapters.broadcasts import DynamoBroadcasts
from notifications_service.adapters.built_in_wording import BuiltIn
from notifications_service.adapters.devices import DynamoDevices
from notifications_service.adapters.dynamodb import DynamoAgenda, DynamoDeliveries, DynamoPlans, DynamoReminders
from notifications_service.adapters.lists import DynamoEntries, DynamoFailed
from notifications_service.adapters.outgoing_queue import QueuedTasks
from notifications_service.adapters.preferences import DynamoPreferences
from notifications_service.adapters.push import SnsPush
from notifications_service.adapters.stored_wording import DynamoWording
from notifications_service.adapters.templates import JinjaTemplates
from notifications_service.application.announcing import Announce, TellEverybody
from notifications_service.application.api_ports import Notices
from notifications_service.application.brake import Brake
from notifications_service.application.devices import MemberDevices
from notifications_service.application.failures import Failures
from notifications_service.application.inbox import Inbox
from notifications_service.application.planning import Planning
from notifications_service.application.use_cases import MemberCases, NoticeCases
from notifications_service.application.wishes import Wishes
from notifications_service.application.wording import Templating
from notifications_service.domain.kinds import Channel
from notifications_service.domain.timing import first_allowed
from notifications_service.settings import NotificationsSettings

if TYPE_CHECKING:
    from library_common.consumers import Queue
    from library_common.service_client import ServiceClient
    from notifications_service.adapters.services import HttpAccounts, HttpLoans
    from notifications_service.application.delivering import Delivering
    from notifications_service.application.hearing import Hear
    from notifications_service.application.reminding import Remind
    from notifications_service.application.sweeping import Sweep

# Only what the HTTP API uses is imported at once: its cold starts are waited for. The rest is when it is made.

_SCOPES = frozenset({"users:read", "loans:read"})
_LOOK_AGAIN_SECONDS = 10.0
_CLOCK = SystemClock()


@cache
def settings() -> NotificationsSettings:
    return NotificationsSettings()


@cache
def own_queue() -> "Queue":
    """The queue this function works on."""
    from library_common.consumers import Queue  # noqa: PLC0415 - see above

    return Queue(settings().queue_url, settings().dead_letters_url)


@cache
def _outgoing() -> QueuedTasks:
    return QueuedTasks(settings().outgoing_queue_url)


# -- wording and wishes --------------------------------------------------------------------------


@cache
def _table() -> Table:
    return Table(settings().table_name, aws.dynamodb)


@cache
def templates() -> JinjaTemplates:
    """The wording of notices."""
    return templates_on(_table())


def templates_on(table: Table) -> JinjaTemplates:
    """The same on a given table."""
    return JinjaTemplates(
        DynamoWording(table),
        library_name=settings().library_name,
        default_language=settings().default_language,
        library_zone=settings().zone,
    )


@cache
def preferences() -> DynamoPreferences:
    """What members wished for."""
    return DynamoPreferences(_table())


@cache
def _languages() -> DynamoAccountLanguages:
    return DynamoAccountLanguages(_table())


@cache
def devices() -> DynamoDevices:
    """Where push messages go."""
    return DynamoDevices(_table())


@cache
def member_cases() -> MemberCases:
    """What the HTTP API does for members' wishes, their devices, and the wording."""
    return compose_members(_table())


def compose_members(table: Table) -> MemberCases:
    """The same on a given table."""
    clock = SystemClock()
    language = settings().default_language
    return MemberCases(
        wishes=Wishes(DynamoPreferences(table)),
        devices=MemberDevices(DynamoDevices(table), SnsPush(settings().push_application), clock),
        templating=Templating(DynamoWording(table), BuiltIn(), templates_on(table), language, clock),
        default_language=language,
        library_time_zone=settings().zone.key,
    )


# -- other services -----------------------------------------------------------------------------------


def _service(name: str) -> "ServiceClient":
    from library_common.service_calls import service_client  # noqa: PLC0415 - see above
    from library_common.service_client import Timeouts  # noqa: PLC0415 - see above

    timeouts = Timeouts(connect=0.5, answer=3.0, breaker_failures=5, breaker_pause=10.0)
    return service_client(name, timeouts=timeouts, caller="notifications", scopes=_SCOPES)


@cache
def _accounts() -> "HttpAccounts":
    from notifications_service.adapters.services import HttpAccounts  # noqa: PLC0415 - see above

    return HttpAccounts(_service("users"))


@cache
def _loans() -> "HttpLoans":
    from notifications_service.adapters.services import HttpLoans  # noqa: PLC0415 - see above

    return HttpLoans(_service("loans"))


# -- from the bus to the table --------------------------------------------------------------------


@cache
def _plans() -> DynamoPlans:
    return DynamoPlans(settings().table_name, aws.dynamodb)


@cache
def _planning() -> Planning:
    return Planning(
        plans=_plans(),
        preferences=preferences(),
        outgoing=_outgoing(),
        first_allowed=first_allowed,
        zone=settings().zone,
        visit=settings().visit,
        clock=_CLOCK,
    )


@cache
def hear() -> "Hear":
    """What the consumer of the bus uses."""
    from notifications_service.application.hearing import Hear  # noqa: PLC0415 - see above

    return Hear(
        planning=_planning(),
        plans=_plans(),
        devices=devices(),
        push=SnsPush(settings().push_application),
        loans=_loans(),
        rhythm=settings().rhythm,
        clock=_CLOCK,
    )


# -- from the table to people ---------------------------------------------------------------------


@cache
def sending() -> "Delivering":
    """What the sender uses for messages that are due."""
    from notifications_service.adapters.ses import SesWay  # noqa: PLC0415 - see above
    from notifications_service.adapters.sns import PushWay, SmsWay  # noqa: PLC0415 - see above
    from notifications_service.application.delivering import Delivering  # noqa: PLC0415 - see above

    return Delivering(
        deliveries=DynamoDeliveries(settings().table_name, aws.dynamodb),
        preferences=preferences(),
        languages=_languages(),
        accounts=_accounts(),
        loans=_loans(),
        templates=templates(),
        ways={
            Channel.EMAIL: SesWay(mail_from=settings().mail_from, library=settings().library_name),
            Channel.SMS: SmsWay(),
            Channel.PUSH: PushWay(devices(), SnsPush(settings().push_application)),
        },
        devices=devices(),
        outgoing=_outgoing(),
        caps=limiter(),
        first_allowed=first_allowed,
        zone=settings().zone,
        library_name=settings().library_name,
        first_pause=settings().first_pause,
        brake=Brake(2 * settings().first_pause),
        clock=_CLOCK,
    )


@cache
def remind() -> "Remind":
    """What the sender uses for reminders."""
    from notifications_service.application.reminding import Remind  # noqa: PLC0415 - see above

    reminders = DynamoReminders(settings().table_name, aws.dynamodb)
    return Remind(reminders=reminders, loans=_loans(), planning=_planning(), rhythm=settings().rhythm, clock=_CLOCK)


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
def sweep() -> "Sweep":
    """What the schedule uses."""
    from notifications_service.application.sweeping import Sweep  # noqa: PLC0415 - see above

    agenda = DynamoAgenda(settings().table_name, aws.dynamodb)
    return Sweep(agenda=agenda, outgoing=_outgoing(), clock=_CLOCK)


# -- for the HTTP API -----------------------------------------------------------------------------


@cache
def _broadcasts() -> DynamoBroadcasts:
    return DynamoBroadcasts(settings().table_name, aws.dynamodb)


@cache
def notices() -> Notices:
    """Members' lists, failed messages, announcements: the parts on the way from events to messages."""
    name = settings().table_name
    return Notices(
        inbox=Inbox(DynamoEntries(name, aws.dynamodb), _CLOCK),
        failures=Failures(DynamoFailed(name, aws.dynamodb), _outgoing(), _CLOCK),
        announce=Announce(_broadcasts(), _outgoing(), _CLOCK),
    )


@cache
def notice_cases() -> NoticeCases:
    """What the HTTP API does about notices there are."""
    return NoticeCases.of(notices(), templates(), preferences(), _languages(), _CLOCK)
