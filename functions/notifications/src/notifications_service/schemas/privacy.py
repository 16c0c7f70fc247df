"""A member's data."""

from pydantic import BaseModel

from notifications_service.schemas.devices import DeviceView
from notifications_service.schemas.notices import NoticeView
from notifications_service.schemas.preferences import PreferencesView


class ExportPage(BaseModel):
    """A member's data: preferences and devices on every page, notices newest first."""

    preferences: PreferencesView
    devices: list[DeviceView]
    notices: list[NoticeView]
    next_cursor: str | None = None
