"""What the HTTP API can do."""

from dataclasses import dataclass

from notifications_service.application.announcements import Announcements
from notifications_service.application.devices import MemberDevices
from notifications_service.application.failures import Failures
from notifications_service.application.inbox import Inbox
from notifications_service.application.preferences import MemberPreferences
from notifications_service.application.templates import TemplateAdministration


@dataclass(frozen=True)
class UseCases:
    """All use cases of the API. default_language, library_time_zone: what counts for members who chose none."""

    inbox: Inbox
    failures: Failures
    announcements: Announcements
    preferences: MemberPreferences
    devices: MemberDevices
    templates: TemplateAdministration
    default_language: str
    library_time_zone: str
