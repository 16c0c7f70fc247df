"""The HTTP API of notifications: which refusal is which status, and the routes by subject."""

from collections.abc import Callable

from library_common.http import ServiceApi
from notifications_service import bootstrap
from notifications_service.application.use_cases import MemberCases, NoticeCases
from notifications_service.domain import errors
from notifications_service.routes import notices, preferences, privacy, templates

DESCRIPTION = (
    "What members are told, by which ways and when: their notices, preferences and devices, announcements by staff, "
    "and the wording of every message."
)
PROBLEMS: dict[type[Exception], int] = {
    errors.UserNotFound: 404,
    errors.NoticeNotFound: 404,
    errors.TemplateNotFound: 404,
    errors.VersionNotFound: 404,
    errors.AnnouncementNotFound: 404,
    errors.AnnouncementDone: 409,
    errors.InvalidFields: 422,
    errors.TemplateRefused: 422,
    errors.CannotBeTurnedOff: 422,
    errors.PushNotConfigured: 409,
    errors.TooManyDevices: 409,
    errors.DeviceRefused: 422,
}


def build(members: Callable[[], MemberCases], about_notices: Callable[[], NoticeCases]) -> ServiceApi:
    """The API on the use cases that the two answer; they are called per request, not before the first."""
    api = ServiceApi(
        name="notifications", title="Smart Library: notifications", description=DESCRIPTION, problems=PROBLEMS
    )
    api.publish_openapi("/api/notifications/openapi.json")
    notices.declare(api, about_notices)
    preferences.declare(api, members)
    templates.declare(api, members)
    privacy.declare(api, members, about_notices)
    return api


api = build(bootstrap.member_cases, bootstrap.notice_cases)
handler = api
