"""Devices that show push messages: a member says which, and the push service gets their token."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from library_common.clock import Clock
from notifications_service.domain.errors import TooManyDevices, UserNotFound

MAX_DEVICES = 10


class Platform(StrEnum):
    """What a device runs."""

    IOS = "ios"
    ANDROID = "android"


@dataclass(frozen=True)
class Device:
    """token_key: a digest, by which one device is recognised whoever registers it. The token itself is not kept."""

    id: str
    platform: Platform
    endpoint: str
    token_key: str
    registered_at: datetime


class DeviceStore(Protocol):
    """Which devices members have. A device belongs to the member who registered it last, and to nobody else."""

    def devices(self, user_id: str) -> list[Device]: ...

    def is_erased(self, user_id: str) -> bool:
        """Whether there was such a member."""
        ...

    def add(self, user_id: str, device: Device) -> None:
        """Also in place of the one with this id. Takes it from whoever had it. Idempotent.

        Raises TooManyDevices; UserNotFound for a member who was erased.
        """
        ...

    def remove(self, user_id: str, device_id: str) -> Device | None:
        """What was removed; None when there was none. Idempotent."""
        ...


class PushService(Protocol):
    """What brings messages to devices."""

    def register(self, token: str) -> str:
        """The address (endpoint) of the device with this token; the same token gives the same one.

        Raises PushNotConfigured, DeviceRefused.
        """
        ...

    def forget(self, endpoint: str) -> None:
        """Idempotent."""
        ...


@dataclass(frozen=True)
class MemberDevices:
    """The use cases. The token passes through: it is neither stored nor logged nor answered."""

    store: DeviceStore
    push: PushService
    clock: Clock

    def register(self, user_id: str, device_id: str, platform: Platform, token: str) -> Device:
        """Raises PushNotConfigured, DeviceRefused, TooManyDevices, UserNotFound.

        A repeat changes nothing but the moment.
        If the process dies after the push service knows the device, nobody sends to it until the app asks again.
        """
        if self.store.is_erased(user_id):
            # Before the push service is asked, and before anybody loses the device.
            raise UserNotFound
        token_key = hashlib.sha256(token.encode()).hexdigest()
        endpoint = self.push.register(token)
        device = Device(device_id, platform, endpoint, token_key, self.clock.now())
        try:
            self.store.add(user_id, device)
        except (TooManyDevices, UserNotFound):
            # It is nobody's now, and nobody would clean up there later.
            self.push.forget(endpoint)
            raise
        return device

    def of(self, user_id: str) -> list[Device]:
        return self.store.devices(user_id)

    def remove(self, user_id: str, device_id: str) -> None:
        """From now on nothing is sent to it. Removing one that is not there is no error."""
        removed = self.store.remove(user_id, device_id)
        if removed is not None:
            self.push.forget(removed.endpoint)
