"""Devices that show push messages."""

import re
from collections.abc import Callable

from library_common.http import ServiceApi
from notifications_service.application.use_cases import UseCases
from notifications_service.domain.errors import (
    DeviceRefused,
    InvalidFields,
    PushNotConfigured,
    TooManyDevices,
    UserNotFound,
)
from notifications_service.routes.common import OWN, require_user_id
from notifications_service.schemas.devices import DeviceBody, DeviceView

_DEVICE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def declare(api: ServiceApi, provide: Callable[[], UseCases]) -> None:
    """The routes on the use cases that `provide` returns."""

    @api.put(
        "/api/notifications/devices/{user_id}/{device_id}",
        access=OWN,
        raises=[UserNotFound, InvalidFields, PushNotConfigured, DeviceRefused, TooManyDevices],
    )
    def register_device(user_id: str, device_id: str, body: DeviceBody) -> DeviceView:
        """Show push messages on a device. Apps do this whenever they start, and choose the id."""
        if not _DEVICE_ID.fullmatch(device_id):
            raise InvalidFields(("device_id", "must be 1 to 64 letters, digits, - and _"))
        return DeviceView.of(provide().devices.register(require_user_id(user_id), device_id, body.platform, body.token))

    @api.delete("/api/notifications/devices/{user_id}/{device_id}", access=OWN, raises=[UserNotFound], status=204)
    def remove_device(user_id: str, device_id: str) -> None:
        """Show no more push messages on a device. Removing a missing one is no error."""
        if _DEVICE_ID.fullmatch(device_id):
            provide().devices.remove(require_user_id(user_id), device_id)
