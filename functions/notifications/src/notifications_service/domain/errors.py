"""What the service refuses, each with a code that clients can rely on."""

from collections.abc import Sequence
from typing import ClassVar


class NotificationsError(Exception):
    """Base of the service's refusals."""

    code: ClassVar[str]


class InvalidFields(NotificationsError):
    """Fields that only the rules can judge. `errors`: (field, message) pairs."""

    code = "invalid_request"

    def __init__(self, *errors: tuple[str, str]) -> None:
        super().__init__("Some fields are not acceptable.")
        self.errors: Sequence[tuple[str, str]] = errors


class NoticeNotFound(NotificationsError):
    """There is no such notice, or it is somebody else's."""

    code = "notice_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such notice.")


class AnnouncementNotFound(NotificationsError):
    """There is no such announcement (any more)."""

    code = "announcement_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such announcement.")


class AnnouncementDone(NotificationsError):
    """Everybody was told of it before it could be cancelled."""

    code = "announcement_done"

    def __init__(self) -> None:
        super().__init__("Everybody has been told; there is nothing left to cancel.")


class UserNotFound(NotificationsError):
    """No member can have this id, or the member who had it was erased."""

    code = "user_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such member.")


class TemplateNotFound(NotificationsError):
    """No kind of notice has this name."""

    code = "template_not_found"

    def __init__(self) -> None:
        super().__init__("There is no template of this name.")


class VersionNotFound(NotificationsError):
    """This template has no such version, or it is not one of the latest."""

    code = "version_not_found"

    def __init__(self) -> None:
        super().__init__("This is not one of the template's latest versions.")


class TemplateRefused(NotificationsError):
    """The wording is not one that can be stored. `errors` say where: the field and, after that, the line."""

    code = "template_refused"

    def __init__(self, *errors: tuple[str, str]) -> None:
        super().__init__("The wording cannot be used as it is.")
        self.errors: Sequence[tuple[str, str]] = errors


class CannotBeTurnedOff(NotificationsError):
    """A changed password is told by e-mail in any case, a changed role or membership unless the member said no."""

    code = "cannot_be_turned_off"

    def __init__(self, *kinds: str) -> None:
        super().__init__("These e-mails cannot be turned off, or only by the member.")
        self.errors: Sequence[tuple[str, str]] = [(f"channels.{kind}", "must contain email") for kind in kinds]


class PushNotConfigured(NotificationsError):
    """This library sends nothing to apps on devices."""

    code = "push_not_configured"

    def __init__(self) -> None:
        super().__init__("This library sends no push messages.")


class DeviceRefused(NotificationsError):
    """The push service does not take the device's token."""

    code = "device_refused"

    def __init__(self) -> None:
        super().__init__("The push service does not accept this token.")
        self.errors: Sequence[tuple[str, str]] = (("token", "is not accepted by the push service"),)


class TooManyDevices(NotificationsError):
    """A member has as many devices as a member may have. Removing one makes room."""

    code = "too_many_devices"

    def __init__(self, limit: int) -> None:
        super().__init__(f"A member may have {limit} devices.")
