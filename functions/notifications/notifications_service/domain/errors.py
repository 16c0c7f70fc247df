"""What the service refuses, each with a code that clients can rely on."""

from typing import ClassVar


class NotificationsError(Exception):
    """Base of the service's refusals."""

    code: ClassVar[str]


class NoticeNotFound(NotificationsError):
    """There is no such notice, or it is somebody else's."""

    code = "notice_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such notice.")
