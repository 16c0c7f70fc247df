"""Devices that show push messages: members register them, and the push service gets their token."""

import hashlib
from dataclasses import dataclass

from library_common.clock import Clock
from notifications_service.application.ports import DeviceStore, PushService
from notifications_service.domain.devices import Device, Platform
from notifications_service.domain.errors import TooManyDevices, UserNotFound


@dataclass(frozen=True)
class MemberDevices:
    """The use cases. The token passes through: it is not stored, logged or returned."""

    store: DeviceStore
    push: PushService
    clock: Clock

    def register(self, user_id: str, device_id: str, platform: Platform, token: str) -> Device:
        """Raises PushNotConfigured, DeviceRefused, TooManyDevices, UserNotFound. A repeat only changes the time.

        If the process dies after the push service knows the device, nothing is sent to it until the app registers it
        again. If it dies before a replaced endpoint is removed there, that one stays, and nothing is sent to it.
        """
        token_key = hashlib.sha256(token.encode()).hexdigest()
        # Before the push service is asked, and before anybody loses the device.
        self.store.require_place(user_id, device_id, token_key)
        endpoint = self.push.register(token)
        device = Device(device_id, platform, endpoint, token_key, self.clock.now())
        try:
            replaced = self.store.add(user_id, device)
        except (TooManyDevices, UserNotFound):
            self._forget_unless_owned(device)
            raise
        if replaced is not None and replaced.endpoint != endpoint:
            self._forget_unless_owned(replaced)
        return device

    def of(self, user_id: str) -> list[Device]:
        return self.store.devices(user_id)

    def remove(self, user_id: str, device_id: str) -> None:
        """From now on nothing is sent to it. Removing a missing one is no error."""
        removed = self.store.remove(user_id, device_id)
        if removed is not None:
            self._forget_unless_owned(removed)

    def _forget_unless_owned(self, device: Device) -> None:
        # A token has one endpoint whoever has it: by now it may be another member's.
        if not self.store.has_owner(device.token_key):
            self.push.forget(device.endpoint)
