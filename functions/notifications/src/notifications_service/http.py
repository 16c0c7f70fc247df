"""The HTTP API of notifications: which refusal is which status, and the routes by subject."""

from collections.abc import Callable

from library_common.http import ServiceApi
from notifications_service import bootstrap
from notifications_service.application.use_cases import UseCases
from notifications_service.domain import errors
from notifications_service.routes import announcements, devices, failures, notices, preferences, privacy, templates

DESCRIPTION = (
    "What members are notified of, by which channels and when: their notices, preferences and devices, announcements "
    "by staff, and the templates of every message."
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


def build(provide: Callable[[], UseCases]) -> ServiceApi:
    """The API on the use cases that `provide` returns; it is called per request, not before the first."""
    api = ServiceApi(
        name="notifications", title="Smart Library: notifications", description=DESCRIPTION, problems=PROBLEMS
    )
    api.publish_openapi("/api/notifications/openapi.json")
    for subject in (notices, announcements, failures, preferences, devices, templates, privacy):
        subject.declare(api, provide)
    return api


api = build(bootstrap.use_cases)
handler = api
