"""Builds the object graph of notifications once per process, when first needed. The one place that knows every part."""

from functools import cache
from zoneinfo import ZoneInfo

from library_common import aws
from library_common.clock import SystemClock
from library_common.dynamodb import Table
from notifications_service.adapters.built_in_wording import BuiltIn
from notifications_service.adapters.devices import DynamoDevices
from notifications_service.adapters.preferences import DynamoPreferences
from notifications_service.adapters.push import SnsPush
from notifications_service.adapters.stored_wording import DynamoWording
from notifications_service.adapters.templates import JinjaTemplates
from notifications_service.application.api_ports import Notices
from notifications_service.application.devices import MemberDevices
from notifications_service.application.use_cases import MemberCases, NoticeCases
from notifications_service.application.wishes import Wishes
from notifications_service.application.wording import Templating
from notifications_service.domain.zones import find_zone
from notifications_service.settings import NotificationsSettings


@cache
def settings() -> NotificationsSettings:
    return NotificationsSettings()


@cache
def _table() -> Table:
    return Table(settings().table_name, aws.dynamodb)


@cache
def library_zone() -> ZoneInfo:
    """Whose days and hours count for members who named no other. UTC when the setting names none."""
    return find_zone(settings().library_time_zone) or ZoneInfo("UTC")


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
        library_zone=library_zone(),
    )


@cache
def preferences() -> DynamoPreferences:
    """What members wished for."""
    return DynamoPreferences(_table())


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
        library_time_zone=library_zone().key,
    )


@cache
def notice_cases() -> NoticeCases:
    """What the HTTP API does about notices there are."""
    return NoticeCases.of(notices(), templates(), preferences(), SystemClock())


@cache
def notices() -> Notices:
    """Members' lists, failed messages, announcements: the parts on the way from events to messages."""
    raise NotImplementedError("composed with the parts between the bus and the messages")
