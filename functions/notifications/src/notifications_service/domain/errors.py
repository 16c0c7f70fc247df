"""What the service refuses, each with a code that clients can rely on."""

from collections.abc import Sequence
from typing import ClassVar


class NotificationsError(Exception):
    """Base of the service's refusals. detail: the sentence for people, unless one is passed in."""

    code: ClassVar[str]
    detail: ClassVar[str]

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or self.detail)


class _FieldErrors(NotificationsError):
    """Refusals that name fields. `errors`: (field, message) pairs."""

    def __init__(self, *errors: tuple[str, str]) -> None:
        super().__init__()
        self.errors: Sequence[tuple[str, str]] = errors


class InvalidFields(_FieldErrors):
    """Fields that only the rules can check."""

    code = "invalid_request"
    detail = "Some fields are invalid."


class NoticeNotFound(NotificationsError):
    """There is no such notice, or it is another member's."""

    code = "notice_not_found"
    detail = "There is no such notice."


class AnnouncementNotFound(NotificationsError):
    """There is no such announcement (any more)."""

    code = "announcement_not_found"
    detail = "There is no such announcement."


class AnnouncementDone(NotificationsError):
    """Everybody was notified before it could be cancelled."""

    code = "announcement_done"
    detail = "The announcement is done; there is nothing left to cancel."


class UserNotFound(NotificationsError):
    """No member can have this id, or the member who had it was erased."""

    code = "user_not_found"
    detail = "There is no such member."


class TemplateNotFound(NotificationsError):
    """No kind of notice has this name."""

    code = "template_not_found"
    detail = "There is no template of this name."


class VersionNotFound(NotificationsError):
    """This template has no such version, or it is not one of the latest."""

    code = "version_not_found"
    detail = "This is not one of the template's latest versions."


class TemplateRefused(_FieldErrors):
    """The text cannot be stored. The messages begin with the line."""

    code = "template_refused"
    detail = "The template cannot be used as it is."


class CannotBeTurnedOff(NotificationsError):
    """E-mails about a changed password are always sent; only members turn off those about their role or membership."""

    code = "cannot_be_turned_off"
    detail = "These e-mails cannot be turned off, or only by the member."

    def __init__(self, *kinds: str) -> None:
        super().__init__()
        self.errors: Sequence[tuple[str, str]] = [(f"channels.{kind}", "must contain email") for kind in kinds]


class PushNotConfigured(NotificationsError):
    """This library sends nothing to apps on devices."""

    code = "push_not_configured"
    detail = "This library sends no push messages."


class DeviceRefused(NotificationsError):
    """The push service does not accept the device's token."""

    code = "device_refused"
    detail = "The push service does not accept this token."
    errors: ClassVar[Sequence[tuple[str, str]]] = (("token", "is not accepted by the push service"),)


class TooManyDevices(NotificationsError):
    """A member has as many devices as a member may have. Removing one makes room."""

    code = "too_many_devices"

    def __init__(self, limit: int) -> None:
        super().__init__(f"A member may have {limit} devices.")
