"""Builds the object graph of notifications once per process, when first needed. Knows every part."""

from functools import cache
from typing import TYPE_CHECKING

from library_common import aws
from library_common.clock import SystemClock
from library_common.configuration import cache_seconds
from library_common.dynamodb import Table
from library_common.limits import limiter
from notifications_service.adapters.account_languages import DynamoAccountLanguages
from notifications_service.adapters.announcements import DynamoAnnouncements
from notifications_service.adapters.deliveries import DynamoDeliveries, DynamoFailedDeliveries
from notifications_service.adapters.devices import DynamoDevices
from notifications_service.adapters.inbox import DynamoInbox
from notifications_service.adapters.notice_plans import DynamoNoticePlans
from notifications_service.adapters.preferences import DynamoPreferences
from notifications_service.adapters.push import SnsPush
from notifications_service.adapters.stored_templates import DynamoTemplates
from notifications_service.adapters.task_queue import SqsTaskQueue
from notifications_service.adapters.template_renderer import CACHED_SECONDS, JinjaTemplateRenderer
from notifications_service.application.announcements import Announcements, DeliverAnnouncement
from notifications_service.application.devices import MemberDevices
from notifications_service.application.failures import Failures
from notifications_service.application.inbox import Inbox
from notifications_service.application.planning import Planning
from notifications_service.application.preferences import MemberPreferences
from notifications_service.application.templates import TemplateAdministration
from notifications_service.application.use_cases import UseCases
from notifications_service.domain.kinds import Channel
from notifications_service.domain.timing import first_allowed
from notifications_service.settings import NotificationsSettings

if TYPE_CHECKING:
    from library_common.consumers import Queue
    from library_common.service_client import ServiceClient
    from notifications_service.adapters.services import HttpAccounts, HttpLoans
    from notifications_service.application.event_handling import EventHandling
    from notifications_service.application.reminders import FireReminder
    from notifications_service.application.sending import SendDue
    from notifications_service.application.sweep import Sweep

# Only what the HTTP API uses is imported at once, because its cold starts are waited for. The rest is imported when it
# is built.

_SCOPES = frozenset({"users:read", "loans:read"})
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
def _table() -> Table:
    return Table(settings().table_name, aws.dynamodb)


@cache
def _task_queue() -> SqsTaskQueue:
    return SqsTaskQueue(settings().outgoing_queue_url)


@cache
def _push() -> SnsPush:
    return SnsPush(settings().push_application)


def _renderer(table: Table) -> JinjaTemplateRenderer:
    return JinjaTemplateRenderer(
        DynamoTemplates(table),
        library_name=settings().library_name,
        default_language=settings().default_language,
        library_zone=settings().zone,
        cached_seconds=cache_seconds(CACHED_SECONDS),
    )


# -- the HTTP API ---------------------------------------------------------------------------------


@cache
def use_cases() -> UseCases:
    """What the HTTP API can do."""
    return compose(_table())


def compose(table: Table) -> UseCases:
    """The same on a given table."""
    language, preferences, renderer = settings().default_language, DynamoPreferences(table), _renderer(table)
    return UseCases(
        inbox=Inbox(DynamoInbox(table), renderer, preferences, DynamoAccountLanguages(table), _CLOCK),
        failures=Failures(DynamoFailedDeliveries(table), _task_queue(), _CLOCK),
        announcements=Announcements(DynamoAnnouncements(table), _task_queue(), _CLOCK),
        preferences=MemberPreferences(preferences),
        devices=MemberDevices(DynamoDevices(table), _push(), _CLOCK),
        templates=TemplateAdministration(DynamoTemplates(table), renderer, language, _CLOCK),
        default_language=language,
        library_time_zone=settings().zone.key,
    )


# -- other services -------------------------------------------------------------------------------


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


# -- the consumer of the bus ----------------------------------------------------------------------


@cache
def _planning() -> Planning:
    return Planning(
        plans=DynamoNoticePlans(_table()),
        preferences=DynamoPreferences(_table()),
        queue=_task_queue(),
        first_allowed=first_allowed,
        zone=settings().zone,
        visit=settings().visit,
        clock=_CLOCK,
    )


@cache
def event_handling() -> "EventHandling":
    """What the consumer of the bus uses."""
    from notifications_service.application.event_handling import EventHandling  # noqa: PLC0415 - see above

    return EventHandling(
        planning=_planning(),
        plans=DynamoNoticePlans(_table()),
        devices=DynamoDevices(_table()),
        push=_push(),
        loans=_loans(),
        schedule=settings().reminder_schedule,
        clock=_CLOCK,
    )


# -- the sender and the sweep ---------------------------------------------------------------------


@cache
def send_due() -> "SendDue":
    """What the sender uses for due messages."""
    from notifications_service.adapters.ses import SesSender  # noqa: PLC0415 - see above
    from notifications_service.adapters.sns import PushSender, SmsSender  # noqa: PLC0415 - see above
    from notifications_service.application.circuit_breaker import CircuitBreaker  # noqa: PLC0415 - see above
    from notifications_service.application.daily_limits import DailyLimits  # noqa: PLC0415 - see above
    from notifications_service.application.delivery_outcomes import DeliveryOutcomes  # noqa: PLC0415 - see above
    from notifications_service.application.eligibility import Eligibility  # noqa: PLC0415 - see above
    from notifications_service.application.message_sending import MessageSending  # noqa: PLC0415 - see above
    from notifications_service.application.sending import SendDue  # noqa: PLC0415 - see above

    table, library = _table(), settings().library_name
    deliveries, devices = DynamoDeliveries(table), DynamoDevices(table)
    outcomes = DeliveryOutcomes(deliveries, devices, _task_queue(), settings().first_pause, _CLOCK)
    return SendDue(
        deliveries=deliveries,
        accounts=_accounts(),
        preferences=DynamoPreferences(table),
        languages=DynamoAccountLanguages(table),
        eligibility=Eligibility(deliveries, _loans(), outcomes, first_allowed, settings().zone, _CLOCK),
        messages=MessageSending(
            deliveries=deliveries,
            outcomes=outcomes,
            limits=DailyLimits(limiter()),
            templates=_renderer(table),
            senders={
                Channel.EMAIL: SesSender(mail_from=settings().mail_from, library=library),
                Channel.SMS: SmsSender(),
                Channel.PUSH: PushSender(devices, _push()),
            },
            breaker=CircuitBreaker(2 * settings().first_pause),
            library_name=library,
            zone=settings().zone,
            clock=_CLOCK,
        ),
        outcomes=outcomes,
        clock=_CLOCK,
    )


@cache
def fire_reminder() -> "FireReminder":
    """What the sender uses for reminders."""
    from notifications_service.adapters.reminders import DynamoReminders  # noqa: PLC0415 - see above
    from notifications_service.application.reminders import FireReminder  # noqa: PLC0415 - see above

    return FireReminder(DynamoReminders(_table()), _loans(), _planning(), settings().reminder_schedule, _CLOCK)


@cache
def deliver_announcement() -> DeliverAnnouncement:
    """What the sender uses for announcements."""
    store, first_pause = DynamoAnnouncements(_table()), settings().first_pause
    return DeliverAnnouncement(store, _accounts(), _planning(), _task_queue(), _CLOCK, first_pause)


@cache
def sweep() -> "Sweep":
    """What the schedule uses."""
    from notifications_service.adapters.due_tasks import DynamoDueTasks  # noqa: PLC0415 - see above
    from notifications_service.application.sweep import Sweep  # noqa: PLC0415 - see above

    return Sweep(DynamoDueTasks(_table()), _task_queue(), _CLOCK)
