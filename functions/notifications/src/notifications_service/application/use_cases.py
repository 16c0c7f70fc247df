"""What the HTTP API can do, in two halves: about notices there are, and about how members want them and are told."""

from dataclasses import dataclass

from library_common.clock import Clock
from notifications_service.application.api_ports import Announce, Failures, Inbox, Notices
from notifications_service.application.devices import MemberDevices
from notifications_service.application.ports import AccountLanguages, StoredPreferences, Templates
from notifications_service.application.reading import Reading
from notifications_service.application.sending import Sending
from notifications_service.application.wishes import Wishes
from notifications_service.application.wording import Templating


@dataclass(frozen=True)
class NoticeCases:
    """About notices there are, and new ones."""

    reading: Reading
    inbox: Inbox
    failures: Failures
    sending: Sending
    announcements: Announce

    @classmethod
    def of(
        cls,
        notices: Notices,
        templates: Templates,
        preferences: StoredPreferences,
        languages: AccountLanguages,
        clock: Clock,
    ) -> "NoticeCases":
        return cls(
            reading=Reading(notices.inbox, templates, preferences, languages),
            inbox=notices.inbox,
            failures=notices.failures,
            sending=Sending(notices.announce, clock),
            announcements=notices.announce,
        )


@dataclass(frozen=True)
class MemberCases:
    """About members' wishes and devices, and about the wording of what they get."""

    wishes: Wishes
    devices: MemberDevices
    templating: Templating
    default_language: str
    library_time_zone: str
